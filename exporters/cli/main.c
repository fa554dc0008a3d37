// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/cli/cli.h"
#include "exporters/render/age.h"
#include "exporters/render/table.h"
#include "exporters/render/talkers.h"
#include "lib/base/build_info.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/base/options.h"
#include "lib/health/health.h"
#include "lib/incident/incident.h"
#include "lib/kernel/states.h"
#include "lib/shm/reader.h"

static const struct command commands[] = {
	{"status", cmd_status, "", "how full the table is, and how far that can be trusted", "rNj"},
	{"top", cmd_top, "[OPTIONS]", "the table on a terminal, live; see conntide top --help",
	 NULL},
	{"ports", cmd_ports, "", "what fills it: entries by port and state", "rNjfsnldpt"},
	{"cells", cmd_cells, "", "the histogram: protocol, direction, port, state, entries",
	 "rNjfsnldpt"},
	{"forecast", cmd_forecast, "", "when it will be full, or where it levels off", "rNjfnHo"},
	{"why", cmd_why, "", "what holds it, what grew, and which known pattern that is", "rNj"},
	{"advice", cmd_advice, "", "what would help here: savings, commands, warnings", "rNj"},
	{"whatif", cmd_whatif, "[KEY=VALUE...]",
	 "where it settles after a change, like notrack=tcp/80,\n"
	 "           timeout.tcp_time_wait=30, max=524288, buckets=131072, rate.tcp/80=2,\n"
	 "           keepalive=tcp/8080",
	 "rNj"},
	{"nat", cmd_nat, "", "the ports of source NAT: what runs out although the table is empty",
	 "rNjfn"},
	{"talkers", cmd_talkers, "", "the addresses that hold most entries", "rNjfnk"},
	{"incidents", cmd_incidents, "[ID]", "when the table filled, and what it looked like then",
	 "rNSjfng"},
	{"explain", cmd_explain, "[METRIC|STATE]", "what a metric or a state means, what to do",
	 ""},
	{"record", cmd_record, "[OPTIONS]",
	 "write live events to a trace; see conntide record --help", NULL},
	{"replay", cmd_replay, "[OPTIONS] [FILE|-]",
	 "run a trace through mirror and forecast; see conntide replay --help", NULL},
	{"run", cmd_run, "[OPTIONS OF AGENT AND EXPORTER]",
	 "start agent and exporter here; stop both with Ctrl-C", NULL},
};

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static const struct cli_option {
	char letter;
	const char *name;
	const char *argument;
	const char *help;
} cli_options[] = {
	{'r', "runtime-dir", "DIR", "where the agent keeps its tables (" CLI_RUNTIME_DIR ")"},
	{'N', "netns", "NAME", "which table: DIR/NAME.table (host)"},
	{'S', "state-dir", "DIR", "where the agent keeps incidents (" CLI_STATE_DIR ")"},
	{'j', "json", NULL, "JSON, for programs"},
	{'f', "format", "FORMAT", "json, ndjson, csv or text"},
	{'s', "sort", "KEY",
	 "entries, port, l4proto, direction, state, new_per_second,\n"
	 "                       destroyed_per_second, mean_lifetime_seconds; -KEY: downwards"},
	{'n', "limit", "N", "at most N rows; 0: all"},
	{'l', "l4proto", "NAME", "only tcp, udp, sctp, icmp, icmpv6, gre or other"},
	{'d', "direction", "NAME", "only inbound, outbound, forwarded or loopback"},
	{'p', "port", "N", "only this destination port"},
	{'t', "state", "NAME", "only entries in this state"},
	{'H', "history", NULL, "past forecasts, and what came"},
	{'o', "horizon", "SECONDS", "of past forecasts only those 30, 120, 600 or 3600 s ahead"},
	{'k', "kind", "KIND", "only source, destination, service, source64 or destination64"},
	{'g', "stage", "NAME", "of an incident: high, critical, drops or recovered (the worst)"},
	{'h', "help", NULL, "this text"},
};

