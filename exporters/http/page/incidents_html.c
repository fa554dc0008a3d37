// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "exporters/http/page/sections.h"
#include "exporters/render/age.h"
#include "lib/health/health.h"
#include "lib/incident/incident_dir.h"

#define SHOWN 5u

static void add_incident(const struct page *page, const struct incident_item *item,
			 struct text *out)
{
	const struct incident_head *head = &item->last;
	char time[32];

	text_add_format(out,
			"<tr id=\"incident-%s\"><th scope=\"row\"><a "
			"href=\"api/v1/incidents/%s?format=text\">%s</a></th>",
			head->id, head->id, format_time(head->began_real_ns, time));
	text_add_format(out,
			"<td data-label=\"State\">%s</td><td class=\"n\" data-label=\"Peak fill\">"
			"%.1f %%</td>",
			incident_state(item, page->app->source.reader.boot_id),
			head->peak_fill_ppm / 1e4);
	text_add_format(out,
			"<td class=\"n\" data-label=\"Dropped\">%" PRIu64 "</td>"
			"<td class=\"n\" data-label=\"Evicted\">%" PRIu64 "</td></tr>\n",
			head->drops, head->early_drops);
}

static const char *why_none(const struct snapshot *snap)
{
	if (health_rehearsal(snap))
		return "None kept: incidents are about the kernel's limit, not the assumed one";
	return health_level(snap) == SHM_LEVEL_OK
		       ? "None kept: the table has not come near its limit"
		       : "None kept";
}

void render_incidents_html(const struct page *page, struct text *out)
{
	int fd = incident_dir_open(page->app->options.state_dir, page->app->source.netns);
	struct incident_list list;

	memset(&list, 0, sizeof(list));
	text_add(out, "<section id=\"incidents\"><h2>Incidents</h2>\n");
	if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR)
		text_add_format(out, "<p>Cannot be read: %s.</p>\n", strerror(-fd));
	else if (fd < 0 || incident_list_read(&list, fd) || (!list.count && !list.bad_count))
		text_add_format(out, "<p>%s.</p>\n", why_none(page->snap));
	if (list.bad_count)
		text_add_format(out,
				"<p>%zu file%s cannot be read: <a "
				"href=\"api/v1/incidents?format=text\">which, and why</a></p>\n",
				list.bad_count, list.bad_count == 1 ? "" : "s");
	if (list.count)
		text_add(out, "<table class=\"cards\"><thead><tr><th scope=\"col\">Began</th>"
			      "<th scope=\"col\">State</th>"
			      "<th scope=\"col\" class=\"n\">Peak fill</th>"
			      "<th scope=\"col\" class=\"n\">Dropped</th>"
			      "<th scope=\"col\" class=\"n\">Evicted</th></tr></thead><tbody>\n");
	for (size_t i = 0; i < list.count && i < SHOWN; i++)
		add_incident(page, &list.items[i], out);
	if (list.count)
		text_add(out, "</tbody></table>\n");
	if (list.count > SHOWN)
		text_add_format(out,
				"<p><a href=\"api/v1/incidents?format=text\">all %zu</a></p>\n",
				list.count);
	text_add(out, "</section>\n");
	incident_list_free(&list);
	if (fd >= 0)
		close(fd);
}
