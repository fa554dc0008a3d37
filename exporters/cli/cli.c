// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "exporters/render/age.h"
#include "exporters/render/json.h"
#include "exporters/render/wrap.h"
#include "exporters/render/zones.h"
#include "lib/base/clock.h"
#include "lib/base/options.h"
#include "lib/health/health.h"
#include "lib/shm/reader.h"

int cli_usage(const char *why, const char *what)
{
	char message[OPTION_MESSAGE_BYTES];

	fputs(option_message(message, "conntide", why, what), stderr);
	return CLI_USAGE;
}

int cli_check_netns(const char *name)
{
	return shm_name_is_good(name) ? CLI_OK
				      : cli_usage("--netns: not the name of a table:", name);
}

/* On a terminal the two would stand below each other. */
static bool stderr_too(const struct cli *cli)
{
	return cli->format != ROWS_TEXT || !isatty(STDOUT_FILENO) || !isatty(STDERR_FILENO);
}

/* What standard output begins with when there is no table, for people and for programs. */
static int missing(const struct cli *cli, const char *why)
{
	struct text out;

	cli_text_init(cli, &out);
	if (cli->format == ROWS_TEXT)
		text_add_format(&out, "NO AGENT: %s\n", why);
	else if (cli->format != ROWS_CSV)
		json_status_missing(cli->netns, why, &out);
	return cli_print(cli, &out, CLI_MISSING);
}

int cli_snapshot(const struct cli *cli, struct snapshot *snap)
{
	return cli_snapshot_with(cli, snap, NULL, NULL);
}

static int take(const struct cli *cli, struct snapshot *snap,
		int (*more)(struct shm_reader *reader, void *arg), void *arg,
		char why[CLI_WHY_BYTES])
{
	struct shm_reader reader;
	int err;

	snapshot_init(snap);
	err = shm_reader_init(&reader, cli->runtime_dir, cli->netns);
	if (!err)
		err = shm_reader_install_guard();
	if (!err)
		err = shm_reader_refresh(&reader);
	if (!err)
		err = snapshot_take(&reader, clock_boot_ns(), clock_real_ns(), snap);
	if (!err && more)
		err = more(&reader, arg);
	if (err)
		shm_reader_explain(&reader, err, why, CLI_WHY_BYTES);
	shm_reader_close(&reader);
	if (err)
		snapshot_free(snap);
	return err;
}

int cli_look(const struct cli *cli, struct snapshot *snap, char why[CLI_WHY_BYTES])
{
	return take(cli, snap, NULL, NULL, why);
}

int cli_snapshot_with(const struct cli *cli, struct snapshot *snap,
		      int (*more)(struct shm_reader *reader, void *arg), void *arg)
{
	char why[CLI_WHY_BYTES], age[32];
	int err = take(cli, snap, more, arg, why);

	if (err) {
		if (err != -ENOENT || stderr_too(cli))
			fprintf(stderr, "conntide: %s\n", why);
		return err == -ENOENT ? missing(cli, why) : CLI_ERROR;
	}
	if (health_fresh(snap))
		return CLI_OK;
	if (stderr_too(cli))
		fprintf(stderr, "conntide: %s; the numbers are %s%s\n", health_reason(snap),
			format_age(snap->age_ns, age), snap->age_ns == UINT64_MAX ? "" : " old");
	return CLI_STALE;
}

void cli_zone_note(const struct cli *cli, const struct snapshot *snap, struct text *out)
{
	struct text note;

	if (cli->format == ROWS_TEXT) {
		zone_note(snap, cli->select.zone, out);
		return;
	}
	text_init(&note);
	zone_note(snap, cli->select.zone, &note);
	if (note.bytes)
		fprintf(stderr, "conntide: %s", note.data);
	text_free(&note);
}

void cli_text_init(const struct cli *cli, struct text *out)
{
	struct winsize size;

	text_init(out);
	if (cli->format == ROWS_TEXT && isatty(STDOUT_FILENO) &&
	    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		out->columns = size.ws_col;
}

/* A terminal breaks lines anywhere; we do it between words. */
static void fit_terminal(const struct cli *cli, struct text *out)
{
	struct text wrapped;

	if (!out->columns || !out->data)
		return;
	text_init(&wrapped);
	text_wrap(out, out->columns, cli->keep_indent, &wrapped);
	text_free(out);
	*out = wrapped;
}

int cli_print(const struct cli *cli, struct text *out, int status)
{
	fit_terminal(cli, out);
	if (text_failed(out)) {
		fprintf(stderr, "conntide: out of memory\n");
		status = CLI_ERROR;
	} else if (out->bytes && (fwrite(out->data, 1, out->bytes, stdout) != out->bytes ||
				  fflush(stdout) != 0)) {
		fprintf(stderr, "conntide: standard output: %s\n", strerror(errno));
		status = CLI_ERROR;
	}
	text_free(out);
	return status;
}