#define OPTION_COUNT (sizeof(cli_options) / sizeof(cli_options[0]))

static void help(FILE *to)
{
	fprintf(to, "usage: conntide COMMAND [OPTIONS]\n\n"
		    "Watches the connection-tracking table of Linux.\n\nCommands:\n");
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].help);
	fprintf(to, "\nOptions of the commands:\n");
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		char left[40];

		snprintf(left, sizeof(left), "--%s%s%s", cli_options[i].name,
			 cli_options[i].argument ? " " : "",
			 cli_options[i].argument ? cli_options[i].argument : "");
		fprintf(to, "  %-20s %s\n", left, cli_options[i].help);
	}
	fprintf(to, "  %-20s %s\n", "--version", "version");
	fprintf(to, "\nExit status: 0 fine; 1 could not, and the message says what to do;\n"
		    "2 wrong usage; 3 done, but the numbers are old: the agent does not run.\n");
}

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

/* 0, or the exit status after a message. */
static int take_filter(struct cli *cli, int letter, const char *value)
{
	uint32_t number;

	switch (letter) {
	case 'l':
		cli->select.l4proto = l4proto_by_name(value);
		return cli->select.l4proto < 0 ? cli_usage("no such protocol:", value) : 0;
	case 'd':
		cli->select.direction = direction_by_name(value);
		return cli->select.direction < 0 ? cli_usage("no such direction:", value) : 0;
	case 'p':
		if (num_u32(value, 0, 65535, &number) < 0)
			return cli_usage("a port is a number from 0 to 65535, not", value);
		cli->select.port = (int)number;
		return 0;
	default:
		if (!state_name_exists(value) || strlen(value) >= sizeof(cli->select.state))
			return cli_usage("no such state:", value);
		strcpy(cli->select.state, value);
		return 0;
	}
}

static int take_sort(struct cli *cli, const char *value)
{
	bool down = value[0] == '-';
	int key = sort_key_by_name(value + down);

	if (key < 0)
		return cli_usage("cannot sort by", value + down);
	cli->select.sort = (enum sort_key)key;
	/* Names and ports read upwards, amounts downwards, unless said otherwise. */
	cli->select.ascending = !down && key != SORT_ENTRIES && key != SORT_NEW &&
				key != SORT_DESTROYED && key != SORT_LIFETIME;
	return 0;
}

static int take_horizon(struct cli *cli, const char *value)
{
	uint32_t number;

	for (unsigned int i = 0; i < SHM_HORIZONS; i++)
		if (num_u32(value, snap_horizons_s[i], snap_horizons_s[i], &number) == 0)
			cli->horizon_s = snap_horizons_s[i];
	return cli->horizon_s ? 0 : cli_usage("a horizon is 30, 120, 600 or 3600, not", value);
}

static int take_option(struct cli *cli, int letter, const char *value)
{
	uint32_t number;
	int format;

	switch (letter) {
	case 'r':
		cli->runtime_dir = value;
		return 0;
	case 'N':
		cli->netns = value;
		return cli_check_netns(value);
	case 'S':
		cli->state_dir = value;
		return 0;
	case 'g':
		cli->stage = incident_stage_by_name(value);
		return cli->stage < 0 ? cli_usage("no such stage:", value) : 0;
	case 'j':
		cli->format = ROWS_JSON;
		cli->format_given = true;
		return 0;
	case 'f':
		format = rows_format_by_name(value);
		if (format < 0)
			return cli_usage("no such format:", value);
		cli->format = (enum rows_format)format;
		cli->format_given = true;
		return 0;
	case 's':
		return take_sort(cli, value);
	case 'n':
		if (num_u32(value, 0, INT_MAX, &number) < 0)
			return cli_usage("a limit is a number, not", value);
		cli->select.limit = number;
		cli->limit_given = true;
		return 0;
	case 'H':
		cli->history = true;
		return 0;
	case 'o':
		return take_horizon(cli, value);
	case 'k':
		cli->kind = talker_kind_by_name(value);
		return cli->kind < 0 ? cli_usage("no such kind of address:", value) : 0;
	default:
		return take_filter(cli, letter, value);
	}
}

