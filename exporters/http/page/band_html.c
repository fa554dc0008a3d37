// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <string.h>

#include "exporters/http/page/sections.h"
#include "exporters/render/age.h"
#include "exporters/render/forecast_text.h"
#include "exporters/render/head.h"
#include "lib/health/health.h"
#include "lib/health/level.h"

/* Before any number. */
static void add_banner(struct text *out, const struct snapshot *snap)
{
	char age[32];

	if (health_rehearsal(snap))
		text_add_format(out, "<p class=\"bad\" role=\"alert\">REHEARSAL: %s.</p>\n",
				health_rehearsal_words());
	if (!health_fresh(snap))
		text_add_format(out,
				"<p class=\"bad\" role=\"alert\" id=\"no-numbers\">No current "
				"numbers: %s. The last "
				"ones are %s%s:</p>\n",
				health_reason(snap), format_age(snap->age_ns, age),
				snap->age_ns == UINT64_MAX ? "" : " old");
}

static void add_loss(struct text *out, const char *name, int64_t milli_per_s, bool *any)
{
	if (milli_per_s <= 0)
		return;
	text_add_format(out, "%s%s %.*f/s", *any ? ", " : "", name, milli_per_s < 10000 ? 1 : 0,
			(double)milli_per_s / 1e3);
	*any = true;
}

static void add_losses(struct text *out, const struct snap_live *live)
{
	bool any = false, lost = live->dropped_milli_per_s > 0 || live->evicted_milli_per_s > 0 ||
				 live->chain_milli_per_s > 0;

	text_add_format(out, "<div><dt>Losses</dt><dd%s>", lost ? " class=\"bad\"" : "");
	add_loss(out, "dropped", live->dropped_milli_per_s, &any);
	add_loss(out, "evicted", live->evicted_milli_per_s, &any);
	add_loss(out, "chain", live->chain_milli_per_s, &any);
	add_loss(out, "insert_failed", live->insert_failed_milli_per_s, &any);
	text_add(out, any ? "</dd></div>\n" : "none at present</dd></div>\n");
}

static void add_stats(struct text *out, const struct snapshot *snap)
{
	char words[FORECAST_WORDS_BYTES];

	text_add(out, "<dl class=\"stats\">\n");
	if (health_fresh(snap))
		add_losses(out, &snap->live);
	text_add(out, "<div><dt>Forecast</dt><dd>");
	text_add_html(out, forecast_words(snap, words));
	text_add_format(out, "</dd></div>\n<div><dt>Quality</dt><dd%s>",
			health_quality(snap) == SHM_QUALITY_NOT_EXACT ? " class=\"bad\"" : "");
	text_add_html(out, health_quality_words(snap, words));
	text_add(out, "</dd></div>\n</dl>\n");
}

void render_band_html(const struct page *page, struct text *out)
{
	const struct snapshot *snap = page->snap;
	const char *level = snap_level_name(health_level(snap));
	double fill = health_fill_ratio(&snap->live);
	char words[HEALTH_WORDS_BYTES];

	text_add_format(out, "<section id=\"band\" class=\"band %s\" aria-label=\"Level\">\n",
			level);
	add_banner(out, snap);
	text_add_format(out,
			"<p class=\"big\" aria-live=\"polite\"><span class=\"level %s\">%s</span> ",
			level, level);
	/* Of old numbers the banner has said it. */
	if (health_fresh(snap))
		text_add_html(out, health_level_reason(snap, words));
	text_add(out, "</p>\n<p>");
	head_fill(snap, out);
	text_add(out, "</p>\n");
	if (health_empty(snap))
		text_add_format(out, "<p>%c%s.</p>\n", toupper(*health_empty_words()),
				health_empty_words() + 1);
	if (fill >= 0)
		text_add_format(out,
				"<meter aria-label=\"Fill\" min=\"0\" max=\"1\" low=\"%.2f\" "
				"high=\"%.2f\" optimum=\"0\" value=\"%.4f\">%.1f %%</meter>\n",
				LEVEL_HIGH_RATIO, LEVEL_CRITICAL_RATIO, fill > 1 ? 1 : fill,
				100 * fill);
	add_stats(out, snap);
	text_add(out, "</section>\n");
}
