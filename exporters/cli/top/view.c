// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/top/view.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "exporters/cli/top/spark.h"
#include "exporters/render/age.h"
#include "exporters/render/forecast_text.h"
#include "exporters/render/rows.h"
#include "exporters/render/table.h"
#include "exporters/render/zones.h"
#include "lib/health/health.h"

const char top_help_text[] =
	"Keys\n"
	"  q F10 Ctrl-C   quit\n"
	"  ? h F1         this help, and back\n"
	"  t              talkers: the addresses that hold most entries\n"
	"  n              NAT: the ports used of each outside address\n"
	"  w              why it is as full as it is, and what to type\n"
	"  i              incidents: when the table filled\n"
	"  Esc            back to the ports, or no filter\n"
	"  < > F6         sort by another column       r I   the other way round\n"
	"  /              show only the rows that have all of these words\n"
	"  up down PgUp PgDn Home End j k g G          move\n"
	"  p Z            pause                        space refresh now\n"
	"  + -            slower, faster\n"
	"\n"
	"Above are the level, the entries, what is lost per second, and why; then the\n"
	"forecast and how far the numbers can be trusted.\n"
	"TREND is the last minutes of a row, each scaled to its own largest value.\n"
	"Nothing is changed by any key: conntide top only reads.\n";

/* --- the two lines above ---------------------------------------------------------- */

static enum canvas_style level_style(enum shm_level level)
{
	static const enum canvas_style styles[SHM_LEVEL_COUNT] = {
		[SHM_LEVEL_UNKNOWN] = STYLE_UNKNOWN, [SHM_LEVEL_OK] = STYLE_OK,
		[SHM_LEVEL_HIGH] = STYLE_HIGH,	     [SHM_LEVEL_CRITICAL] = STYLE_CRITICAL,
		[SHM_LEVEL_FULL] = STYLE_FULL,
	};

	return styles[level];
}

/* "1,234,567" */
static const char *grouped(uint64_t number, char out[32])
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%" PRIu64, number), to = 0;

	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			out[to++] = ',';
		out[to++] = digits[i];
	}
	out[to] = '\0';
	return out;
}

/* Packets and entries lost per second, of all four kinds. */
static double losses_per_s(const struct snap_live *live)
{
	return (double)(live->dropped_milli_per_s + live->evicted_milli_per_s +
			live->chain_milli_per_s + live->insert_failed_milli_per_s) /
	       1000;
}

/* Up to `width` characters of the line at *at, broken at a blank where it is longer, into
 * out; *at is moved to what follows. False at the end. */
static bool next_line(const char **at, int width, char *out, size_t size)
{
	size_t most = (size_t)width < size - 1 ? (size_t)width : size - 1;
	const char *end = strchrnul(*at, '\n');
	size_t n = (size_t)(end - *at);

	if (!**at)
		return false;
	if (n > most) {
		n = most;
		for (size_t i = most; i > most / 2; i--)
			if ((*at)[i] == ' ') {
				n = i;
				break;
			}
		end = *at + n + ((*at)[n] == ' ' ? 1 : 0);
	} else if (*end) {
		end++;
	}
	memcpy(out, *at, n);
	out[n] = '\0';
	*at = end;
	return true;
}

/* Where the next of the parts goes: they stand side by side, and go on on the next line where one
 * has no room. What has none on the last either is left out. */
struct parts {
	struct canvas *canvas;
	int x, y, lines;
};

static void add_part(struct parts *parts, enum canvas_style style, const char *text)
{
	int width = (int)strlen(text), all = parts->canvas->width;
	char line[HEALTH_WORDS_BYTES];

	if (all <= 0)
		return;
	if (parts->x && parts->x + 2 + width > all) {
		if (parts->y + 1 == parts->lines)
			return;
		parts->y++;
		parts->x = 0;
	}
	while (next_line(&text, parts->x ? all - parts->x - 2 : all, line, sizeof(line))) {
		parts->x = canvas_put(parts->canvas, parts->y, parts->x ? parts->x + 2 : 0, style,
				      line);
		if (!*text || parts->y + 1 == parts->lines)
			return;
		parts->y++;
		parts->x = 0;
	}
}

