// SPDX-License-Identifier: GPL-2.0-or-later
/* The ports of source NAT on the page; nothing where nothing is translated. Pure. */
#ifndef CONNTIDE_HTTP_PAGE_NAT_HTML_H
#define CONNTIDE_HTTP_PAGE_NAT_HTML_H

#include <stdbool.h>

#include "exporters/render/text.h"
#include "lib/shm/snapshot.h"

/* `hosts`: addresses may be shown, and the fullest pools are. */
void render_nat_html(const struct snapshot *snap, bool hosts, struct text *out);

#endif
