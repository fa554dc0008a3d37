// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/why.h"
#include "exporters/cli/context.h"

int cmd_why(struct cli *cli)
{
	struct ground ground;
	struct why why;
	struct text out;
	int status = ground_take(cli, &ground);

	text_init(&out);
	if (status != CLI_ERROR) {
		why_look(&ground.snap, &ground.story, &ground.model, &why);
		if (cli->format == ROWS_JSON)
			why_json(&why, ground.services, true, &out);
		else
			why_text(&why, ground.services, true, &out);
	}
	ground_free(&ground);
	return cli_print(&out, status);
}
