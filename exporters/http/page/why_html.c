// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdlib.h>

#include "exporters/advice/advice.h"
#include "exporters/advice/patterns.h"
#include "exporters/advice/warnings.h"
#include "exporters/http/page/sections.h"
#include "exporters/render/age.h"
#include "exporters/render/nat.h"
#include "exporters/render/talkers.h"

/* `nth`: of its pattern. */
static void add_finding(const struct finding *finding, unsigned int nth, bool hosts,
			struct text *out)
{
	const struct pattern_info *info = pattern_info(finding->pattern);
	char address[ADDRESS_BYTES], pool[NAT_NAME_BYTES];

	text_add_format(out, "<li id=\"why-%s-%u\"><h3>", info->id, nth);
	text_add_html(out, info->title);
	text_add_format(out, " <span class=\"dim\">(%s)</span></h3>\n<p>",
			confidence_name(finding->confidence));
	text_add_html(out, finding->summary);
	text_add(out, ".</p>\n");
	if (hosts && finding->pool)
		text_add_format(out, "<p>Pool: %s</p>\n", nat_pool_name(finding->pool, pool));
	if (hosts && finding->has_host)
		text_add_format(out, "<p>%s: %s</p>\n", finding->pool ? "Held most by" : "Host",
				format_address(&finding->host, false, address));
	else if (finding->has_host)
		text_add(out, "<p class=\"dim\">Which host: <code>conntide talkers</code> on the "
			      "machine tells.</p>\n");
	if (finding->unsure) {
		text_add(out,
			 finding->confidence == CONFIDENCE_NOT_SURE ? "<p>Not sure: " : "<p>But: ");
		text_add_html(out, finding->unsure);
		text_add(out, ".</p>\n");
	}
	text_add(out, "<p>What to do: ");
	text_add_html(out, info->todo);
	text_add(out, ".</p></li>\n");
}

static void add_growth(const struct change_of_table *change, struct text *out)
{
	char age[32], row[32];

	if (!change->known)
		return;
	text_add_format(out, "<p>In the last %s: %+.0f entries.",
			format_age((uint64_t)(change->over_s * 1e9), age),
			change->entries - change->before_entries);
	for (uint32_t i = 0; i < change->row_count; i++) {
		const struct growth *growth = &change->rows[i];

		text_add_format(out, "%s %s %s %+.0f", i ? "," : " Most grew",
				row_text(&growth->key, row),
				state_text(&growth->key, growth->state),
				growth->entries - growth->before_entries);
	}
	text_add(out, change->row_count ? ".</p>\n" : "</p>\n");
}

static void add_why(const struct why *why, bool hosts, struct text *out)
{
	text_add(out, "<section id=\"why\"><h2>Why</h2>\n");
	add_growth(&why->minutes, out);
	if (!why->finding_count)
		text_add(out, "<p>No known pattern: nothing stands out.</p>\n");
	else
		text_add(out, "<ol>\n");
	for (uint32_t i = 0; i < why->finding_count; i++) {
		unsigned int nth = 1;

		for (uint32_t j = 0; j < i; j++)
			nth += why->findings[j].pattern == why->findings[i].pattern;
		add_finding(&why->findings[i], nth, hosts, out);
	}
	text_add(out, why->finding_count ? "</ol></section>\n" : "</section>\n");
}

static void add_commands(const struct advice_item *item, enum tool tool, struct text *out)
{
	bool first = true;

	for (uint32_t i = 0; i < item->command_count; i++) {
		if (item->commands[i].tool != tool)
			continue;
		if (first)
			text_add_format(out, "<h4>%s</h4>\n<div class=\"cmd\"><pre><code>",
					tool_name(tool));
		text_add_html(out, item->commands[i].text);
		text_add_char(out, '\n');
		first = false;
	}
	if (!first)
		text_add(out, "</code></pre><button type=\"button\" class=\"copy script\">Copy"
			      "</button></div>\n");
}

static void add_item(const struct advice_item *item, bool open, struct text *out)
{
	text_add_format(out, "<article id=\"advice-%s\"><h3>", item->id);
	text_add_html(out, item->title);
	text_add(out, "</h3>\n<p>");
	text_add_html(out, item->reason);
	text_add(out, ".</p>\n");
	if (advice_has_savings(item)) {
		text_add(out, "<p>");
		advice_savings_text(item, "; ", out);
		text_add(out, ".</p>\n");
	}
	if (item->command_count || item->warnings) {
		text_add_format(out,
				"<details id=\"do-%s\"%s><summary>Commands, and what to know "
				"before</summary>\n",
				item->id, open ? " open" : "");
		for (unsigned int tool = 0; tool < TOOL_COUNT; tool++)
			add_commands(item, (enum tool)tool, out);
		text_add(out, "<ul>\n");
		for (unsigned int i = 0; i < WARN_COUNT; i++) {
			if (!(item->warnings & UINT32_C(1) << i))
				continue;
			text_add(out, "<li>");
			text_add_html(out, warning_text((enum warning)i));
			text_add(out, "</li>\n");
		}
		text_add(out, "</ul></details>\n");
	}
	text_add(out, "</article>\n");
}

static void add_advice(const struct why *why, bool hosts, struct text *out)
{
	struct advice *advice = malloc(sizeof(*advice));

	if (!advice || advice_make(why, advice)) {
		out->failed = true;
		free(advice);
		return;
	}
	if (hosts)
		advice_name_hosts(advice);
	text_add(out, "<section id=\"advice\"><h2>What to do</h2>\n");
	for (uint32_t i = 0; i < advice->count; i++)
		add_item(&advice->items[i], i == 0, out);
	text_add(out, "<p class=\"dim\">conntide changes nothing itself.</p></section>\n");
	free(advice);
}

void render_why_html(const struct page *page, struct text *out)
{
	struct model model;
	struct why why;

	if (!page->details)
		return;
	if (model_build(page->snap, page->details, &model)) {
		out->failed = true;
	} else {
		why_look(page->snap, page->details, &model, &why);
		add_why(&why, page->hosts, out);
		add_advice(&why, page->hosts, out);
	}
	model_free(&model);
}
