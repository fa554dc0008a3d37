// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "exporters/cli/filters.h"
#include "exporters/cli/stale.h"
#include "exporters/render/services.h"

#define PORTS_LIMIT_TEXT 30u

int cmd_ports(struct cli *cli)
{
	struct services *services;
	struct selection selection;
	struct snapshot snap;
	struct text out;
	int status = cli_take_filters(cli);

	if (status)
		return status;
	status = cli_snapshot(cli, &snap);
	if (cli_failed(status))
		return status;
	if (!cli->limit_given && cli->format == ROWS_TEXT)
		cli->select.limit = PORTS_LIMIT_TEXT;
	cli_text_init(cli, &out);
	if (cli_says_first(cli, &snap, OLD_SHOWN, &out)) {
		snapshot_free(&snap);
		return cli_print(cli, &out, status);
	}
	services = services_load();
	if (select_ports(&snap, &cli->select, &selection) < 0)
		out.failed = true;
	render_ports(&snap, &selection, services, cli->format, &out);
	if (cli->format == ROWS_TEXT && selection.matches > selection.count)
		text_add_format(&out, "and %zu more: --limit 0\n",
				selection.matches - selection.count);
	cli_zone_note(cli, &snap, &out);
	selection_free(&selection);
	services_free(services);
	snapshot_free(&snap);
	return cli_print(cli, &out, status);
}
