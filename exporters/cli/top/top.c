// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/top/top.h"

#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "exporters/advice/advice.h"
#include "exporters/advice/incident_view.h"
#include "exporters/advice/why.h"
#include "exporters/cli/top/screen.h"
#include "exporters/cli/top/view.h"
#include "exporters/render/incidents.h"
#include "exporters/render/nat.h"
#include "exporters/render/talkers.h"
#include "exporters/render/wrap.h"
#include "lib/base/clock.h"
#include "lib/shm/reader.h"

struct top {
	const struct top_options *options;
	struct shm_reader reader;
	struct snapshot snap;
	struct snap_detail details;
	struct services *services;
	struct text content;
	enum top_screen content_of;
	bool has_table;
	char problem[512];
	char host[128];
	struct top_state state;
};

/* --- what is shown ------------------------------------------------------------------- */

/* 0, or -errno with a sentence in top->problem. */
static int take(struct top *top)
{
	int err = shm_reader_refresh(&top->reader);

	if (!err)
		err = snapshot_take(&top->reader, clock_boot_ns(), clock_real_ns(), &top->snap);
	if (!err)
		err = snapshot_take_detail(&top->reader, &top->details);
	if (err)
		shm_reader_explain(&top->reader, err, top->problem, sizeof(top->problem));
	/* After a first look old numbers, marked as such, are better than none. */
	top->has_table = top->has_table || !err;
	return err;
}

/* Adds text, broken between words at the edge of the screen. */
static void add_wrapped(struct top *top, const struct text *from)
{
	if (text_failed(from))
		top->content.failed = true;
	else
		text_wrap(from, top->content.columns, 0, &top->content);
}

static void add_sentence(struct top *top, const char *sentence)
{
	struct text text;

	text_init(&text);
	text_add_format(&text, "%s\n", sentence);
	add_wrapped(top, &text);
	text_free(&text);
}

/* What to type first, then what it rests on. */
static void write_why(struct top *top, const struct model *model)
{
	struct advice *advice = malloc(sizeof(*advice));
	struct text text;
	struct why why;

	text_init(&text);
	text.columns = top->content.columns;
	why_look(&top->snap, &top->details, model, &why);
	if (!advice || advice_make(&why, advice))
		text.failed = true;
	else {
		advice_name_hosts(advice);
		advice_text(advice, &text);
	}
	free(advice);
	text_add(&text, "\n");
	why_text(&why, top->services, true, &text);
	add_wrapped(top, &text);
	text_free(&text);
}

static void write_nat(struct top *top)
{
	char words[NAT_WORDS_BYTES];

	if (!top->snap.nat.count) {
		add_sentence(top, NAT_NONE);
		return;
	}
	if (*nat_words(&top->snap.live, words))
		add_sentence(top, words);
	render_nat(&top->snap.nat, NAT_ANY_ZONE, 0, ROWS_TEXT, &top->content);
}

static void write_incidents(struct top *top)
{
	const struct top_options *options = top->options;
	int fd = incident_dir_open(options->state_dir, options->netns);
	const char *patterns[INCIDENT_PATTERNS];
	struct incident_list list = {0};
	uint8_t boot_id[16] = {0};
	int err = fd < 0 ? fd : incident_list_read(&list, fd);

	boot_id_read(boot_id);
	if (err && err != -ENOENT) {
		char text[512];

		snprintf(text, sizeof(text), "%s/%s" INCIDENT_DIR_SUFFIX ": %s%s",
			 options->state_dir, options->netns, strerror(-err),
			 err == -EACCES ? "; run as root or join the group conntide" : "");
		add_sentence(top, text);
	} else if (!list.count) {
		text_add(&top->content, "no incident has been kept\n");
	} else {
		struct incident_view_files files = {incident_load, fd};

		incident_view_patterns(&files, &list, 0, patterns);
		render_incidents(&list, boot_id, patterns, 0, ROWS_TEXT, &top->content);
	}
	incident_list_free(&list);
	if (fd >= 0)
		close(fd);
}

