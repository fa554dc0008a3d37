// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/cli/top: keys, what is drawn at each size, and that nothing leaves the canvas. */
#include "tests/unit/unit.h"

#include <locale.h>
#include <string.h>

#include "exporters/cli/top/spark.h"
#include "exporters/cli/top/view.h"
#include "tests/unit/made.h"

struct drawn {
	struct made *made;
	struct top_state state;
	struct top_data data;
	struct text content;
	struct text text; /* what was drawn last */
};

static void set_up(struct drawn *drawn)
{
	struct snap_row *row;

	memset(drawn, 0, sizeof(*drawn));
	assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
	drawn->made = made_new();
	made_short(drawn->made, DIR_INBOUND, 80, 25, 0.1, 1);
	made_short(drawn->made, DIR_OUTBOUND, 8080, 20, 0.1, 1);
	row = made_row(drawn->made, L4_UDP, DIR_FORWARDED, 53);
	made_state(row, ST_GENERIC_REPLIED, 7);
	made_rate(row, 99);
	made_frames(drawn->made, 20);
	top_state_init(&drawn->state);
	text_init(&drawn->content);
	text_init(&drawn->text);
	drawn->data = (struct top_data){.host = "gw1",
					.snap = &drawn->made->snap,
					.details = &drawn->made->details,
					.content = &drawn->content};
}

static void tear_down(struct drawn *drawn)
{
	text_free(&drawn->text);
	text_free(&drawn->content);
	made_free(drawn->made);
}

static const char *draw(struct drawn *drawn, int width, int height)
{
	struct canvas canvas;

	canvas_init(&canvas, width, height);
	top_draw(&canvas, &drawn->state, &drawn->data);
	text_clear(&drawn->text);
	canvas_print(&canvas, &drawn->text);
	canvas_free(&canvas);
	return drawn->text.data ? drawn->text.data : "";
}

/* Row `y` of what was drawn last. */
static const char *line(const struct drawn *drawn, int y, char out[512])
{
	const char *at = drawn->text.data;

	while (y-- > 0 && at)
		at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL;
	snprintf(out, 512, "%.*s", at ? (int)strcspn(at, "\n") : 0, at ? at : "");
	return out;
}

#define assert_shows(text, part) assert_non_null(strstr(text, part))
#define assert_hides(text, part) assert_null(strstr(text, part))

static void test_first_screen(void **state)
{
	struct drawn drawn;
	const char *text;

	(void)state;
	set_up(&drawn);
	text = draw(&drawn, 80, 24);
	assert_shows(text, " entries, ");
	assert_shows(text, "losses 0/s");
	assert_shows(text, "PROTO");
	assert_shows(text, "TIME_WAIT");
	assert_shows(text, "8080");
	assert_shows(text, "q quit");
	tear_down(&drawn);
}

static void test_narrow_drops_columns_not_numbers(void **state)
{
	struct drawn drawn;
	const char *text;

	(void)state;
	set_up(&drawn);
	text = draw(&drawn, 40, 10);
	assert_shows(text, "ENTRIES");
	assert_shows(text, "8080");
	assert_hides(text, "TREND");
	text = draw(&drawn, 200, 60);
	assert_shows(text, "SERVICE");
	assert_shows(text, "LIFETIME");
	assert_shows(text, "ENDED/S");
	tear_down(&drawn);
}

/* ESP and GRE: the number or the name, and no port. */
static void test_what_has_no_ports(void **state)
{
	struct drawn drawn;
	const char *text, *esp;

	(void)state;
	set_up(&drawn);
	made_state(made_row(drawn.made, L4_OTHER, DIR_FORWARDED, 50), ST_GENERIC_ASSURED, 9000);
	made_state(made_row(drawn.made, L4_GRE, DIR_FORWARDED, 0), ST_GENERIC_ASSURED, 8000);
	made_look(drawn.made);
	text = draw(&drawn, 80, 24);
	assert_hides(text, "other ");
	esp = strstr(text, "\n50 ");
	assert_non_null(esp);
	assert_int_equal(strncmp(esp, "\n50     forwarded     -", 22), 0);
	assert_shows(text, "\ngre    forwarded     -");
	tear_down(&drawn);
}

