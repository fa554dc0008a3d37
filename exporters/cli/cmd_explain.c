// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>

#include "exporters/cli/cli.h"
#include "exporters/render/families.h"
#include "lib/kernel/states.h"

static void explain_family(const struct family_info *info, struct text *out)
{
	text_add_format(out, "%s (%s%s%s)\n  %s\n", info->name, family_type_name(info->type),
			info->unit[0] ? ", " : "", info->unit, info->means);
	if (info->act[0])
		text_add_format(out, "  What to do: %s\n", info->act);
}

/* The same name means different things to different protocols: all of them. */
static bool explain_state(const char *name, struct text *out)
{
	const char *last = NULL;

	for (unsigned int l4proto = 0; l4proto < L4_COUNT; l4proto++) {
		int state = state_by_name(l4proto, name);
		const struct l4proto_info *info = l4proto_info(l4proto);
		const char *help;

		if (state < 0 || !info)
			continue;
		help = state_help(l4proto, (unsigned int)state);
		if (help && help != last)
			text_add_format(out, "%s %s: %s\n", info->name,
					state_name(l4proto, (unsigned int)state), help);
		last = help;
	}
	return last != NULL;
}

int cmd_explain(struct cli *cli)
{
	struct text out;
	enum family_id id;

	cli_text_init(cli, &out);
	if (cli->argc == 0) {
		for (unsigned int i = 0; i < FAMILY_COUNT; i++)
			explain_family(family_info((enum family_id)i), &out);
		return cli_print(cli, &out, CLI_OK);
	}
	for (int i = 0; i < cli->argc; i++) {
		id = family_by_name(cli->argv[i]);
		if (id != FAMILY_COUNT) {
			explain_family(family_info(id), &out);
		} else if (!explain_state(cli->argv[i], &out)) {
			text_free(&out);
			fprintf(stderr,
				"conntide: no metric or state %s; conntide explain lists all\n",
				cli->argv[i]);
			return CLI_ERROR;
		}
	}
	return cli_print(cli, &out, CLI_OK);
}
