// SPDX-License-Identifier: GPL-2.0-or-later
/* conntide: finds the command and gives it its options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "exporters/cli/cli.h"
#include "exporters/cli/help.h"
#include "exporters/cli/options.h"
#include "exporters/cli/parse.h"
#include "lib/base/build_info.h"
#include "lib/base/options.h"

static int print_help(const struct cli *cli, const struct cli_command *command)
{
	struct text out;

	cli_text_init(cli, &out);
	if (command)
		help_command(command, &out);
	else
		help_all(&out);
	return cli_print(cli, &out, CLI_OK);
}

/* --runtime-dir and --netns may stand before the command, too. *ret_at: where that is, or
 * the options of conntide status. -1: go on, else an exit status. */
static int leading_options(struct cli *cli, int argc, char **argv, int *ret_at)
{
	int at = 1;

	while (at < argc && argv[at][0] == '-') {
		const char *arg = argv[at];
		const char *value = NULL;
		const char **to = option_is(arg, "runtime-dir", &value) ? &cli->runtime_dir
				  : option_is(arg, "netns", &value)	? &cli->netns
									: NULL;

		if (!strcmp(arg, "--help") || !strcmp(arg, "-h"))
			return print_help(cli, NULL);
		if (!strcmp(arg, "--version") || !strcmp(arg, "-V")) {
			printf("conntide %s (%s)\n", build_version, build_revision);
			return CLI_OK;
		}
		if (!to)
			break;
		if (!value && ++at >= argc)
			return cli_usage("missing value after", arg);
		*to = value ? value : argv[at];
		at++;
	}
	*ret_at = at;
	return -1;
}

/* Until a signal ends it, or what is printed has nowhere to go. */
static int run_again(struct cli *cli, const struct cli_command *command)
{
	const struct timespec pause = {.tv_sec = cli->watch_ds / 10,
				       .tv_nsec = cli->watch_ds % 10 * 100000000L};
	const struct cli given = *cli;
	int status;

	for (;;) {
		/* A command may fill in what was not given. */
		*cli = given;
		status = command->run(cli);
		if (status == CLI_ERROR || status == CLI_USAGE)
			return status;
		nanosleep(&pause, NULL);
		puts("");
	}
}

/* To a monitoring system 2 is CRITICAL. */
static int wrong_usage(const struct cli_command *command, int status)
{
	if (command->run != cmd_check)
		return status;
	puts("UNKNOWN - wrong usage, see conntide check --help");
	return CLI_STALE;
}

static int run(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
	int status;

	cli->argc = argc - 1;
	cli->argv = argv + 1;
	if (!command->forwards) {
		status = cli_options_parse(cli, command, argc, argv);
		if (status < 0)
			return print_help(cli, command);
		if (status)
			return wrong_usage(command, status);
	}
	status = cli->watch_ds ? run_again(cli, command) : command->run(cli);
	return status == CLI_MISSING ? CLI_STALE : status;
}

int main(int argc, char **argv)
{
	struct cli cli = {.runtime_dir = CLI_RUNTIME_DIR,
			  .netns = CLI_NETNS,
			  .state_dir = CLI_STATE_DIR,
			  .format = ROWS_TEXT,
			  .delay_ds = 10,
			  .stage = -1,
			  .kind = -1};
	const struct cli_command *command;
	int at = argc, status = leading_options(&cli, argc, argv, &at);

	if (status >= 0)
		return status;
	select_init(&cli.select);
	if (cli_check_netns(cli.netns))
		return CLI_USAGE;
	/* Options alone are those of conntide status. */
	if (at >= argc || argv[at][0] == '-')
		return run(&cli, cli_command_find("status"), argc - at + 1, argv + at - 1);
	command = cli_command_find(argv[at]);
	return command ? run(&cli, command, argc - at, argv + at) : cli_no_command(argv[at]);
}
