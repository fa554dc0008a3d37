// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "exporters/advice/why.h"
#include "exporters/cli/context.h"
#include "exporters/cli/stale.h"

int cmd_why(struct cli *cli)
{
	struct context context;
	struct why why;
	struct text out;
	int status = context_take(cli, &context);

	cli_text_init(cli, &out);
	if (status == CLI_OK && context.details.hosts_error)
		fprintf(stderr, "conntide: without hosts: %s\n", context.details.hosts_why);
	if (status == CLI_STALE) {
		cli_says_first(cli, &context.snap, OLD_MISLEAD, &out);
	} else if (!cli_failed(status)) {
		why_look(&context.snap, &context.details, &context.model, &why);
		if (cli->format == ROWS_JSON)
			why_json(&why, context.services, true, &out);
		else
			why_text(&why, context.services, true, &out);
	}
	context_free(&context);
	return cli_print(cli, &out, status);
}
