// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "exporters/cli/cli.h"
#include "exporters/cli/filters.h"
#include "exporters/cli/top/top.h"
#include "exporters/render/services.h"
#include "exporters/render/table.h"
#include "exporters/render/zones.h"

/* The status, then every row with every state of it. */
static int print_round(const struct cli *cli, const struct services *services)
{
	struct selection selection;
	struct snapshot snap;
	struct text out;
	int status = cli_snapshot(cli, &snap);

	if (cli_failed(status))
		return status;
	text_init(&out);
	table_status(&snap, &(struct table_wanted){.services = services}, &out);
	text_add_char(&out, '\n');
	if (select_ports(&snap, &cli->select, &selection) < 0)
		out.failed = true;
	render_ports(&snap, &selection, services, ROWS_TEXT, &out);
	zone_note(&snap, cli->select.zone, &out);
	selection_free(&selection);
	snapshot_free(&snap);
	return cli_print(cli, &out, status);
}

static int run_batch(const struct cli *cli)
{
	const struct timespec pause = {.tv_sec = cli->delay_ds / 10,
				       .tv_nsec = cli->delay_ds % 10 * 100000000L};
	struct services *services = services_load();
	uint64_t rounds = cli->rounds_given ? cli->rounds : 1;
	int status = CLI_OK;

	for (uint64_t round = 0; !cli_failed(status) && (!rounds || round < rounds); round++) {
		if (round) {
			nanosleep(&pause, NULL);
			puts("");
		}
		status = print_round(cli, services);
	}
	services_free(services);
	return status;
}

static int run_on_terminal(const struct cli *cli)
{
	const struct top_options options = {.runtime_dir = cli->runtime_dir,
					    .netns = cli->netns,
					    .state_dir = cli->state_dir,
					    .interval_ds = cli->delay_ds,
					    .zone = cli->select.zone,
					    .filter = cli->argv,
					    .filter_words = cli->argc};
	int err = top_run(&options);

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
	int status;

	if (!cli->batch)
		return run_on_terminal(cli);
	status = cli_take_filters(cli);
	return status ? status : run_batch(cli);
}
