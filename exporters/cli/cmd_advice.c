// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>

#include "exporters/advice/advice.h"
#include "exporters/cli/context.h"
#include "exporters/cli/stale.h"

#define COMMAND_INDENT 5u /* of advice_text() */

static void write_advice(const struct cli *cli, struct advice *advice, struct text *out)
{
	advice_name_hosts(advice);
	if (cli->format == ROWS_JSON)
		advice_json(advice, out);
	else
		advice_text(advice, out);
}

int cmd_advice(struct cli *cli)
{
	struct advice *advice = malloc(sizeof(*advice));
	struct context context;
	struct why why;
	struct text out;
	int status = context_take(cli, &context);

	cli->keep_indent = COMMAND_INDENT;
	cli_text_init(cli, &out);
	if (status == CLI_STALE) {
		cli_says_first(cli, &context.snap, OLD_MISLEAD, &out);
	} else if (!cli_failed(status)) {
		why_look(&context.snap, &context.details, &context.model, &why);
		if (!advice || advice_make(&why, advice))
			out.failed = true;
		else
			write_advice(cli, advice, &out);
	}
	context_free(&context);
	free(advice);
	return cli_print(cli, &out, status);
}