/* What has no room on the first line goes on the second, whole; keys are whole or not there. */
static void test_parts_stay_whole(void **state)
{
	struct drawn drawn;
	char text[512];

	(void)state;
	set_up(&drawn);
	drawn.made->snap.live.level = SHM_LEVEL_FULL;
	drawn.made->snap.live.level_reason = SHM_LEVEL_REASON_DROPPING;
	drawn.made->snap.live.level_value = 39;
	drawn.made->snap.live.dropped_milli_per_s = 38600;
	drawn.made->snap.live.evicted_milli_per_s = 65000;
	for (int width = 40; width <= 200; width++) {
		draw(&drawn, width, 24);
		assert_shows(line(&drawn, 0, text), "FULL  ");
		if (width >= 60) {
			assert_shows(text, "losses 104/s");
			assert_shows(drawn.text.data, "new connections are refused, about 39/s");
		}
		assert_shows(line(&drawn, 23, text), "ports  q quit  ? help");
		assert_true(!strstr(text, "so") == !strstr(text, "<> sort"));
		assert_true(!strstr(text, "i inc") == !strstr(text, "i incidents"));
	}
	tear_down(&drawn);
}

/* A row of a table is cut at the edge: its rest is no row. */
static void test_rows_stay_rows(void **state)
{
	struct drawn drawn;

	(void)state;
	set_up(&drawn);
	text_add(&drawn.content,
		 "KIND         ADDRESS        ENTRIES\nsource       192.0.2.1      7\n");
	top_key(&drawn.state, 't');
	draw(&drawn, 20, 24);
	assert_int_equal(drawn.state.lines, 2);
	tear_down(&drawn);
}

static void test_sorting(void **state)
{
	struct drawn drawn;
	char first[512];

	(void)state;
	set_up(&drawn);
	draw(&drawn, 100, 24);
	assert_shows(line(&drawn, 4, first), " 80 ");
	top_key(&drawn.state, '>'); /* new per second */
	draw(&drawn, 100, 24);
	assert_shows(line(&drawn, 4, first), " 53 ");
	top_key(&drawn.state, 'r');
	draw(&drawn, 100, 24);
	assert_shows(line(&drawn, 4, first), "8080");
	for (int i = 0; i < 7; i++)
		top_key(&drawn.state, '<');
	assert_int_equal(drawn.state.sort, SORT_NEW);
	tear_down(&drawn);
}

static void type(struct drawn *drawn, const char *text)
{
	for (; *text; text++)
		top_key(&drawn->state, *text);
}

static void test_filter(void **state)
{
	static const struct {
		const char *filter;
		const char *shown; /* NULL: no row */
		const char *hidden;
	} rows[] = {
		{"/outbound\n", "8080", " 53 "},       {"/udp forwarded\n", " 53 ", "8080"},
		{"/tcp/8080\n", "8080", "inbound"},    {"/proto=udp dport=53\n", " 53 ", "8080"},
		{"/time_wait\n", "8080", "forwarded"}, {"/nowhere\n", NULL, "8080"},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		struct drawn drawn;
		const char *text;

		set_up(&drawn);
		type(&drawn, rows[i].filter);
		text = draw(&drawn, 100, 24);
		assert_shows(text, rows[i].shown ? rows[i].shown : "no row has all");
		assert_hides(text, rows[i].hidden);
		top_key(&drawn.state, TOP_KEY_ESCAPE);
		assert_shows(draw(&drawn, 100, 24), "8080");
		tear_down(&drawn);
	}
}

