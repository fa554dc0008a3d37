// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/filters.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "exporters/cli/suggest.h"
#include "exporters/render/talkers.h"
#include "lib/base/num.h"
#include "lib/incident/incident.h"
#include "lib/kernel/states.h"

#define WATCH_DEFAULT_DS 20u

unsigned int cli_parse_delay_ds(const char *text, unsigned int max_s)
{
	double seconds;

	return num_double(text, 0.1, max_s, &seconds) ? 0 : (unsigned int)lround(seconds * 10);
}

/* --- the parts of a filter: 0, or -1 when it is none such --------------------------- */

static int take_l4proto(struct cli *cli, const char *value)
{
	int l4proto = l4proto_by_name(value);

	if (l4proto < 0)
		return -1;
	cli->select.l4proto = l4proto;
	return 0;
}

static int take_direction(struct cli *cli, const char *value)
{
	int direction = direction_by_name(value);

	if (direction < 0)
		return -1;
	cli->select.direction = direction;
	return 0;
}

/* As the kernel writes it, and as ss does: time-wait. */
static int take_state(struct cli *cli, const char *value)
{
	char name[sizeof(cli->select.state)];

	if (strlen(value) >= sizeof(name))
		return -1;
	strcpy(name, value);
	for (char *at = name; *at; at++)
		if (*at == '-')
			*at = '_';
	if (!state_name_exists(name))
		return -1;
	strcpy(cli->select.state, name);
	return 0;
}

/* 80, :80, http, tcp/80, tcp/http. */
static int take_port(struct cli *cli, const char *value)
{
	const char *slash = strchr(value, '/'), *name = slash ? slash + 1 : value;
	char l4proto[16] = "";
	uint32_t number;
	const struct servent *service;

	if (slash && (snprintf(l4proto, sizeof(l4proto), "%.*s", (int)(slash - value), value) >=
			      (int)sizeof(l4proto) ||
		      l4proto_by_name(l4proto) < 0))
		return -1;
	name += *name == ':';
	if (num_u32(name, 0, 65535, &number) == 0) {
		cli->select.port = (int)number;
	} else {
		service = isalpha((unsigned char)*name)
				  ? getservbyname(name, slash ? l4proto : NULL)
				  : NULL;
		if (!service)
			return -1;
		cli->select.port = (int)ntohs((uint16_t)service->s_port);
	}
	return slash ? take_l4proto(cli, l4proto) : 0;
}

static int take_address(const char **to, const char *value)
{
	struct in6_addr address;

	if (inet_pton(AF_INET, value, &address) != 1 && inet_pton(AF_INET6, value, &address) != 1)
		return -1;
	*to = value;
	return 0;
}

/* --- options ------------------------------------------------------------------------- */

static int take_filter(struct cli *cli, enum cli_option_id id, const char *value)
{
	switch (id) {
	case OPT_L4PROTO:
		return take_l4proto(cli, value) ? cli_usage("no such protocol:", value) : 0;
	case OPT_DIRECTION:
		return take_direction(cli, value) ? cli_usage("no such direction:", value) : 0;
	case OPT_PORT:
		return take_port(cli, value)
			       ? cli_usage("a port is a number to 65535 or the name of a service, "
					   "perhaps after tcp/ or udp/, not",
					   value)
			       : 0;
	case OPT_SRC:
	case OPT_DST:
		return take_address(id == OPT_SRC ? &cli->source : &cli->destination, value)
			       ? cli_usage("not an address:", value)
			       : 0;
	default:
		return take_state(cli, value) ? cli_usage("no such state:", value) : 0;
	}
}

static int take_sort(struct cli *cli, const char *value)
{
	bool down = value[0] == '-';
	int key = sort_key_by_name(value + down);

	if (key < 0)
		return cli_usage("cannot sort by", value + down);
	cli->select.sort = (enum sort_key)key;
	/* Names and ports read upwards, amounts downwards, unless said otherwise. */
	cli->select.ascending = !down && key != SORT_ENTRIES && key != SORT_NEW &&
				key != SORT_DESTROYED && key != SORT_LIFETIME;
	return 0;
}

static int take_horizon(struct cli *cli, const char *value)
{
	uint32_t number;

	for (unsigned int i = 0; i < SHM_HORIZONS; i++)
		if (num_u32(value, snap_horizons_s[i], snap_horizons_s[i], &number) == 0)
			cli->horizon_s = snap_horizons_s[i];
	return cli->horizon_s ? 0 : cli_usage("a horizon is 30, 120, 600 or 3600, not", value);
}

