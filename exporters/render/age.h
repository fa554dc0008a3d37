// SPDX-License-Identifier: GPL-2.0-or-later
/* How long ago something was, for people, in the one unit that is worth reading; and when. Pure. */
#ifndef CONNTIDE_RENDER_AGE_H
#define CONNTIDE_RENDER_AGE_H

#include <stdint.h>

/* "1.5 s", "12 s", "3 min", "2 h", "5 d"; UINT64_MAX: "from an earlier boot". Returns out. */
const char *format_age(uint64_t age_ns, char out[32]);

/* "2026-01-02T03:04:05Z"; out must hold 21 bytes. */
const char *format_time(uint64_t real_ns, char out[32]);

#endif
