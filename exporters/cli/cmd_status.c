// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/cli.h"
#include "exporters/render/json.h"
#include "exporters/render/services.h"
#include "exporters/render/table.h"

#define STATUS_PORTS 10u

int cmd_status(struct cli *cli)
{
	struct snapshot snap;
	struct text out;
	int status = cli_snapshot(cli, &snap);

	if (cli_failed(status))
		return status;
	text_init(&out);
	if (cli->format == ROWS_JSON) {
		json_status(&snap, &out);
	} else {
		struct services *services = services_load();

		table_status(&snap, services, STATUS_PORTS, &out);
		services_free(services);
	}
	snapshot_free(&snap);
	return cli_print(cli, &out, status);
}