static int take_format(struct cli *cli, const char *value)
{
	int format = rows_format_by_name(value);

	if (format < 0)
		return cli_usage("no such format:", value);
	cli->format = (enum rows_format)format;
	cli->format_given = true;
	return 0;
}

/* How much, and how often. */
static int take_amount(struct cli *cli, enum cli_option_id id, const char *value)
{
	uint32_t number;

	switch (id) {
	case OPT_LIMIT:
		if (num_u32(value, 0, INT_MAX, &number) < 0)
			return cli_usage("a limit is a number, not", value);
		cli->select.limit = number;
		cli->limit_given = true;
		return 0;
	case OPT_ZONE:
		if (num_u32(value, 0, UINT16_MAX, &number) < 0)
			return cli_usage("a zone is a number from 0 to 65535, not", value);
		cli->select.zone = (int)number;
		return 0;
	case OPT_ROUNDS:
		cli->rounds_given = true;
		return num_u64(value, 0, UINT64_MAX, &cli->rounds)
			       ? cli_usage("--rounds is a number, not", value)
			       : 0;
	case OPT_DELAY:
		cli->delay_ds = cli_parse_delay_ds(value, 60);
		return cli->delay_ds ? 0 : cli_usage("--delay is 0.1 to 60 seconds, not", value);
	default:
		cli->watch_ds = value ? cli_parse_delay_ds(value, 3600) : WATCH_DEFAULT_DS;
		return cli->watch_ds ? 0 : cli_usage("--watch is 0.1 to 3600 seconds, not", value);
	}
}

static int take_name(struct cli *cli, enum cli_option_id id, const char *value)
{
	switch (id) {
	case OPT_RUNTIME_DIR:
		cli->runtime_dir = value;
		return 0;
	case OPT_NETNS:
		cli->netns = value;
		return cli_check_netns(value);
	case OPT_STATE_DIR:
		cli->state_dir = value;
		return 0;
	case OPT_STAGE:
		cli->stage = incident_stage_by_name(value);
		return cli->stage < 0 ? cli_usage("no such stage:", value) : 0;
	case OPT_KIND:
		cli->kind = talker_kind_by_name(value);
		return cli->kind < 0 ? cli_usage("no such kind of address:", value) : 0;
	case OPT_WARNING:
		cli->warning = value;
		return 0;
	default:
		cli->critical = value;
		return 0;
	}
}

int cli_take_option(struct cli *cli, enum cli_option_id id, const char *value)
{
	switch (id) {
	case OPT_JSON:
		return take_format(cli, "json");
	case OPT_FORMAT:
		return take_format(cli, value);
	case OPT_SORT:
		return take_sort(cli, value);
	case OPT_HISTORY:
		cli->history = true;
		return 0;
	case OPT_VERBOSE:
		cli->verbose = true;
		return 0;
	case OPT_BATCH:
		cli->batch = true;
		return 0;
	case OPT_HOST:
		cli->host = true;
		return 0;
	case OPT_HORIZON:
		return take_horizon(cli, value);
	case OPT_LIMIT:
	case OPT_ZONE:
	case OPT_ROUNDS:
	case OPT_DELAY:
	case OPT_WATCH:
		return take_amount(cli, id, value);
	case OPT_L4PROTO:
	case OPT_DIRECTION:
	case OPT_PORT:
	case OPT_STATE:
	case OPT_SRC:
	case OPT_DST:
		return take_filter(cli, id, value);
	default:
		return take_name(cli, id, value);
	}
}

/* --- words ----------------------------------------------------------------------------- */

/* proto=tcp, dport=443: as conntrack -L prints them. */
static int take_pair(struct cli *cli, const char *word, const char *value)
{
	char name[24];
	int id;

	snprintf(name, sizeof(name), "%.*s", (int)(value - 1 - word), word);
	id = cli_option_find(name);
	switch (id) {
	case OPT_L4PROTO:
	case OPT_DIRECTION:
	case OPT_PORT:
	case OPT_STATE:
		return take_filter(cli, (enum cli_option_id)id, value);
	default:
		return cli_usage("cannot filter by", name);
	}
}

int cli_take_filters(struct cli *cli)
{
	for (int i = 0; i < cli->argc; i++) {
		const char *word = cli->argv[i], *equals = strchr(word, '=');

		if (equals) {
			int status = take_pair(cli, word, equals + 1);

			if (status)
				return status;
		} else if (take_l4proto(cli, word) && take_direction(cli, word) &&
			   take_state(cli, word) && take_port(cli, word)) {
			return cli_usage("neither protocol, port, direction nor state:", word);
		}
	}
	return 0;
}
