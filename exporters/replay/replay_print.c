// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/replay/replay_print.h"

#include <inttypes.h>
#include <math.h>

#include "lib/base/clock.h"
#include "lib/base/topn.h"

#define TOP_ROWS 10u

/* --- answers ------------------------------------------------------------------ */

static void print_reasons(FILE *out, const struct fc_forecast *fc)
{
	char words[128];

	fc_words(fc, words, sizeof(words));
	fprintf(out, ",\"verdict\":\"%s\",\"reasons\":[", words);
	for (unsigned int i = 0; i < fc->n_reasons; i++) {
		const struct fc_reason *r = &fc->reason[i];

		fprintf(out,
			"%s{\"port\":%u,\"l4proto\":%u,\"entries\":%.0f,\"rate_per_s\":%.3f,"
			"\"slope_per_min2\":%.3f,\"in_600_s\":%.0f,\"steady\":%.0f}",
			i ? "," : "", r->port, r->l4proto, r->entries, r->rate_per_s,
			r->slope_per_s2 * 3600.0, r->entries_600, r->steady_entries);
	}
	fprintf(out, "]");
}

void replay_print_answer(FILE *out, uint64_t k, const struct fc_forecast *fc, bool words)
{
	fprintf(out, "{\"k\":%" PRIu64 ",\"count\":{", k);
	for (unsigned int h = 0; h < 3; h++)
		fprintf(out, "%s\"%u\":[%.1f,%.1f,%.1f,%.1f,%.1f]", h ? "," : "", fc_horizon_s[h],
			fc->count[h].p50, fc->count[h].lo80, fc->count[h].hi80, fc->count[h].lo95,
			fc->count[h].hi95);
	if (isfinite(fc->tte_s))
		fprintf(out, "},\"tte\":%.1f,\"p_full\":{", fc->tte_s);
	else
		fprintf(out, "},\"tte\":null,\"p_full\":{");
	for (unsigned int h = 0; h < FC_FULL_HORIZONS; h++)
		fprintf(out, "%s\"%u\":%.4f", h ? "," : "", fc_full_horizon_s[h], fc->p_full[h]);
	fprintf(out, "},\"alarm\":%d,\"p_drop\":{\"600\":%.4f,\"3600\":%.4f}", fc->alarm,
		fc->p_drop[4], fc->p_drop[7]);
	if (words)
		print_reasons(out, fc);
	fprintf(out, "}\n");
}

/* --- the summary ---------------------------------------------------------------- */

struct top_row {
	uint32_t row;
	uint32_t entries;
};

struct top_rows {
	struct top_row rows[TOP_ROWS];
};

/* The rows with most entries, largest first; returns how many. */
static uint32_t top_rows(const struct histogram *hist, struct top_rows *ret_top)
{
	uint32_t count = 0;
	const struct topn top = TOPN(ret_top->rows, count, entries);

	for (uint32_t row = 0; row < ROW_COUNT; row++) {
		struct top_row one = {.row = row};

		if (!histogram_row_active(hist, row))
			continue;
		one.entries = histogram_row_entries(hist, row);
		if (one.entries)
			topn_add(&top, &one);
	}
	return count;
}

static void print_gaps(FILE *out, const struct replay *replay)
{
	int64_t residual = replay_residual(replay);
	const struct mirror *mirror = &replay->offline.mirror;

	if (replay->lost_events)
		fprintf(out, "lost       %" PRIu64 " events, in %" PRIu64 " gaps\n",
			replay->lost_events, replay->lines[TRACE_LOST]);
	if (replay->lines[TRACE_STAT] && residual)
		fprintf(out,
			"difference the kernel counted %" PRIu64
			" %s: events are missing, or expired "
			"entries were not collected yet\n",
			(uint64_t)(residual < 0 ? -residual : residual),
			residual < 0 ? "less" : "more");
	if (mirror->counters.refused_entries)
		fprintf(out, "refused    %" PRIu64 " entries: the mirror was full\n",
			mirror->counters.refused_entries);
}

void replay_print_summary(FILE *out, const struct replay *replay, const struct fc_forecast *fc)
{
	const struct mirror *mirror = &replay->offline.mirror;
	const uint64_t *lines = replay->lines;
	struct top_rows top;
	unsigned int n = top_rows(&replay->offline.hist, &top);
	char words[128];

	fc_words(fc, words, sizeof(words));
	fprintf(out,
		"trace      %.1f s: %" PRIu64 " entries at the start, then %" PRIu64
		" new, %" PRIu64 " updates, %" PRIu64 " destroyed\n",
		(double)replay->last_ns / (double)NS_PER_S, lines[TRACE_DUMP], lines[TRACE_NEW],
		lines[TRACE_UPDATE], lines[TRACE_DESTROY]);
	fprintf(out, "entries    %u in the mirror at the end", mirror->entries);
	if (lines[TRACE_STAT])
		fprintf(out,
			"; the kernel counted %u, at most %u, with room for %u; "
			"%" PRIu64 " dropped, %" PRIu64 " early",
			replay->count, replay->count_peak, replay->max, replay->drop,
			replay->early_drop);
	fprintf(out, "\n");
	print_gaps(out, replay);
	if (lines[TRACE_STAT])
		fprintf(out, "forecast   %s\n", words);
	for (unsigned int i = 0; i < n; i++) {
		struct row_key key = {0};

		row_key_of(top.rows[i].row, &key);
		/* The number of a protocol without a name here is in place of a port. */
		fprintf(out, "%s%8u  %s", i ? "           " : "ports      ", top.rows[i].entries,
			key.l4proto == L4_OTHER ? "protocol" : l4proto_info(key.l4proto)->name);
		if (key.l4proto == L4_OTHER)
			fprintf(out, " %u", key.port);
		else if (l4proto_info(key.l4proto)->has_ports)
			fprintf(out, " port %u", key.port);
		fprintf(out, "\n");
	}
}

void replay_print_summary_json(FILE *out, const struct replay *replay, const struct fc_forecast *fc)
{
	const struct mirror *mirror = &replay->offline.mirror;
	const uint64_t *lines = replay->lines;
	char words[128];

	fc_words(fc, words, sizeof(words));
	fprintf(out,
		"{\"seconds\":%.3f,\"dump_lines\":%" PRIu64 ",\"new_lines\":%" PRIu64
		",\"update_lines\":%" PRIu64 ",\"destroy_lines\":%" PRIu64
		",\"stat_lines\":%" PRIu64 ",\"eval_lines\":%" PRIu64 ",\"events_lost\":%" PRIu64
		",",
		(double)replay->last_ns / (double)NS_PER_S, lines[TRACE_DUMP], lines[TRACE_NEW],
		lines[TRACE_UPDATE], lines[TRACE_DESTROY], lines[TRACE_STAT], lines[TRACE_EVAL],
		replay->lost_events);
	fprintf(out,
		"\"mirror_entries\":%u,\"entries\":%u,\"entries_peak\":%u,\"max\":%u,"
		"\"drop\":%" PRIu64 ",\"early_drop\":%" PRIu64 ",\"unknown_entries\":%u,"
		"\"refused_entries\":%" PRIu64 ",\"verdict\":\"%s\"}\n",
		mirror->entries, replay->count, replay->count_peak, replay->max, replay->drop,
		replay->early_drop, mirror->unknown_entries, mirror->counters.refused_entries,
		words);
}
