// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <string.h>

#include "exporters/advice/whatif.h"
#include "exporters/cli/context.h"
#include "exporters/cli/stale.h"

static int refuse(const char *argument, const char *why)
{
	fprintf(stderr, "conntide: %s: %s\n", argument, why);
	return CLI_USAGE;
}

/* The arguments are KEY=VALUE, as in a query string. */
static int take_changes(const struct cli *cli, struct whatif *whatif)
{
	char why[WHATIF_WHY_BYTES], key[WHATIF_KEY_BYTES];

	for (int i = 0; i < cli->argc; i++) {
		const char *equals = strchr(cli->argv[i], '=');
		size_t bytes = equals ? (size_t)(equals - cli->argv[i]) : 0;

		if (!equals || bytes == 0 || bytes >= sizeof(key))
			return refuse(cli->argv[i], "A change is KEY=VALUE, like notrack=tcp/80 or "
						    "timeout.tcp_time_wait=30.");
		memcpy(key, cli->argv[i], bytes);
		key[bytes] = '\0';
		if (whatif_add(whatif, key, equals + 1, why) < 0)
			return refuse(cli->argv[i], why);
	}
	return whatif_check(whatif, key, why) < 0 ? refuse(key, why) : CLI_OK;
}

int cmd_whatif(struct cli *cli)
{
	struct whatif whatif = {.count = 0};
	struct whatif_result result;
	struct context context;
	struct text out;
	int status = take_changes(cli, &whatif);

	if (status)
		return status;
	cli_text_init(cli, &out);
	status = context_take(cli, &context);
	if (status == CLI_STALE) {
		cli_says_first(cli, &context.snap, OLD_MISLEAD, &out);
	} else if (!cli_failed(status)) {
		if (whatif_run(&whatif, &context.model, &result))
			out.failed = true;
		else if (cli->format == ROWS_JSON)
			whatif_json(&whatif, &result, &context.snap, context.services, &out);
		else
			whatif_text(&whatif, &result, &context.snap, context.services, &out);
		whatif_free(&result);
	}
	context_free(&context);
	return cli_print(cli, &out, status);
}