static void add_level(struct parts *parts, const struct snapshot *snap)
{
	const struct snap_live *live = &snap->live;
	enum shm_level level = health_level(snap);
	double lost = losses_per_s(live), fill = health_fill_ratio(live);
	char text[HEALTH_WORDS_BYTES], count[32], max[32];

	add_part(parts, level_style(level), snap_level_name(level));
	if (fill >= 0)
		snprintf(text, sizeof(text), "%s of %s entries, %.1f %%",
			 grouped((uint64_t)live->count_entries, count),
			 grouped((uint64_t)live->limit_entries, max), 100 * fill);
	else
		snprintf(text, sizeof(text), "%s entries, no limit",
			 grouped((uint64_t)live->count_entries, count));
	add_part(parts, STYLE_STRONG, text);
	snprintf(text, sizeof(text), "losses %.0f/s", lost);
	add_part(parts, lost > 0 ? STYLE_CRITICAL : STYLE_PLAIN, text);
	add_part(parts, STYLE_PLAIN, health_level_reason(snap, text));
}

/* Instead of the level: the numbers are not of now. */
static void add_age(struct parts *parts, const struct snapshot *snap)
{
	char age[32], text[64];

	add_part(parts, STYLE_UNKNOWN, "UNKNOWN");
	snprintf(text, sizeof(text), "the numbers are %s%s", format_age(snap->age_ns, age),
		 snap->age_ns == UINT64_MAX ? "" : " old");
	add_part(parts, STYLE_UNKNOWN, text);
	add_part(parts, STYLE_UNKNOWN, health_reason(snap));
}

static void draw_state(struct canvas *canvas, int lines, const struct top_state *state,
		       const struct top_data *data)
{
	struct parts parts = {.canvas = canvas, .lines = lines};
	char words[FORECAST_WORDS_BYTES], where[256];

	if (!data->snap) {
		add_part(&parts, STYLE_UNKNOWN, "UNKNOWN");
		add_part(&parts, STYLE_PLAIN, "no table to look at");
		return;
	}
	if (health_rehearsal(data->snap))
		add_part(&parts, STYLE_FULL, "REHEARSAL");
	if (health_fresh(data->snap))
		add_level(&parts, data->snap);
	else
		add_age(&parts, data->snap);
	if (parts.y == 0) {
		parts.y = 1;
		parts.x = 0;
	}
	if (state->paused)
		add_part(&parts, STYLE_STRONG, "PAUSED");
	add_part(&parts, STYLE_PLAIN, forecast_words(data->snap, words));
	add_part(&parts, STYLE_DIM, health_quality_words(data->snap, words));
	snprintf(where, sizeof(where), "%s %s", data->host, data->snap->netns_name);
	add_part(&parts, STYLE_DIM, where);
}

/* --- the table of ports ------------------------------------------------------------ */

enum port_column {
	COLUMN_PROTO,
	COLUMN_DIRECTION,
	COLUMN_PORT,
	COLUMN_SERVICE,
	COLUMN_ENTRIES,
	COLUMN_SHARE,
	COLUMN_NEW,
	COLUMN_ENDED,
	COLUMN_LIFETIME,
	COLUMN_TREND,
	COLUMN_ZONES,
	COLUMN_STATES,
	COLUMN_COUNT
};

static const struct {
	const char *title;
	int width;	    /* with the blank after it */
	int from;	    /* a screen this wide shows it */
	bool right;	    /* numbers */
	enum sort_key sort; /* SORT_COUNT: none */
} columns[COLUMN_COUNT] = {
	[COLUMN_PROTO] = {"PROTO", 7, 0, false, SORT_L4PROTO},
	[COLUMN_DIRECTION] = {"DIRECTION", 10, 60, false, SORT_DIRECTION},
	[COLUMN_PORT] = {"PORT", 6, 0, true, SORT_PORT},
	[COLUMN_SERVICE] = {"SERVICE", 11, 110, false, SORT_COUNT},
	[COLUMN_ENTRIES] = {"ENTRIES", 10, 0, true, SORT_ENTRIES},
	[COLUMN_SHARE] = {"%", 6, 50, true, SORT_COUNT},
	[COLUMN_NEW] = {"NEW/S", 9, 0, true, SORT_NEW},
	[COLUMN_ENDED] = {"ENDED/S", 9, 120, true, SORT_DESTROYED},
	[COLUMN_LIFETIME] = {"LIFETIME", 10, 130, true, SORT_LIFETIME},
	[COLUMN_TREND] = {"TREND", 14, 76, false, SORT_COUNT},
	[COLUMN_ZONES] = {"ZONES", 18, 96, false, SORT_COUNT},
	[COLUMN_STATES] = {"STATES", 0, 64, false, SORT_COUNT},
};

