// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/cli.h"
#include "exporters/render/json.h"
#include "exporters/render/services.h"
#include "exporters/render/table.h"
#include "lib/base/clock.h"
#include "lib/shm/reader.h"

#define STATUS_PORTS	     3u
#define STATUS_PORTS_VERBOSE 10u

static int take_peaks(struct shm_reader *reader, void *arg)
{
	struct table_wanted *wanted = arg;
	uint64_t now_ns = clock_real_ns();
	struct snap_history history;
	int err;

	snap_history_init(&history);
	err = snapshot_take_history(reader, false, &history);
	if (!err)
		wanted->hour = table_peak_of(&history, now_ns, 3600);
	if (!err)
		err = snapshot_take_history(reader, true, &history);
	if (!err)
		wanted->day = table_peak_of(&history, now_ns, 86400);
	snap_history_free(&history);
	return err;
}

int cmd_status(struct cli *cli)
{
	struct table_wanted wanted = {.top = STATUS_PORTS, .verbose = cli->verbose};
	struct snapshot snap;
	struct text out;
	int status = cli_snapshot_with(cli, &snap, take_peaks, &wanted);

	if (cli_failed(status))
		return status;
	cli_text_init(cli, &out);
	if (cli->format == ROWS_JSON) {
		json_status(&snap, &out);
	} else {
		struct services *services = services_load();

		wanted.services = services;
		wanted.ports = cli->verbose ? STATUS_PORTS_VERBOSE : 0;
		table_status(&snap, &wanted, &out);
		services_free(services);
	}
	snapshot_free(&snap);
	return cli_print(cli, &out, status);
}
