// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/filters.h"
#include "exporters/cli/stale.h"

int cmd_cells(struct cli *cli)
{
	struct selection selection;
	struct snapshot snap;
	struct text out;
	int status = cli_take_filters(cli);

	if (status)
		return status;
	status = cli_snapshot(cli, &snap);
	if (cli_failed(status))
		return status;
	cli_text_init(cli, &out);
	if (cli_says_first(cli, &snap, OLD_SHOWN, &out)) {
		snapshot_free(&snap);
		return cli_print(cli, &out, status);
	}
	if (select_cells(&snap, &cli->select, &selection) < 0)
		out.failed = true;
	render_cells(&snap, &selection, cli->format, &out);
	cli_zone_note(cli, &snap, &out);
	selection_free(&selection);
	snapshot_free(&snap);
	return cli_print(cli, &out, status);
}
