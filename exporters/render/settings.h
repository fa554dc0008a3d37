// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Changes of the kernel's settings in words, and as JSON: "nf_conntrack_max lowered
 * from 262144 to 131072 at 2026-11-23T14:02:11Z". Pure.
 */
#ifndef CONNTIDE_RENDER_SETTINGS_H
#define CONNTIDE_RENDER_SETTINGS_H

#include "exporters/render/text.h"
#include "lib/shm/snap_settings.h"

#define SETTING_WORDS_BYTES 320u

/* With `dated` its time; and that two programs seem to write it, where they do. */
const char *setting_words(const struct snap_setting_change *change, bool dated,
			  char out[SETTING_WORDS_BYTES]);

/* Changes after `from_real_ns`, up to and with `to_real_ns`, as a JSON array; newest first. */
void settings_json(const struct snap_settings *settings, uint64_t from_real_ns, uint64_t to_real_ns,
		   struct text *out);
/* The same for people, without their times. */
void settings_plain(const struct snap_settings *settings, uint64_t from_real_ns,
		    uint64_t to_real_ns, struct text *out);

#endif