/* Options a command does not have are refused by name, not ignored. */
static int parse_options(struct cli *cli, const struct command *command, int argc, char **argv)
{
	struct option longs[OPTION_COUNT + 1] = {{0}};
	size_t n = 0;
	int letter;

	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct cli_option *option = &cli_options[i];

		if (option->letter != 'h' && !strchr(command->options, option->letter))
			continue;
		longs[n++] = (struct option){option->name,
					     option->argument ? required_argument : no_argument,
					     NULL, option->letter};
	}
	opterr = 0;
	optind = 1;
	while ((letter = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		int status;

		if (letter == 'h') {
			help(stdout);
			exit(CLI_OK);
		}
		if (letter == ':')
			return cli_usage("missing value after", argv[optind - 1]);
		if (letter == '?')
			return cli_usage("unknown option", argv[optind - 1]);
		status = take_option(cli, letter, optarg);
		if (status)
			return status;
	}
	cli->argc = argc - optind;
	cli->argv = argv + optind;
	if (cli->argc > 0 && !command->arguments[0])
		return cli_usage("unexpected argument", cli->argv[0]);
	return 0;
}

int cli_snapshot(const struct cli *cli, struct snapshot *snap)
{
	return cli_snapshot_with(cli, snap, NULL, NULL);
}

int cli_snapshot_with(const struct cli *cli, struct snapshot *snap,
		      int (*more)(struct shm_reader *reader, void *arg), void *arg)
{
	struct shm_reader reader;
	char why[512];
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
		fprintf(stderr, "conntide: %s\n",
			shm_reader_explain(&reader, err, why, sizeof(why)));
	shm_reader_close(&reader);
	if (err) {
		snapshot_free(snap);
		return CLI_ERROR;
	}
	if (!health_fresh(snap)) {
		char age[32];

		fprintf(stderr, "conntide: %s; the numbers are %s%s\n", health_reason(snap),
			format_age(snap->age_ns, age), snap->age_ns == UINT64_MAX ? "" : " old");
		return CLI_STALE;
	}
	return CLI_OK;
}

int cli_print(struct text *out, int status)
{
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

/* --runtime-dir and --netns may stand before the command, too. */
static int leading_options(struct cli *cli, int argc, char **argv)
{
	int at = 1;

	while (at < argc && argv[at][0] == '-') {
		const char *arg = argv[at];
		const char *value = NULL;
		const char **to = option_is(arg, "runtime-dir", &value) ? &cli->runtime_dir
				  : option_is(arg, "netns", &value)	? &cli->netns
									: NULL;

		if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
			help(stdout);
			exit(CLI_OK);
		}
		if (!strcmp(arg, "--version")) {
			printf("conntide %s (%s)\n", build_version, build_revision);
			exit(CLI_OK);
		}
		if (!to)
			exit(cli_usage("unknown option", arg));
		if (!value && ++at >= argc)
			exit(cli_usage("missing value after", arg));
		*to = value ? value : argv[at];
		at++;
	}
	return at;
}

int main(int argc, char **argv)
{
	struct cli cli = {.runtime_dir = CLI_RUNTIME_DIR,
			  .netns = CLI_NETNS,
			  .state_dir = CLI_STATE_DIR,
			  .format = ROWS_TEXT,
			  .stage = -1,
			  .kind = -1};
	int at = leading_options(&cli, argc, argv);

	select_init(&cli.select);
	if (cli_check_netns(cli.netns))
		return CLI_USAGE;
	if (at >= argc) {
		help(stderr);
		return CLI_USAGE;
	}
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		int status;

		if (strcmp(argv[at], commands[i].name) != 0)
			continue;
		cli.argc = argc - at - 1;
		cli.argv = argv + at + 1;
		status = commands[i].options
				 ? parse_options(&cli, &commands[i], argc - at, argv + at)
				 : 0;
		return status ? status : commands[i].run(&cli);
	}
	return cli_usage("no such command:", argv[at]);
}
