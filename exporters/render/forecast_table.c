// SPDX-License-Identifier: GPL-2.0-or-later
/* The forecast as a person reads it at three in the morning. See forecast.h. */
#include <inttypes.h>
#include <stdio.h>

#include "exporters/render/forecast.h"
#include "exporters/render/age.h"
#include "exporters/render/forecast_text.h"
#include "exporters/render/head.h"
#include "exporters/render/port_name.h"
#include "lib/health/health.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define CELL_BYTES  32u

static const struct column ahead_columns[] = {
	{"", 7, "AHEAD", "", ""},   {"", 10, "LOW", "", ""},	       {"", 10, "LIKELY", "", ""},
	{"", 10, "HIGH", "", ""},   {"", 9, "OF LIMIT", "", ""},       {"", 9, "FULL BY", "", ""},
	{"", 9, "DROP BY", "", ""}, {"", 0, "IT HELD BEFORE", "", ""},
};
static const struct column reason_columns[] = {
	{"", 7, "PROTO", "", ""},	   {"", 10, "DIRECTION", "", ""},
	{"", 7, "PORT", "", ""},	   {"service", 14, "SERVICE", "", ""},
	{"", 9, "ENTRIES", "", ""},	   {"", 10, "IN 10 MIN", "", ""},
	{"", 10, "SETTLES", "", ""},	   {"", 8, "NEW/S", "", ""},
	{"", 0, "NEW/S IN A MIN", "", ""},
};

static void label(struct text *out, const char *name)
{
	size_t from = out->bytes;

	text_add(out, name);
	text_pad(out, from, 12);
}

static const char *percent(double share, char out[CELL_BYTES])
{
	if (share > 0 && share < 0.001)
		snprintf(out, CELL_BYTES, "<0.1 %%");
	else
		snprintf(out, CELL_BYTES, share > 0 && share < 0.1 ? "%.1f %%" : "%.0f %%",
			 100 * share);
	return out;
}

static void add_levels(const struct snapshot *snap, struct text *out)
{
	const struct snap_forecast *forecast = &snap->forecast;
	char words[FORECAST_WORDS_BYTES];
	uint32_t entries;

	label(out, "");
	text_add_format(out, "%s%s\n", forecast_settles(snap, words),
			health_settles_at(snap, &entries) ? ", if demand stays as it is" : "");
	label(out, "evictable");
	text_add_format(out, "%" PRIu32 " entries may be evicted when it is full\n",
			forecast->soft_entries);
	label(out, "alarm");
	text_add(out, forecast->alarm ? "YES: full within ten minutes is likely\n" : "no\n");
}

static void add_hits(struct rows *rows, const struct snap_horizon *horizon)
{
	char cell[2 * CELL_BYTES];

	if (!horizon->compared)
		snprintf(cell, sizeof(cell), "not compared yet");
	else
		snprintf(cell, sizeof(cell), "%" PRIu32 " of %" PRIu32 ", %.0f %%", horizon->held,
			 horizon->compared, 100.0 * horizon->held / horizon->compared);
	rows_string(rows, cell);
}

static void add_ahead(const struct snap_forecast *forecast, struct text *out)
{
	char cell[CELL_BYTES];
	struct rows rows;

	text_add_char(out, '\n');
	rows_begin(&rows, out, ROWS_TEXT, ahead_columns, COUNT(ahead_columns));
	for (unsigned int i = 0; i < SHM_HORIZONS; i++) {
		const struct snap_horizon *horizon = &forecast->horizon[i];
		const struct snap_chance *chance = snap_chance_at(forecast, snap_horizons_s[i]);

		rows_string(&rows, forecast_span(snap_horizons_s[i] * UINT64_C(1000), cell));
		rows_u64(&rows, horizon->lo80_entries);
		rows_u64(&rows, horizon->p50_entries);
		rows_u64(&rows, horizon->hi80_entries);
		rows_string(&rows, forecast->limit_entries
					   ? percent((double)horizon->p50_entries /
							     forecast->limit_entries,
						     cell)
					   : "");
		rows_string(&rows, percent(chance->full_ppm / (double)SNAP_PPM, cell));
		rows_string(&rows, percent(chance->drop_ppm / (double)SNAP_PPM, cell));
		add_hits(&rows, horizon);
	}
	rows_end(&rows);
	text_add(out, "LOW to HIGH should hold in 8 cases of 10; the last column says how often it "
		      "did.\n");
}

static void add_reasons(const struct snap_forecast *forecast, const struct services *services,
			struct text *out)
{
	struct rows rows;

	if (!forecast->reason_count)
		return;
	text_add(out, "\nWhat drives it, largest change first:\n");
	rows_begin(&rows, out, ROWS_TEXT, reason_columns, COUNT(reason_columns));
	rows_spare(&rows, "service");
	for (unsigned int i = 0; i < forecast->reason_count; i++) {
		const struct snap_reason *reason = &forecast->reason[i];
		double rate = reason->new_milli_per_s / 1e3;
		double then = rate + 60 * reason->slope_micro_per_s2 / 1e6;

		if (reason->pooled)
			rows_string(&rows, l4proto_info(reason->key.l4proto)->name);
		else
			rows_protocol(&rows, reason->key.l4proto, reason->key.port);
		rows_string(&rows, direction_name(reason->key.direction));
		if (reason->pooled)
			rows_string(&rows, "others");
		else
			rows_port_of(&rows, reason->key.l4proto, reason->key.port);
		rows_string(&rows, reason->pooled ? ""
						  : services_name(services, reason->key.l4proto,
								  reason->key.port));
		rows_u64(&rows, reason->entries);
		rows_u64(&rows, reason->entries_600);
		rows_u64(&rows, reason->settles_at_entries);
		rows_double(&rows, rate);
		rows_double(&rows, then > 0 ? then : 0);
	}
	rows_end(&rows);
}

void render_forecast_text(const struct snapshot *snap, const struct services *services,
			  struct text *out)
{
	const struct snap_forecast *forecast = &snap->forecast;
	char words[FORECAST_WORDS_BYTES], time[32];

	head_banner(snap, out);
	label(out, "forecast");
	text_add_format(out, "%s\n", forecast_words(snap, words));
	label(out, "table");
	head_fill(snap, out);
	text_add_char(out, '\n');
	if (!health_forecast_shown(snap))
		return;
	label(out, "full");
	text_add_format(out, "%s\n", forecast_when(snap, words));
	add_levels(snap, out);
	label(out, "made");
	text_add_format(out, "%s, with %.1f ms of CPU time\n",
			format_time(forecast->computed_real_ns, time), forecast->cost_us / 1e3);
	add_ahead(forecast, out);
	add_reasons(forecast, services, out);
}