static void test_typing_takes_all_keys(void **state)
{
	struct drawn drawn;

	(void)state;
	set_up(&drawn);
	type(&drawn, "/q");
	assert_false(drawn.state.quit);
	assert_shows(draw(&drawn, 80, 24), "filter: q_");
	top_key(&drawn.state, TOP_KEY_BACKSPACE);
	top_key(&drawn.state, TOP_KEY_BACKSPACE);
	for (int i = 0; i < 200; i++)
		top_key(&drawn.state, 'x');
	assert_int_equal(strlen(drawn.state.typed), TOP_FILTER_BYTES - 1);
	top_key(&drawn.state, TOP_KEY_ESCAPE);
	assert_string_equal(drawn.state.filter, "");
	top_key(&drawn.state, 'q');
	assert_true(drawn.state.quit);
	tear_down(&drawn);
}

static void test_screens_and_back(void **state)
{
	struct drawn drawn;

	(void)state;
	set_up(&drawn);
	text_add(&drawn.content, "first line\nsecond line\n");
	top_key(&drawn.state, 'w');
	assert_int_equal(drawn.state.screen, TOP_WHY);
	assert_shows(draw(&drawn, 80, 24), "second line");
	top_key(&drawn.state, '?');
	assert_shows(draw(&drawn, 80, 24), "sort by another column");
	top_key(&drawn.state, '?');
	assert_int_equal(drawn.state.screen, TOP_WHY);
	top_key(&drawn.state, 'w');
	assert_int_equal(drawn.state.screen, TOP_PORTS);
	top_key(&drawn.state, 'i');
	top_key(&drawn.state, TOP_KEY_ESCAPE);
	assert_int_equal(drawn.state.screen, TOP_PORTS);
	tear_down(&drawn);
}

static void test_long_text_wraps_and_scrolls(void **state)
{
	struct drawn drawn;
	char first[512];

	(void)state;
	set_up(&drawn);
	for (int i = 0; i < 100; i++)
		text_add_format(&drawn.content, "line %d\n", i);
	text_add(&drawn.content, "one two three four five six seven eight nine ten\n");
	top_key(&drawn.state, 'w');
	draw(&drawn, 20, 24);
	assert_int_equal(drawn.state.lines, 103);
	top_key(&drawn.state, TOP_KEY_END);
	assert_shows(draw(&drawn, 20, 24), "nine ten");
	top_key(&drawn.state, TOP_KEY_HOME);
	top_key(&drawn.state, TOP_KEY_PAGE_DOWN);
	top_key(&drawn.state, TOP_KEY_UP);
	draw(&drawn, 20, 24);
	assert_string_equal(line(&drawn, 3, first), "line 18");
	tear_down(&drawn);
}

static void test_no_table(void **state)
{
	struct drawn drawn;

	(void)state;
	set_up(&drawn);
	drawn.data.snap = NULL;
	text_add(&drawn.content, "no agent\n");
	assert_shows(draw(&drawn, 80, 24), "UNKNOWN");
	assert_shows(drawn.text.data, "no agent");
	tear_down(&drawn);
}

static void test_old_numbers_are_marked(void **state)
{
	struct drawn drawn;
	char first[512];

	(void)state;
	set_up(&drawn);
	drawn.made->snap.agent = SNAP_AGENT_STOPPED;
	drawn.made->snap.age_ns = UINT64_C(90) * 1000000000u;
	draw(&drawn, 120, 24);
	assert_shows(line(&drawn, 0, first), "UNKNOWN");
	assert_shows(first, "90 s old");
	tear_down(&drawn);
}

/* Before the level, and before what replaces it, at every width. */
static void test_rehearsal_comes_first(void **state)
{
	struct drawn drawn;
	char first[512];

	(void)state;
	set_up(&drawn);
	drawn.made->snap.live.max_entries = 1000;
	drawn.made->snap.live.assumed_max_entries = 1000;
	for (int width = 20; width <= 200; width += 20) {
		draw(&drawn, width, 24);
		assert_ptr_equal(strstr(line(&drawn, 0, first), "REHEARSAL  "), first);
	}
	drawn.made->snap.agent = SNAP_AGENT_STOPPED;
	draw(&drawn, 120, 24);
	assert_ptr_equal(strstr(line(&drawn, 0, first), "REHEARSAL  UNKNOWN"), first);
	tear_down(&drawn);
}

