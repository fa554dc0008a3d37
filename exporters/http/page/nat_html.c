// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/page/nat_html.h"

#include <math.h>

#include "exporters/render/forecast_text.h"
#include "exporters/render/nat.h"

#define POOLS_SHOWN 8u

static void add_pool(struct text *out, const struct snap_nat_pool *pool)
{
	char name[NAT_NAME_BYTES], span[32];

	text_add(out, "<tr><th scope=\"row\">");
	text_add_html(out, nat_pool_name(pool, name));
	text_add_format(
		out,
		"</th><td data-label=\"Held\">%u of %u</td><td data-label=\"Share\">%.1f "
		"%%</td><td data-label=\"New/s\">%.1f</td><td data-label=\"Failing\">%.2g %%</td>",
		pool->held, pool->size, 100 * pool->ratio, pool->new_per_s,
		100 * pool->failing_share);
	text_add_format(out, "<td data-label=\"Full in\">%s</td></tr>\n",
			isfinite(pool->likely_s)
				? forecast_span((uint64_t)(1000 * pool->likely_s), span)
				: "\xe2\x80\x93");
}

void render_nat_html(const struct snapshot *snap, bool hosts, struct text *out)
{
	char words[NAT_WORDS_BYTES];

	nat_words(&snap->live, words);
	if (!*words)
		return;
	text_add(out, "<section id=\"nat\"><h2>Ports of source NAT</h2>\n<p");
	text_add(out, (double)snap->live.nat_used_ratio_ppm >= 1e6 * NAT_HIGH_RATIO
			      ? " class=\"bad\">"
			      : ">");
	text_add_html(out, words);
	text_add(out, ".</p>\n");
	if (!hosts || !snap->nat.valid) {
		text_add(out, "</section>\n");
		return;
	}
	text_add(out, "<table class=\"cards\"><thead><tr><th scope=\"col\">Pool</th><th "
		      "scope=\"col\">Held</th>"
		      "<th scope=\"col\">Share</th><th scope=\"col\">New/s</th>"
		      "<th scope=\"col\">Failing</th><th scope=\"col\">Full in</th></tr></thead>"
		      "<tbody>\n");
	for (uint32_t i = 0; i < snap->nat.count && i < POOLS_SHOWN; i++)
		add_pool(out, &snap->nat.pools[i]);
	text_add(out, "</tbody></table></section>\n");
}
