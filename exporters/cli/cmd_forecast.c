// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "exporters/cli/stale.h"
#include "exporters/render/forecast.h"
#include "exporters/render/services.h"

/* For people: what was said of ten minutes ahead, over the last half hour. */
#define HISTORY_LIMIT_TEXT   30u
#define HISTORY_HORIZON_TEXT 600u

static int take_pasts(struct shm_reader *reader, void *arg)
{
	return snapshot_take_pasts(reader, arg);
}

static int show_history(struct cli *cli)
{
	bool text = cli->format == ROWS_TEXT;
	struct snap_pasts pasts;
	struct snapshot snap;
	struct text out;
	int status;

	snap_pasts_init(&pasts);
	cli_text_init(cli, &out);
	status = cli_snapshot_with(cli, &snap, take_pasts, &pasts);
	if (!cli_failed(status) && cli_says_first(cli, &snap, OLD_SHOWN, &out)) {
		snapshot_free(&snap);
	} else if (!cli_failed(status)) {
		if (text && !cli->limit_given)
			cli->select.limit = HISTORY_LIMIT_TEXT;
		if (text && !cli->horizon_s)
			cli->horizon_s = HISTORY_HORIZON_TEXT;
		render_pasts(&pasts, cli->horizon_s, cli->select.limit, cli->format, &out);
		snapshot_free(&snap);
	}
	snap_pasts_free(&pasts);
	return cli_print(cli, &out, status);
}

int cmd_forecast(struct cli *cli)
{
	struct snapshot snap;
	struct text out;
	int status;

	if (cli->history)
		return show_history(cli);
	if (cli->limit_given || cli->horizon_s ||
	    (cli->format != ROWS_TEXT && cli->format != ROWS_JSON)) {
		fprintf(stderr, "conntide: --limit, --horizon, csv and ndjson are for --history; "
				"see conntide --help\n");
		return CLI_USAGE;
	}
	status = cli_snapshot(cli, &snap);
	if (cli_failed(status))
		return status;
	cli_text_init(cli, &out);
	if (cli->format == ROWS_JSON && status == CLI_STALE) {
		cli_says_first(cli, &snap, OLD_SHOWN, &out);
	} else if (cli->format == ROWS_JSON) {
		render_forecast_json(&snap, &out);
	} else {
		struct services *services = services_load();

		render_forecast_text(&snap, services, &out);
		services_free(services);
	}
	snapshot_free(&snap);
	return cli_print(cli, &out, status);
}