static void test_interval(void **state)
{
	struct top_state top;

	(void)state;
	top_state_init(&top);
	for (int i = 0; i < 100; i++)
		top_key(&top, '-');
	assert_int_equal(top.interval_ds, TOP_INTERVAL_MIN_DS);
	for (int i = 0; i < 200; i++)
		top_key(&top, '+');
	assert_int_equal(top.interval_ds, TOP_INTERVAL_MAX_DS);
}

static void test_sparkline(void **state)
{
	struct snap_frame frames[3] = {{.row_count = 1}, {.row_count = 1}, {.row_count = 0}};
	const struct snap_table_log log = {.frames = frames, .count = 3};
	const struct row_key key = {L4_TCP, DIR_INBOUND, 80};
	char out[SPARK_BYTES];

	(void)state;
	frames[0].rows[0] = (struct snap_frame_row){.key = key, .entries = 1};
	frames[1].rows[0] = (struct snap_frame_row){.key = key, .entries = 50};
	assert_string_equal(spark_row(&log, &key, 100, 4, true, out), ".: #");
	assert_string_equal(spark_row(&log, &key, 100, 4, false, out), "▁▄ █");
	assert_string_equal(spark_row(&log, &key, 0, 2, true, out), "  ");
	assert_string_equal(spark_row(&log, &key, 5, 0, true, out), "");
	spark_row(&log, &key, 5, 10000, false, out);
	assert_true(strlen(out) < SPARK_BYTES);
}

/* Under ASan: whatever is typed, at whatever size, nothing leaves the canvas. */
static void play(uint64_t seed)
{
	static const int keys[] = {'q',
				   '?',
				   't',
				   'n',
				   'w',
				   'i',
				   '<',
				   '>',
				   'r',
				   '/',
				   '\n',
				   27,
				   ' ',
				   'p',
				   '+',
				   '-',
				   'j',
				   'k',
				   'g',
				   'G',
				   3,
				   127,
				   TOP_KEY_UP,
				   TOP_KEY_DOWN,
				   TOP_KEY_PAGE_UP,
				   TOP_KEY_PAGE_DOWN,
				   TOP_KEY_HOME,
				   TOP_KEY_END,
				   TOP_KEY_F1,
				   TOP_KEY_F6,
				   TOP_KEY_F10,
				   -1,
				   0,
				   0x20ac};
	struct rng rng = rng_seeded(seed);
	struct drawn drawn;

	set_up(&drawn);
	text_add(&drawn.content, "a text of\nseveral lines \xff\xe2\x82 and no end of words ");
	for (int i = 0; i < 2000; i++) {
		top_key(&drawn.state, rng_percent(&rng, 70)
					      ? keys[rng_below(&rng, UNIT_COUNT(keys))]
					      : (int)rng_below(&rng, 0x110100));
		if (rng_percent(&rng, 20))
			draw(&drawn, (int)rng_below(&rng, 220), (int)rng_below(&rng, 70));
	}
	tear_down(&drawn);
}

static void test_random_keys(void **state)
{
	(void)state;
	unit_seeds("keys", 10, play);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_screen),
		cmocka_unit_test(test_narrow_drops_columns_not_numbers),
		cmocka_unit_test(test_what_has_no_ports),
		cmocka_unit_test(test_parts_stay_whole),
		cmocka_unit_test(test_rows_stay_rows),
		cmocka_unit_test(test_sorting),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_typing_takes_all_keys),
		cmocka_unit_test(test_screens_and_back),
		cmocka_unit_test(test_long_text_wraps_and_scrolls),
		cmocka_unit_test(test_no_table),
		cmocka_unit_test(test_old_numbers_are_marked),
		cmocka_unit_test(test_rehearsal_comes_first),
		cmocka_unit_test(test_interval),
		cmocka_unit_test(test_sparkline),
		cmocka_unit_test(test_random_keys),
	};

	return cmocka_run_group_tests_name("top", tests, NULL, NULL);
}
