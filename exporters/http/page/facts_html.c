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

/* Zeros are folded away. */
static void add_loss(struct text *out, const char *name, int64_t value)
{
	if (value > 0)
		text_add_format(out, "<dt>%s</dt><dd class=\"bad\">%" PRId64 "</dd>\n", name,
				value);
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

	text_add(out, "<section id=\"losses\"><h2>Losses since the machine booted</h2>\n");
	if (live->stat_drop <= 0 && live->stat_early_drop <= 0 && live->stat_chaintoolong <= 0 &&
	    live->stat_insert_failed <= 0) {
		text_add(out, "<p>None.</p></section>\n");
		return;
	}
	text_add(out, "<dl>\n");
	add_loss(out, "Dropped", live->stat_drop);
	add_loss(out, "Evicted", live->stat_early_drop);
	add_loss(out, "Dropped, chain too long", live->stat_chaintoolong);
	add_loss(out, "Failed inserts", live->stat_insert_failed);
	text_add(out, "</dl></section>\n");
}

void render_facts_html(const struct page *page, struct text *out)
{
	add_losses(out, page->snap);
	add_quality(out, page->snap);
}
