// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/page/forecast_html.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "exporters/render/forecast_text.h"
#include "lib/health/health.h"

/* The picture, in its own units: an hour back, an hour ahead. */
#define WIDTH	720
#define HEIGHT	220
#define TOP	24 /* room for the words above the limit */
#define BOTTOM	26 /* and for the times below */
#define NOW_X	(WIDTH / 2)
#define SPAN_S	3600.0
#define COLUMNS 180 /* of the past: a point every 20 s */

struct chart {
	struct text *out;
	double most; /* entries at the upper edge */
};

static double x_of(double seconds)
{
	return NOW_X + seconds / SPAN_S * (WIDTH - NOW_X);
}

static double y_of(const struct chart *chart, double entries)
{
	double share = entries < chart->most ? entries / chart->most : 1.0;

	return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP);
}

static void add_point(struct chart *chart, double seconds, double entries)
{
	text_add_format(chart->out, "%.1f,%.1f ", x_of(seconds), y_of(chart, entries));
}

static double age_s(const struct snap_sample *sample, uint64_t now_real_ns)
{
	return ((double)now_real_ns - (double)sample->real_ns) / 1e9;
}

/* Of samples within the hour; a clock that was set puts others anywhere. */
static bool in_view(const struct snap_sample *sample, uint64_t now_real_ns)
{
	double age = age_s(sample, now_real_ns);

	return sample->real_ns != 0 && age >= -1 && age <= SPAN_S;
}

static void choose_scale(struct chart *chart, const struct snapshot *snap,
			 const struct snap_history *history, uint64_t now_real_ns)
{
	const struct snap_forecast *forecast = &snap->forecast;
	double most = snap->live.count_entries > 0 ? (double)snap->live.count_entries : 0;

	for (size_t i = 0; history && i < history->sample_count; i++)
		if (in_view(&history->samples[i], now_real_ns))
			most = fmax(most, history->samples[i].count_entries);
	for (unsigned int i = 0; i < SHM_HORIZONS; i++)
		most = fmax(most, forecast->horizon[i].hi80_entries);
	/* A limit far away would press everything else flat. */
	if (forecast->limit_entries && forecast->limit_entries < 4 * most)
		most = fmax(most, forecast->limit_entries);
	chart->most = fmax(1.08 * most, 10);
}

/* The largest sample of each column: a spike must not fall between two points. */
static void add_past(struct chart *chart, const struct snap_history *history, uint64_t now_real_ns,
		     double now_entries)
{
	double column_s = SPAN_S / COLUMNS, entries = -1;
	long column = -1;

	text_add(chart->out, "<polyline class=\"past\" points=\"");
	for (size_t i = 0; history && i < history->sample_count; i++) {
		const struct snap_sample *sample = &history->samples[i];
		long at;

		if (!in_view(sample, now_real_ns))
			continue;
		at = (long)((SPAN_S - age_s(sample, now_real_ns)) / column_s);
		/* A clock that was set back: go on elsewhere, not with a line across. */
		if (at < column) {
			text_add(chart->out, "\"/>\n<polyline class=\"past\" points=\"");
			entries = -1;
		}
		if (at != column && entries >= 0)
			add_point(chart, ((double)column + 0.5) * column_s - SPAN_S, entries);
		entries =
			at != column ? sample->count_entries : fmax(entries, sample->count_entries);
		column = at;
	}
	add_point(chart, 0, now_entries);
	text_add(chart->out, "\"/>\n");
}

static void add_fan(struct chart *chart, const struct snap_forecast *forecast, double now_entries)
{
	text_add(chart->out, "<polygon class=\"fan\" points=\"");
	add_point(chart, 0, now_entries);
	for (unsigned int i = 0; i < SHM_HORIZONS; i++)
		add_point(chart, snap_horizons_s[i], forecast->horizon[i].hi80_entries);
	for (unsigned int i = SHM_HORIZONS; i-- > 0;)
		add_point(chart, snap_horizons_s[i], forecast->horizon[i].lo80_entries);
	text_add(chart->out, "\"/>\n<polyline class=\"likely\" points=\"");
	add_point(chart, 0, now_entries);
	for (unsigned int i = 0; i < SHM_HORIZONS; i++)
		add_point(chart, snap_horizons_s[i], forecast->horizon[i].p50_entries);
	text_add(chart->out, "\"/>\n");
}

