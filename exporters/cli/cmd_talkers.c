// SPDX-License-Identifier: GPL-2.0-or-later
#include <arpa/inet.h>
#include <stdio.h>

#include "exporters/cli/filters.h"
#include "exporters/cli/stale.h"
#include "exporters/render/services.h"
#include "exporters/render/talkers.h"

#define TALKERS_LIMIT_TEXT 10u

static int take_detail(struct shm_reader *reader, void *arg)
{
	return snapshot_take_detail(reader, arg);
}

/* True: there is one. Addresses were checked when they were taken. */
static bool make_filter(const struct cli *cli, struct talkers_filter *filter)
{
	*filter = (struct talkers_filter){.has_source = cli->source != NULL,
					  .has_destination = cli->destination != NULL,
					  .l4proto = cli->select.l4proto,
					  .port = cli->select.port};
	if (cli->source && inet_pton(AF_INET, cli->source, filter->source) != 1)
		filter->source_ipv6 = inet_pton(AF_INET6, cli->source, filter->source) == 1;
	if (cli->destination && inet_pton(AF_INET, cli->destination, filter->destination) != 1)
		filter->destination_ipv6 =
			inet_pton(AF_INET6, cli->destination, filter->destination) == 1;
	return cli->source || cli->destination || filter->l4proto >= 0 || filter->port >= 0;
}

/* Not listed is not the same as not there. */
static void tell_missed(const struct snap_detail *details, struct text *out)
{
	uint32_t missed = 0;

	for (unsigned int i = 0; i < SHM_TALKER_KINDS; i++)
		if (details->talkers[i].missed_entries > missed)
			missed = details->talkers[i].missed_entries;
	text_clear(out);
	text_add_format(out,
			"Not among those that hold most entries: it holds %u at most.\n"
			"Count them in the kernel: conntrack -L -s ADDRESS, or -d ADDRESS.\n",
			missed);
}

static void print_talkers(const struct cli *cli, const struct snapshot *snap,
			  const struct snap_detail *details, struct text *out)
{
	struct services *services = services_load();
	struct talkers_filter filter;
	bool filtered = make_filter(cli, &filter);
	size_t limit = !cli->limit_given && cli->format == ROWS_TEXT ? TALKERS_LIMIT_TEXT
								     : cli->select.limit;
	const struct talkers_wanted wanted = {.kind = cli->kind,
					      .limit = limit,
					      .format = cli->format,
					      .filter = filtered ? &filter : NULL};

	if (!render_talkers(snap, details, &wanted, services, out) && filtered &&
	    cli->format == ROWS_TEXT)
		tell_missed(details, out);
	services_free(services);
}

int cmd_talkers(struct cli *cli)
{
	struct snap_detail details;
	struct snapshot snap;
	struct text out;
	int status = cli_take_filters(cli);

	if (status)
		return status;
	if (cli->select.direction != SELECT_ANY || cli->select.state[0])
		return cli_usage("addresses are not counted by direction or state", NULL);
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
		print_talkers(cli, &snap, &details, &out);
		snapshot_free(&snap);
	}
	snap_detail_free(&details);
	return cli_print(cli, &out, status);
}
