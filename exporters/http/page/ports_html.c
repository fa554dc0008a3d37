// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>

#include "exporters/http/page/sections.h"
#include "exporters/render/port_name.h"
#include "exporters/render/select.h"
#include "exporters/render/services.h"
#include "exporters/render/zones.h"
#include "lib/kernel/states.h"

#define SHOWN	    20u
#define ZONES_SHOWN 3u

static void add_number_cell(struct text *out, const char *label, double value)
{
	text_add_format(out, "<td class=\"n\" data-label=\"%s\">", label);
	if (value >= 0)
		text_add_format(out, "%.*f</td>", value < 10 ? 1 : 0, value);
	else
		text_add(out, "\xe2\x80\x93</td>");
}

/* The largest first. */
static void add_states(struct text *out, const struct snap_row *row)
{
	bool done[STATE_SLOTS_MAX] = {false};

	text_add(out, "<td class=\"w\">");
	for (unsigned int n = 0; n < STATE_SLOTS_MAX; n++) {
		unsigned int best = STATE_SLOTS_MAX;

		for (unsigned int s = 0; s < STATE_SLOTS_MAX; s++)
			if (!done[s] && row->states[s] && state_name(row->key.l4proto, s) &&
			    (best == STATE_SLOTS_MAX || row->states[s] > row->states[best]))
				best = s;
		if (best == STATE_SLOTS_MAX)
			break;
		done[best] = true;
		text_add_format(out, "<span class=\"s\">%s %" PRIu32 "</span> ",
				state_name(row->key.l4proto, best), row->states[best]);
	}
	text_add(out, "</td></tr>\n");
}

/* Where zones are used. */
static void add_zones(const struct snapshot *snap, const struct snap_row *row, struct text *out)
{
	uint32_t index = row_of(row->key), first = row_first_cell(index);
	struct zone_parts parts;

	text_add(out, "<td class=\"w\" data-label=\"Zones\">");
	if (zone_parts_make(snap, first, first + row_state_slots(index), row->entries, &parts) < 0)
		out->failed = true;
	zone_parts_plain(&parts, " ", ZONES_SHOWN, out);
	zone_parts_free(&parts);
	text_add(out, "</td>");
}

static void add_row(const struct page *page, const struct snap_row *row, struct text *out)
{
	double all = (double)page->snap->live.mirror_entries;
	double share = all > 0 ? 100 * row->entries / all : 0;
	char name[PORT_NAME_BYTES];

	text_add_format(out, "<tr id=\"port-%s-%u-%s\"><th scope=\"row\">",
			l4proto_info(row->key.l4proto)->name, row->key.port,
			direction_name(row->key.direction));
	/* "tcp 443": in a narrow column it may go over two lines. */
	if (row->key.l4proto != L4_OTHER && l4proto_info(row->key.l4proto)->has_ports)
		text_add_format(out, "%s %u", l4proto_info(row->key.l4proto)->name, row->key.port);
	else
		text_add(out, port_name(row->key.l4proto, row->key.port, name));
	text_add(out, " <span class=\"dim\">");
	text_add_html(out, services_name(page->app->services, row->key.l4proto, row->key.port));
	text_add_format(out,
			"</span></th><td data-label=\"Direction\">%s</td>"
			"<td class=\"n\" data-label=\"Entries\">%" PRIu32 "</td>"
			"<td class=\"n\" data-label=\"Share\">%s%.0f %%</td>",
			direction_name(row->key.direction), row->entries,
			share > 0 && share < 1 ? "&lt;" : "", share > 0 && share < 1 ? 1 : share);
	add_number_cell(out, "New/s", row->new_per_s);
	add_number_cell(out, "Lifetime, s", row->mean_lifetime_s);
	if (zones_used(page->snap))
		add_zones(page->snap, row, out);
	add_states(out, row);
}

static void add_table(const struct page *page, const struct selection *selection, bool empty,
		      struct text *out)
{
	text_add(out, "<table class=\"cards\">\n<thead><tr><th scope=\"col\">Port</th>"
		      "<th scope=\"col\">Direction</th><th scope=\"col\" class=\"n\">Entries</th>"
		      "<th scope=\"col\" class=\"n\">Share</th>"
		      "<th scope=\"col\" class=\"n\">New/s</th>"
		      "<th scope=\"col\" class=\"n\">Lifetime, s</th>");
	text_add_format(out, "%s<th scope=\"col\">States</th></tr></thead>\n<tbody>\n",
			zones_used(page->snap) ? "<th scope=\"col\">Zones</th>" : "");
	for (size_t i = 0; i < selection->count; i++)
		if ((selection->picks[i].row->entries == 0) == empty)
			add_row(page, selection->picks[i].row, out);
	text_add(out, "</tbody></table>\n");
}

void render_ports_html(const struct page *page, struct text *out)
{
	struct selection selection;
	struct select select;
	size_t empty = 0;

	select_init(&select);
	select.limit = SHOWN;
	if (select_ports(page->snap, &select, &selection) < 0)
		out->failed = true;
	for (size_t i = 0; i < selection.count; i++)
		empty += selection.picks[i].row->entries == 0;
	text_add(out, "<section id=\"ports\"><h2>What fills it</h2>\n");
	if (selection.count == empty)
		text_add(out, "<p>The table is empty.</p>\n");
	else
		add_table(page, &selection, false, out);
	if (empty) {
		text_add_format(
			out,
			"<details id=\"empty-ports\"><summary>%zu without an entry now</summary>\n",
			empty);
		add_table(page, &selection, true, out);
		text_add(out, "</details>\n");
	}
	if (selection.matches > selection.count)
		text_add_format(out,
				"<p class=\"dim\">and %zu more: <a "
				"href=\"api/v1/ports?format=text\">all ports</a></p>\n",
				selection.matches - selection.count);
	text_add(out, "</section>\n");
	selection_free(&selection);
}
