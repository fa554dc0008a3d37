// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "exporters/cli/stale.h"
#include "exporters/render/services.h"
#include "exporters/render/talkers.h"

#define TALKERS_LIMIT_TEXT 10u

static int take_detail(struct shm_reader *reader, void *arg)
{
	return snapshot_take_detail(reader, arg);
}

int cmd_talkers(struct cli *cli)
{
	struct services *services;
	struct snap_detail details;
	struct snapshot snap;
	struct text out;
	int status;

	snap_detail_init(&details);
	text_init(&out);
	status = cli_snapshot_with(cli, &snap, take_detail, &details);
	if (status != CLI_ERROR && cli_says_first(cli, &snap, OLD_SHOWN, &out)) {
		snapshot_free(&snap);
	} else if (status != CLI_ERROR && details.hosts_error) {
		fprintf(stderr, "conntide: %s\n", details.hosts_why);
		snapshot_free(&snap);
		status = CLI_ERROR;
	} else if (status != CLI_ERROR) {
		if (!cli->limit_given && cli->format == ROWS_TEXT)
			cli->select.limit = TALKERS_LIMIT_TEXT;
		services = services_load();
		render_talkers(&snap, &details,
			       &(struct talkers_wanted){.kind = cli->kind,
							.limit = cli->select.limit,
							.format = cli->format},
			       services, &out);
		services_free(services);
		snapshot_free(&snap);
	}
	snap_detail_free(&details);
	return cli_print(&out, status);
}