/* Columns of the trend, less a blank. */
#define TREND_COLUMNS ((unsigned int)columns[COLUMN_TREND].width - 2u)

/* Of no use without zones, or where all rows are of one. */
static bool shows_zones(const struct top_state *state, const struct top_data *data)
{
	return state->zone == SELECT_ANY && zones_used(data->snap);
}

static void put_field(struct canvas *canvas, int y, int *x, enum port_column column,
		      enum canvas_style style, const char *text)
{
	int width = columns[column].width ? columns[column].width : canvas->width - *x;

	if (canvas->width < columns[column].from || *x >= canvas->width)
		return;
	if (columns[column].right) {
		*x = canvas_put_right(canvas, y, *x, width - 1, style, text);
		*x = canvas_put(canvas, y, *x, style, " ");
	} else {
		*x = canvas_put_left(canvas, y, *x, width, style, text);
	}
}

static void draw_headings(struct canvas *canvas, int y, const struct top_state *state, bool ascii,
			  bool zones)
{
	int x = 0;

	canvas_style_row(canvas, y, STYLE_HEADING);
	for (enum port_column column = 0; column < COLUMN_COUNT; column++) {
		if (column == COLUMN_ZONES && !zones)
			continue;
		const char *mark = state->ascending ? (ascii ? "^" : "▲") : (ascii ? "v" : "▼");
		char title[32];

		snprintf(title, sizeof(title), "%s%s", columns[column].title,
			 columns[column].sort == state->sort ? mark : "");
		put_field(canvas, y, &x, column, STYLE_HEADING, title);
	}
}

/* Largest first, as many as fit: "TIME_WAIT 3750 ESTABLISHED 12". */
static void states_text(const struct snap_row *row, char *out, size_t size)
{
	bool shown[STATE_SLOTS_MAX] = {false};
	size_t n = 0;

	out[0] = '\0';
	for (unsigned int i = 0; i < STATE_SLOTS_MAX; i++) {
		unsigned int most = STATE_SLOTS_MAX;
		const char *name;
		int added;

		for (unsigned int s = 0; s < STATE_SLOTS_MAX; s++)
			if (!shown[s] && row->states[s] &&
			    (most == STATE_SLOTS_MAX || row->states[s] > row->states[most]))
				most = s;
		if (most == STATE_SLOTS_MAX)
			return;
		shown[most] = true;
		name = state_name(row->key.l4proto, most);
		added = snprintf(out + n, size - n, "%s%s %" PRIu32, n ? " " : "",
				 name ? name : "?", row->states[most]);
		if (added < 0 || (size_t)added >= size - n)
			return;
		n += (size_t)added;
	}
}

static const char *rate_text(double per_s, char out[32])
{
	if (isnan(per_s))
		return "-";
	snprintf(out, 32, per_s < 100 ? "%.1f" : "%.0f", per_s);
	return out;
}

static const char *lifetime_text(double seconds, char out[32])
{
	return isfinite(seconds) ? format_age((uint64_t)(seconds * 1e9), out) : "-";
}

/* The largest zones: "7=20 9=5 +12 0=3". */
static const char *zones_text(const struct snapshot *snap, const struct snap_row *row, char *out,
			      size_t size)
{
	uint32_t index = row_of(row->key), first = row_first_cell(index);
	struct zone_parts parts;
	struct text text;

	text_init(&text);
	if (zone_parts_make(snap, first, first + row_state_slots(index), row->entries, &parts) == 0)
		zone_parts_plain(&parts, " ", 2, &text);
	zone_parts_free(&parts);
	snprintf(out, size, "%s", text.data ? text.data : "?");
	text_free(&text);
	return out;
}

