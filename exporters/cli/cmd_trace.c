// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * record, replay and flow: programs of their own, because they use what the agent is made of.
 * They take our place, with their options as they were given.
 */
#include <stdlib.h>
#include <unistd.h>

#include "exporters/cli/cli.h"
#include "exporters/cli/program.h"

static int become(const struct cli *cli, const char *name)
{
	char **args = calloc((size_t)cli->argc + 2, sizeof(*args));
	char path[PATH_MAX];

	if (args) {
		program_find(name, path);
		args[0] = path;
		for (int i = 0; i < cli->argc; i++)
			args[i + 1] = cli->argv[i];
		execvp(path, args);
	}
	program_complain(name);
	free(args);
	return CLI_ERROR;
}

int cmd_record(struct cli *cli)
{
	return become(cli, "conntide-record");
}

int cmd_flow(struct cli *cli)
{
	return become(cli, "conntide-flow");
}

int cmd_replay(struct cli *cli)
{
	return become(cli, "conntide-replay");
}
