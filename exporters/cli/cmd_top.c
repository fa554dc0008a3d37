// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "exporters/cli/cli.h"
#include "exporters/cli/top/top.h"
#include "exporters/render/services.h"
#include "exporters/render/table.h"
#include "lib/base/num.h"

static const char usage[] =
	"usage: conntide top [OPTIONS]\n\n"
	"The table on a terminal: level, losses, forecast, and what fills it. ? lists the keys.\n\n"
	"  -b, --batch          print as text instead, without a terminal\n"
	"  -n, --rounds N       end after N rounds; 0: never (0; with -b 1)\n"
	"  -d, --delay SECONDS  between two looks, 0.1 to 60 (1)\n"
	"  --runtime-dir DIR    where the agent keeps its tables (" CLI_RUNTIME_DIR ")\n"
	"  --netns NAME         which table: DIR/NAME.table (" CLI_NETNS ")\n"
	"  --state-dir DIR      where the agent keeps incidents (" CLI_STATE_DIR ")\n"
	"  -h, --help           this text\n\n"
	"Colours are left out where NO_COLOR is set. Exit status: 0 fine; 1 could not;\n"
	"2 wrong usage; 3 printed, but the numbers are old: the agent does not run.\n";

struct options {
	struct top_options top;
	bool batch;
	bool rounds_given;
	uint64_t rounds; /* 0: until it is ended */
};

/* Tenths of a second; 0: not a delay. */
static unsigned int parse_delay_ds(const char *text)
{
	double seconds;

	return num_double(text, 0.1, 60, &seconds) ? 0 : (unsigned int)lround(seconds * 10);
}

/* -1: go on; else an exit status. */
static int take_option(struct options *options, int letter)
{
	switch (letter) {
	case 'b':
		options->batch = true;
		return -1;
	case 'n':
		options->rounds_given = true;
		return num_u64(optarg, 0, UINT64_MAX, &options->rounds)
			       ? cli_usage("--rounds is a number, not", optarg)
			       : -1;
	case 'd':
		options->top.interval_ds = parse_delay_ds(optarg);
		return options->top.interval_ds
			       ? -1
			       : cli_usage("--delay is 0.1 to 60 seconds, not", optarg);
	case 'r':
		options->top.runtime_dir = optarg;
		return -1;
	case 'N':
		options->top.netns = optarg;
		return cli_check_netns(optarg) ? CLI_USAGE : -1;
	case 'S':
		options->top.state_dir = optarg;
		return -1;
	case 'h':
		fputs(usage, stdout);
		return CLI_OK;
	case ':':
		return cli_usage("missing value after an option", NULL);
	default:
		return cli_usage("unknown option; see conntide top --help", NULL);
	}
}

/* The status, then every row with every state of it. */
static int print_round(const struct cli *cli, const struct services *services)
{
	struct selection selection;
	struct snapshot snap;
	struct text out;
	int status = cli_snapshot(cli, &snap);

	if (status == CLI_ERROR)
		return status;
	text_init(&out);
	table_status(&snap, services, 0, &out);
	text_add_char(&out, '\n');
	if (select_ports(&snap, &cli->select, &selection) < 0)
		out.failed = true;
	render_ports(&snap, &selection, services, ROWS_TEXT, &out);
	selection_free(&selection);
	snapshot_free(&snap);
	return cli_print(&out, status);
}

static int run_batch(struct cli *cli, const struct options *options)
{
	const unsigned int ds = options->top.interval_ds;
	const struct timespec pause = {.tv_sec = ds / 10, .tv_nsec = ds % 10 * 100000000L};
	struct services *services = services_load();
	int status = CLI_OK;

	cli->runtime_dir = options->top.runtime_dir;
	cli->netns = options->top.netns;
	for (uint64_t round = 0;
	     status != CLI_ERROR && (!options->rounds || round < options->rounds); round++) {
		if (round) {
			nanosleep(&pause, NULL);
			puts("");
		}
		status = print_round(cli, services);
	}
	services_free(services);
	return status;
}

static int run_on_terminal(const struct options *options)
{
	int err = top_run(&options->top);

	if (err == -ENOTTY)
		fprintf(stderr,
			"conntide top: standard output is no terminal; -b prints instead\n");
	else if (err == -EINVAL)
		fprintf(stderr,
			"conntide top: this kind of terminal is not known (TERM); -b prints "
			"instead\n");
	else if (err)
		fprintf(stderr, "conntide top: %s\n", strerror(-err));
	return err ? CLI_ERROR : CLI_OK;
}

int cmd_top(struct cli *cli)
{
	static const struct option longs[] = {
		{"batch", no_argument, NULL, 'b'},
		{"rounds", required_argument, NULL, 'n'},
		{"delay", required_argument, NULL, 'd'},
		{"runtime-dir", required_argument, NULL, 'r'},
		{"netns", required_argument, NULL, 'N'},
		{"state-dir", required_argument, NULL, 'S'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct options options = {.top = {.runtime_dir = cli->runtime_dir,
					  .netns = cli->netns,
					  .state_dir = cli->state_dir,
					  .interval_ds = 10}};
	/* getopt() skips the name of the command. */
	int argc = cli->argc + 1, letter, status;
	char **argv = cli->argv - 1;

	opterr = 0;
	optind = 1;
	while ((letter = getopt_long(argc, argv, ":bn:d:h", longs, NULL)) != -1) {
		status = take_option(&options, letter);
		if (status >= 0)
			return status;
	}
	if (optind < argc)
		return cli_usage("unexpected argument", argv[optind]);
	if (!options.batch)
		return run_on_terminal(&options);
	if (!options.rounds_given)
		options.rounds = 1;
	return run_batch(cli, &options);
}
