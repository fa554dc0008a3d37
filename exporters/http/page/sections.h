// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The sections of the page, each an element with an id: a script changes them in place. All
 * words are written here, so that the page says the same without a script. Pure but for
 * render_incidents_html(), which reads the directory of the incidents.
 */
#ifndef CONNTIDE_HTTP_PAGE_SECTIONS_H
#define CONNTIDE_HTTP_PAGE_SECTIONS_H

#include "exporters/http/routes/app.h"
#include "exporters/render/text.h"
#include "lib/shm/snap_detail.h"
#include "lib/shm/snapshot.h"

struct page {
	const struct app *app;
	const struct snapshot *snap;
	const struct snap_detail *details; /* NULL: cannot be read */
	bool hosts;			   /* addresses may be shown */
};

/* Level, reason, fill, losses, forecast, quality: one look. */
void render_band_html(const struct page *page, struct text *out);
void render_ports_html(const struct page *page, struct text *out);
/* Which pattern it is, what grew, and what would help, with the commands. */
void render_why_html(const struct page *page, struct text *out);
void render_hosts_html(const struct page *page, struct text *out);
void render_incidents_html(const struct page *page, struct text *out);
/* What was lost since the boot, and how far the numbers can be trusted. */
void render_facts_html(const struct page *page, struct text *out);

#endif
