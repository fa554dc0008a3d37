// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>

#include "exporters/advice/advice.h"
#include "exporters/cli/context.h"

int cmd_advice(struct cli *cli)
{
	struct advice *advice = malloc(sizeof(*advice));
	struct ground ground;
	struct why why;
	struct text out;
	int status = ground_take(cli, &ground);

	text_init(&out);
	if (status != CLI_ERROR) {
		why_look(&ground.snap, &ground.story, &ground.model, &why);
		if (!advice || advice_make(&why, advice))
			out.failed = true;
		else if (cli->format == ROWS_JSON)
			advice_json(advice, &out);
		else
			advice_text(advice, &out);
	}
	ground_free(&ground);
	free(advice);
	return cli_print(&out, status);
}
