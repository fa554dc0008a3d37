// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>

#include "exporters/http/page/sections.h"
#include "exporters/render/age.h"
#include "lib/health/health.h"

static void add_fact(struct text *out, const char *name, const char *value, bool bad)
{
	text_add_format(out, "<dt>%s</dt><dd%s>", name, bad ? " class=\"bad\"" : "");
	text_add_html(out, value);
	text_add(out, "</dd>\n");
}

static void add_count(struct text *out, const char *name, int64_t value, bool bad)
{
	text_add_format(out, "<dt>%s</dt><dd%s>%" PRId64 "</dd>\n", name,
			bad ? " class=\"bad\"" : "", value);
}

static void add_quality(struct text *out, const struct snapshot *snap)
{
	const struct snap_live *live = &snap->live;
	char age[32], words[HEALTH_WORDS_BYTES];

	text_add(out, "<section id=\"quality\"><h2>Can it be trusted?</h2>\n<dl>\n");
	add_fact(out, "Agent", health_state(snap), !health_up(snap));
	add_fact(out, "Age of the numbers",
		 health_fresh(snap) ? "current" : format_age(snap->age_ns, age),
		 !health_fresh(snap));
	add_fact(out, "Quality", health_quality_words(snap, words),
		 health_quality(snap) == SHM_QUALITY_NOT_EXACT);
	add_fact(out, "Why", health_quality_reason(snap), false);
	add_count(out, "Kernel minus mirror", live->residual_entries, false);
	add_count(out, "Silent entries", live->silent_entries, false);
	add_count(out, "Events lost", live->events_lost, live->events_lost > 0);
	add_fact(out, "Last resync",
		 live->last_resync_real_ns ? format_time((uint64_t)live->last_resync_real_ns, age)
					   : "never",
		 !live->last_resync_real_ns);
	text_add(out, "</dl></section>\n");
}

static void add_losses(struct text *out, const struct snapshot *snap)
{
	const struct snap_live *live = &snap->live;

	text_add(out, "<section id=\"losses\"><h2>Losses since the machine booted</h2>\n<dl>\n");
	add_count(out, "Dropped, table full", live->stat_drop, live->stat_drop > 0);
	add_count(out, "Evicted", live->stat_early_drop, live->stat_early_drop > 0);
	add_count(out, "Dropped, chain too long", live->stat_chaintoolong,
		  live->stat_chaintoolong > 0);
	add_count(out, "Failed inserts", live->stat_insert_failed, false);
	add_count(out, "Chains too long from, entries", live->chain_limit_entries,
		  live->max_entries > 0 && live->chain_limit_entries < live->max_entries);
	text_add(out, "</dl></section>\n");
}

void render_facts_html(const struct page *page, struct text *out)
{
	add_losses(out, page->snap);
	add_quality(out, page->snap);
}