static void draw_port(struct canvas *canvas, int y, const struct top_data *data,
		      const struct snap_row *row, bool zones)
{
	const struct l4proto_info *info = l4proto_info(row->key.l4proto);
	int64_t count = data->snap->live.mirror_entries;
	char text[256], trend[SPARK_BYTES];
	int x = 0;

	/* Of a protocol without a name here its number is in place of the port. */
	snprintf(text, sizeof(text), "%u", row->key.port);
	put_field(canvas, y, &x, COLUMN_PROTO, STYLE_PLAIN,
		  row->key.l4proto == L4_OTHER ? text
		  : info		       ? info->name
					       : "?");
	put_field(canvas, y, &x, COLUMN_DIRECTION, STYLE_PLAIN, direction_name(row->key.direction));
	put_field(canvas, y, &x, COLUMN_PORT, STYLE_STRONG,
		  row->key.l4proto != L4_OTHER && info && info->has_ports ? text : "-");
	put_field(canvas, y, &x, COLUMN_SERVICE, STYLE_DIM,
		  services_name(data->services, row->key.l4proto, row->key.port));
	put_field(canvas, y, &x, COLUMN_ENTRIES, STYLE_STRONG, grouped(row->entries, text));
	snprintf(text, sizeof(text), "%.1f",
		 count > 0 ? 100.0 * row->entries / (double)count : 0.0);
	put_field(canvas, y, &x, COLUMN_SHARE, STYLE_PLAIN, text);
	put_field(canvas, y, &x, COLUMN_NEW, STYLE_PLAIN, rate_text(row->new_per_s, text));
	put_field(canvas, y, &x, COLUMN_ENDED, STYLE_PLAIN, rate_text(row->destroyed_per_s, text));
	put_field(canvas, y, &x, COLUMN_LIFETIME, STYLE_PLAIN,
		  lifetime_text(row->mean_lifetime_s, text));
	put_field(canvas, y, &x, COLUMN_TREND, STYLE_PLAIN,
		  spark_row(&data->details->minutes, &row->key, row->entries, TREND_COLUMNS,
			    data->ascii, trend));
	if (zones)
		put_field(canvas, y, &x, COLUMN_ZONES, STYLE_PLAIN,
			  zones_text(data->snap, row, text, sizeof(text)));
	states_text(row, text, sizeof(text));
	put_field(canvas, y, &x, COLUMN_STATES, STYLE_DIM, text);
}

/* All that a filter may match, in one text. */
static bool row_matches(const struct snap_row *row, const struct services *services,
			const char *filter)
{
	const struct l4proto_info *info = l4proto_info(row->key.l4proto);
	char words[TOP_FILTER_BYTES], text[512], states[256], *rest = words, *word;

	states_text(row, states, sizeof(states));
	snprintf(text, sizeof(text), "%s %s %u %s/%u %s proto=%s dport=%u %s",
		 info ? info->name : "", direction_name(row->key.direction), row->key.port,
		 info ? info->name : "", row->key.port,
		 services_name(services, row->key.l4proto, row->key.port), info ? info->name : "",
		 row->key.port, states);
	snprintf(words, sizeof(words), "%s", filter);
	while ((word = strsep(&rest, " ")))
		if (*word && !strcasestr(text, word))
			return false;
	return true;
}

/* Leaves the rows that match, in order. */
static void filter_rows(struct selection *selection, const struct top_data *data,
			const char *filter)
{
	size_t kept = 0;

	for (size_t i = 0; i < selection->count; i++)
		if (row_matches(selection->picks[i].row, data->services, filter))
			selection->picks[kept++] = selection->picks[i];
	selection->count = kept;
}

