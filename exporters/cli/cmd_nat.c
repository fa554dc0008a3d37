// SPDX-License-Identifier: GPL-2.0-or-later
#include <ctype.h>
#include <stdio.h>

#include "exporters/cli/stale.h"
#include "exporters/render/nat.h"
#include "lib/shm/snap_detail.h"

#define NAT_LIMIT_TEXT 16u

static int take_detail(struct shm_reader *reader, void *arg)
{
	return snapshot_take_detail(reader, arg);
}

static void print_text(const struct cli *cli, const struct snapshot *snap, struct text *out)
{
	const struct snap_nat *nat = &snap->nat;
	char words[NAT_WORDS_BYTES];

	if (!nat->count) {
		text_add(out, NAT_NONE "\n");
		return;
	}
	nat_words(&snap->live, words);
	if (*words)
		text_add_format(out, "%c%s.\n\n", toupper((unsigned char)*words), words + 1);
	render_nat(nat, cli->select.zone, cli->select.limit, cli->format, out);
	if (nat->missed)
		text_add_format(out,
				"\nMore pools than can be counted one by one: one that is not "
				"listed may use up to %u ports.\n",
				nat->missed);
}

int cmd_nat(struct cli *cli)
{
	struct snap_detail details;
	struct snapshot snap;
	struct text out;
	int status;

	snap_detail_init(&details);
	cli_text_init(cli, &out);
	status = cli_snapshot_with(cli, &snap, take_detail, &details);
	if (!cli_failed(status) && cli_says_first(cli, &snap, OLD_SHOWN, &out)) {
		snapshot_free(&snap);
	} else if (!cli_failed(status) && details.hosts_error) {
		fprintf(stderr, "conntide: %s\n", details.hosts_why);
		snapshot_free(&snap);
		status = CLI_ERROR;
	} else if (!cli_failed(status)) {
		if (!cli->limit_given && cli->format == ROWS_TEXT)
			cli->select.limit = NAT_LIMIT_TEXT;
		if (cli->format == ROWS_TEXT)
			print_text(cli, &snap, &out);
		else
			render_nat(&snap.nat, cli->select.zone, cli->select.limit, cli->format,
				   &out);
		snapshot_free(&snap);
	}
	snap_detail_free(&details);
	return cli_print(cli, &out, status);
}
