// SPDX-License-Identifier: GPL-2.0-or-later
/* For monitoring systems: 0, 1, 2 or 3 is OK, WARNING, CRITICAL or UNKNOWN, also when it is
 * called in a wrong way, since 2 would be CRITICAL. */
#include <stdio.h>

#include "exporters/cli/cli.h"
#include "exporters/cli/host_facts.h"
#include "exporters/render/plugin.h"
#include "lib/health/health.h"

static int refuse(const char *option, const char *value)
{
	printf("%s - %s takes a fill like 80%%, a time to full like 30m, or both: 80%%,30m; "
	       "not %.60s\n",
	       plugin_word_name(PLUGIN_UNKNOWN), option, value);
	return CLI_STALE;
}

static int check_host(const struct cli *cli)
{
	struct host_report report;
	struct host_facts facts;
	struct snapshot snap;
	char why[CLI_WHY_BYTES];
	struct text out;

	host_facts_read("", &facts);
	if (cli_look(cli, &snap, why) == 0) {
		facts.agent_up = health_up(&snap);
		snapshot_free(&snap);
	}
	host_judge(&facts, &report);
	cli_text_init(cli, &out);
	if (cli->format == ROWS_JSON)
		host_json(&facts, &report, &out);
	else
		host_text(&report, &out);
	return cli_print(cli, &out, host_exit_status(&report));
}

static int check_table(const struct cli *cli, const struct plugin_thresholds *at)
{
	enum plugin_word word = PLUGIN_UNKNOWN;
	bool json = cli->format == ROWS_JSON;
	char why[CLI_WHY_BYTES];
	struct snapshot snap;
	struct text out;

	cli_text_init(cli, &out);
	if (cli_look(cli, &snap, why) < 0) {
		if (json)
			plugin_missing_json(cli->netns, why, &out);
		else
			plugin_missing_text(why, &out);
	} else {
		word = plugin_word(&snap, at);
		if (json)
			plugin_json(&snap, at, &out);
		else
			plugin_text(&snap, at, &out);
		snapshot_free(&snap);
	}
	return cli_print(cli, &out, (int)word) == (int)word ? (int)word : (int)PLUGIN_UNKNOWN;
}

int cmd_check(struct cli *cli)
{
	struct plugin_thresholds at = {.warning = {.given = false}};

	if (cli->host)
		return check_host(cli);
	if (cli->warning && plugin_threshold_parse(cli->warning, &at.warning) < 0)
		return refuse("--warning", cli->warning);
	if (cli->critical && plugin_threshold_parse(cli->critical, &at.critical) < 0)
		return refuse("--critical", cli->critical);
	return check_table(cli, &at);
}