static void draw_ports(struct canvas *canvas, int top, int rows, struct top_state *state,
		       const struct top_data *data)
{
	bool zones = shows_zones(state, data);
	struct selection selection;
	struct select select;

	select_init(&select);
	select.zone = state->zone;
	select.sort = state->sort;
	select.ascending = state->ascending;
	if (select_ports(data->snap, &select, &selection) < 0)
		return;
	filter_rows(&selection, data, state->typing ? state->typed : state->filter);
	draw_headings(canvas, top, state, data->ascii, zones);
	state->lines = selection.count;
	state->page = rows > 1 ? (size_t)rows - 1 : 0;
	top_state_clamp(state);
	for (size_t i = 0; i < state->page && state->first + i < selection.count; i++)
		draw_port(canvas, top + 1 + (int)i, data, selection.picks[state->first + i].row,
			  zones);
	if (!selection.count) {
		struct parts words = {.canvas = canvas, .y = top + 1, .lines = top + rows};

		add_part(&words, STYLE_DIM,
			 state->filter[0] ? "no row has all of these words; Esc shows all rows"
			 : health_empty(data->snap) ? health_empty_words()
						    : "no connection is tracked");
	}
	selection_free(&selection);
}

/* --- text -------------------------------------------------------------------------- */

/* Rows of a table are cut at the edge, other lines go on below. */
static void draw_text(struct canvas *canvas, int top, int rows, struct top_state *state,
		      const char *text)
{
	bool table = state->screen == TOP_TALKERS || state->screen == TOP_NAT ||
		     state->screen == TOP_INCIDENTS;
	const char *at = text ? text : "";
	size_t lines = 0;
	char line[512];
	int width = table ? (int)sizeof(line) : canvas->width;

	if (canvas->width <= 0)
		return;
	while (next_line(&at, width, line, sizeof(line)))
		lines++;
	state->lines = lines;
	state->page = rows > 0 ? (size_t)rows : 0;
	top_state_clamp(state);
	at = text ? text : "";
	for (size_t i = 0; next_line(&at, width, line, sizeof(line)); i++)
		if (i >= state->first && i < state->first + state->page)
			canvas_put(canvas, top + (int)(i - state->first), 0, STYLE_PLAIN, line);
}

/* --- the keys below ---------------------------------------------------------------- */

static void draw_keys(struct canvas *canvas, int y, const struct top_state *state)
{
	static const char *const screens[TOP_SCREENS] = {"ports", "talkers",   "NAT",
							 "why",	  "incidents", "help"};
	static const char *const keys[] = {"q quit",   "? help",  "t talkers",
					   "n NAT",    "w why",	  "i incidents",
					   "/ filter", "<> sort", "p pause"};
	char text[160], zone[32];
	int x;

	if (state->typing) {
		snprintf(text, sizeof(text), "filter: %s_   Enter takes it, Esc does not",
			 state->typed);
		canvas_put(canvas, y, 0, STYLE_STRONG, text);
		return;
	}
	canvas_style_row(canvas, y, STYLE_HEADING);
	snprintf(zone, sizeof(zone), " of zone %d", state->zone);
	snprintf(text, sizeof(text), "%s%s%s%s", screens[state->screen],
		 state->screen == TOP_PORTS && state->zone != SELECT_ANY ? zone : "",
		 state->filter[0] ? ": " : "", state->filter);
	x = canvas_put(canvas, y, 0, STYLE_HEADING, text);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (x + 2 + (int)strlen(keys[i]) <= canvas->width)
			x = canvas_put(canvas, y, x + 2, STYLE_HEADING, keys[i]);
}

void top_draw(struct canvas *canvas, struct top_state *state, const struct top_data *data)
{
	int top = canvas->height > 6 ? 3 : 2;
	int rows = canvas->height - top - 1;

	draw_state(canvas, top, state, data);
	state->lines = state->page = 0;
	if (state->screen == TOP_HELP)
		draw_text(canvas, top, rows, state, top_help_text);
	else if (state->screen == TOP_PORTS && data->snap)
		draw_ports(canvas, top, rows, state, data);
	else if (data->content)
		draw_text(canvas, top, rows, state, data->content->data);
	if (rows > 0)
		draw_keys(canvas, canvas->height - 1, state);
}