static void add_axis(struct chart *chart, const struct snap_forecast *forecast)
{
	static const struct {
		int minutes;
		const char *text;
		const char *anchor;
	} marks[] = {{-60, "60 min ago", "start"},
		     {-30, "30", "middle"},
		     {0, "now", "middle"},
		     {30, "30", "middle"},
		     {60, "in 60 min", "end"}};
	double floor_y = y_of(chart, 0);

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		double x = x_of(60.0 * marks[i].minutes);

		text_add_format(
			chart->out,
			"<line class=\"axis\" x1=\"%.0f\" y1=\"%d\" x2=\"%.0f\" y2=\"%.0f\"/>"
			"<text x=\"%.0f\" y=\"%d\" text-anchor=\"%s\">%s</text>\n",
			x, TOP, x, floor_y, x, HEIGHT - 4, marks[i].anchor, marks[i].text);
	}
	text_add_format(chart->out,
			"<line class=\"axis\" x1=\"0\" y1=\"%.0f\" x2=\"%d\" y2=\"%.0f\"/>\n",
			floor_y, WIDTH, floor_y);
	if (forecast->limit_entries && forecast->limit_entries < chart->most) {
		double y = y_of(chart, forecast->limit_entries);

		text_add_format(chart->out,
				"<line class=\"limit\" x1=\"0\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\"/>"
				"<text x=\"2\" y=\"%.1f\">limit %" PRIu32 "</text>\n",
				y, WIDTH, y, y - 3, forecast->limit_entries);
	}
}

static void add_chart(const struct snapshot *snap, const struct snap_history *history,
		      uint64_t now_real_ns, struct text *out)
{
	const struct snap_forecast *forecast = &snap->forecast;
	struct chart chart = {.out = out};
	double now_entries = snap->live.count_entries > 0 ? (double)snap->live.count_entries : 0;

	choose_scale(&chart, snap, history, now_real_ns);
	text_add_format(
		out,
		"<div class=\"noscript\"><svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" "
		"aria-labelledby=\"forecast-chart\"><title id=\"forecast-chart\">Entries of "
		"the last hour; in an hour %" PRIu32 ", in 8 cases of 10 between %" PRIu32
		" and %" PRIu32 "</title>\n",
		WIDTH, HEIGHT, forecast->horizon[SHM_HORIZONS - 1].p50_entries,
		forecast->horizon[SHM_HORIZONS - 1].lo80_entries,
		forecast->horizon[SHM_HORIZONS - 1].hi80_entries);
	add_axis(&chart, forecast);
	add_fan(&chart, forecast, now_entries);
	add_past(&chart, history, now_real_ns, now_entries);
	text_add(out,
		 "</svg>\n<p class=\"dim\">Line: entries. Dashes: the most likely course. Area: "
		 "where they will be in 8 cases of 10.</p></div>\n");
}

static void add_facts(const struct snapshot *snap, struct text *out)
{
	const struct snap_forecast *forecast = &snap->forecast;
	const struct snap_chance *soon = snap_chance_at(forecast, 600);
	const struct snap_horizon *horizon = &forecast->horizon[2];
	char words[FORECAST_WORDS_BYTES];
	uint32_t entries;

	text_add_format(out, "<dl>\n<dt>Full</dt><dd%s>%s</dd>\n",
			forecast->full_likely_ms == SHM_NEVER_MS ? "" : " class=\"bad\"",
			forecast_when(snap, words));
	text_add_format(
		out,
		"<dt>Within ten minutes</dt><dd>full: %.0f %%, a packet dropped: %.0f %%</dd>\n"
		"<dt>In the end</dt><dd>%s%s</dd>\n",
		100.0 * soon->full_ppm / SNAP_PPM, 100.0 * soon->drop_ppm / SNAP_PPM,
		forecast_settles(snap, words),
		health_settles_at(snap, &entries) ? ", if demand stays as it is" : "");
	text_add(out, "<dt>Accuracy</dt><dd>");
	if (horizon->compared)
		text_add_format(out,
				"of %" PRIu32 " forecasts over ten minutes %" PRIu32
				" held (%.0f %%; 80 %% would be right)",
				horizon->compared, horizon->held,
				100.0 * horizon->held / horizon->compared);
	else
		text_add(out, "none yet");
	text_add(out, "</dd>\n</dl>\n");
}

void render_forecast_html(const struct snapshot *snap, const struct snap_history *history,
			  uint64_t now_real_ns, struct text *out)
{
	const struct snap_forecast *forecast = &snap->forecast;
	char words[FORECAST_WORDS_BYTES];
	bool shown = health_forecast(snap);
	enum shm_verdict verdict = health_verdict(snap);
	bool bad = shown && (forecast->alarm || verdict == SHM_VERDICT_FILLING ||
			     verdict == SHM_VERDICT_FULL);

	text_add_format(out,
			"<section id=\"forecast\"><h2>Forecast</h2>\n<p class=\"verdict%s\"%s>",
			bad ? " bad" : "", shown && forecast->alarm ? " role=\"alert\"" : "");
	text_add_html(out, forecast_words(snap, words));
	text_add(out, "</p>\n");
	if (!shown) {
		text_add(out, "</section>\n");
		return;
	}
	if (history)
		add_chart(snap, history, now_real_ns, out);
	add_facts(snap, out);
	text_add(out,
		 "<p><a href=\"api/v1/forecast?format=text\">All of it, and what drives it</a>, "
		 "<a href=\"api/v1/forecast/history?format=text&amp;horizon=600\">what it said "
		 "before</a></p></section>\n");
}
