// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>

#include "exporters/http/page/sections.h"
#include "exporters/render/port_name.h"
#include "exporters/render/services.h"
#include "exporters/render/talkers.h"
#include "lib/kernel/states.h"

#define SHOWN 5u

static void add_talker(const struct page *page, const struct snap_talker *talker, bool service,
		       struct text *out)
{
	double all = (double)page->snap->live.mirror_entries;
	double percent = all > 0 ? 100 * talker->entries / all : 0;
	char address[ADDRESS_BYTES], name[PORT_NAME_BYTES];

	text_add_format(out, "<tr id=\"%s-%s", service ? "service" : "source",
			format_address(talker, false, address));
	if (service)
		text_add_format(out, "-%s-%u", l4proto_info(talker->l4proto)->name, talker->port);
	text_add_format(out, "\"><th scope=\"row\">%s", address);
	if (service) {
		text_add_format(out, " %s <span class=\"dim\">",
				port_name(talker->l4proto, talker->port, name));
		text_add_html(out,
			      services_name(page->app->services, talker->l4proto, talker->port));
		text_add(out, "</span>");
	}
	text_add_format(out,
			"</th><td class=\"n\" data-label=\"Entries\">%" PRIu32 "</td>"
			"<td class=\"n\" data-label=\"Share\">%s%.0f %%</td></tr>\n",
			talker->entries, percent > 0 && percent < 1 ? "&lt;" : "",
			percent > 0 && percent < 1 ? 1 : percent);
}

static void add_list(const struct page *page, enum shm_talker_kind kind, const char *title,
		     struct text *out)
{
	const struct snap_talker_list *list = &page->details->talkers[kind];

	if (!list->count)
		return;
	text_add_format(out,
			"<table class=\"cards\"><thead><tr><th scope=\"col\">%s</th>"
			"<th scope=\"col\" class=\"n\">Entries</th><th scope=\"col\" class=\"n\">"
			"Share</th></tr></thead><tbody>\n",
			title);
	for (uint32_t i = 0; i < list->count && i < SHOWN; i++)
		add_talker(page, &list->talkers[i], kind == SHM_TALKER_SERVICE, out);
	text_add(out, "</tbody></table>\n");
}

void render_hosts_html(const struct page *page, struct text *out)
{
	if (!page->details)
		return;
	text_add(out, "<section id=\"talkers\"><h2>Talkers</h2>\n");
	if (page->hosts && page->details->hosts_error) {
		text_add(out, "<p class=\"dim\">");
		text_add_html(out, page->details->hosts_why);
		text_add(out, "</p>\n");
	} else if (page->hosts && !page->details->talkers[SHM_TALKER_SOURCE].count) {
		text_add(out, "<p>None known yet.</p>\n");
	} else if (page->hosts) {
		add_list(page, SHM_TALKER_SOURCE, "Source", out);
		add_list(page, SHM_TALKER_SERVICE, "Service", out);
		text_add(out, "<p><a href=\"api/v1/talkers?format=text\">all talkers</a></p>\n");
	} else {
		text_add(out, "<p class=\"dim\">Addresses of hosts are not shown to this client: "
			      "<code>conntide talkers</code> on the machine shows them.</p>\n");
	}
	text_add(out, "</section>\n");
}