/* The screens that are text, by the renderers of the other commands. */
static void write_content(struct top *top)
{
	const struct talkers_wanted all = {.kind = -1, .format = ROWS_TEXT};
	struct model model;

	text_clear(&top->content);
	top->content_of = top->state.screen;
	if (!top->has_table) {
		add_sentence(top, top->problem);
		return;
	}
	switch (top->state.screen) {
	case TOP_TALKERS:
	case TOP_NAT:
		if (top->details.hosts_error)
			add_sentence(top, top->details.hosts_why);
		else if (top->state.screen == TOP_NAT)
			write_nat(top);
		else
			render_talkers(&top->snap, &top->details, &all, top->services,
				       &top->content);
		break;
	case TOP_WHY:
		if (model_build(&top->snap, &top->details, &model) == 0) {
			write_why(top, &model);
			model_free(&model);
		}
		break;
	case TOP_INCIDENTS:
		write_incidents(top);
		break;
	default:
		break;
	}
}

static bool needs_content(const struct top *top)
{
	return top->state.screen != top->content_of;
}

static void draw(struct top *top, struct canvas *canvas)
{
	const struct top_data data = {
		.host = top->host,
		.snap = top->has_table ? &top->snap : NULL,
		.details = &top->details,
		.services = top->services,
		.content = &top->content,
		.ascii = !screen_is_unicode(),
	};

	top_draw(canvas, &top->state, &data);
}

/* --- on a terminal -------------------------------------------------------------------- */

static void redraw(struct top *top)
{
	struct canvas canvas;
	int width, height;

	screen_size(&width, &height);
	canvas_init(&canvas, width, height);
	if (needs_content(top) || top->content.columns != (size_t)width) {
		top->content.columns = (size_t)width;
		write_content(top);
	}
	draw(top, &canvas);
	screen_show(&canvas);
	canvas_free(&canvas);
}

static int left_ms(uint64_t due_ns)
{
	uint64_t now_ns = clock_boot_ns();

	return now_ns >= due_ns ? 0 : (int)((due_ns - now_ns + 999999u) / 1000000u);
}

static void look(struct top *top)
{
	take(top);
	write_content(top);
}

static int run(struct top *top)
{
	int err = screen_open();

	if (err)
		return err;
	while (!top->state.quit && !screen_ended()) {
		uint64_t due_ns = clock_boot_ns() + top->state.interval_ds * 100000000ull;

		if (!top->state.paused || top->state.refresh)
			look(top);
		top->state.refresh = false;
		do {
			int key;

			redraw(top);
			key = screen_key(left_ms(due_ns));
			if (key >= 0)
				top_key(&top->state, key);
		} while (!top->state.quit && !top->state.refresh && !screen_ended() &&
			 left_ms(due_ns) > 0);
	}
	screen_close();
	return 0;
}

int top_run(const struct top_options *options)
{
	struct top *top = calloc(1, sizeof(*top));
	int err =
		top ? shm_reader_init(&top->reader, options->runtime_dir, options->netns) : -ENOMEM;

	if (!err)
		err = shm_reader_install_guard();
	if (err) {
		free(top);
		return err;
	}
	setlocale(LC_CTYPE, "");
	top->options = options;
	snapshot_init(&top->snap);
	snap_detail_init(&top->details);
	text_init(&top->content);
	top->services = services_load();
	gethostname(top->host, sizeof(top->host) - 1);
	top_state_init(&top->state);
	top->state.zone = options->zone;
	top->state.interval_ds = options->interval_ds;
	for (int i = 0; i < options->filter_words; i++)
		top_filter_add(&top->state, options->filter[i]);
	err = run(top);
	services_free(top->services);
	text_free(&top->content);
	snap_detail_free(&top->details);
	snapshot_free(&top->snap);
	shm_reader_close(&top->reader);
	free(top);
	return err;
}
