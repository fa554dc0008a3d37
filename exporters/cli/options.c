// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/options.h"

#include <string.h>

#include "exporters/cli/cli.h"

const struct cli_option cli_options[OPT_COUNT] = {
	[OPT_RUNTIME_DIR] = {"runtime-dir", 0, "", "DIR", CLI_VALUES_DIR,
			     "where the agent keeps its tables (" CLI_RUNTIME_DIR ")"},
	[OPT_NETNS] = {"netns", 0, "", "NAME", CLI_VALUES_TABLE,
		       "which table: DIR/NAME.table (" CLI_NETNS ")"},
	[OPT_STATE_DIR] = {"state-dir", 0, "", "DIR", CLI_VALUES_DIR,
			   "where the agent keeps incidents (" CLI_STATE_DIR ")"},
	[OPT_JSON] = {"json", 'j', "", NULL, NULL, "JSON, for programs"},
	[OPT_FORMAT] = {"format", 'f', "", "FORMAT", "json ndjson csv text",
			"json, ndjson, csv or text"},
	[OPT_SORT] = {"sort", 0, "", "KEY",
		      "entries port l4proto direction state new_per_second "
		      "destroyed_per_second mean_lifetime_seconds",
		      "entries, port, l4proto, direction, state, new_per_second, "
		      "destroyed_per_second, mean_lifetime_seconds; -KEY: downwards"},
	[OPT_LIMIT] = {"limit", 'n', "", "N", NULL, "at most N rows; 0: all"},
	[OPT_L4PROTO] = {"l4proto", 'p', "proto protocol", "NAME",
			 "tcp udp sctp icmp icmpv6 gre other",
			 "only tcp, udp, sctp, icmp, icmpv6, gre or other"},
	[OPT_DIRECTION] = {"direction", 0, "", "NAME", "inbound outbound forwarded loopback",
			   "only inbound, outbound, forwarded or loopback"},
	[OPT_PORT] = {"port", 0, "dport orig-port-dst", "PORT", CLI_VALUES_SERVICE,
		      "only this destination port: 80, http or tcp/80"},
	[OPT_STATE] = {"state", 0, "", "NAME",
		       "SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE "
		       "SYN_SENT2 unreplied replied assured",
		       "only entries in this state"},
	[OPT_SRC] = {"src", 's', "orig-src source", "ADDRESS", NULL,
		     "only this source, or the /64 that it is in"},
	[OPT_DST] = {"dst", 'd', "orig-dst destination", "ADDRESS", NULL,
		     "only this destination, or the /64 that it is in"},
	[OPT_ZONE] = {"zone", 0, "orig-zone", "N", NULL, "only this conntrack zone"},
	[OPT_HISTORY] = {"history", 0, "", NULL, NULL, "past forecasts, and what came"},
	[OPT_HORIZON] = {"horizon", 0, "", "SECONDS", "30 120 600 3600",
			 "of past forecasts only those 30, 120, 600 or 3600 s ahead"},
	[OPT_KIND] = {"kind", 0, "", "KIND", "source destination service source64 destination64",
		      "only source, destination, service, source64 or destination64"},
	[OPT_STAGE] = {"stage", 0, "", "NAME", "high critical drops recovered",
		       "of an incident: high, critical, drops or recovered (the worst)"},
	[OPT_VERBOSE] = {"verbose", 'v', "", NULL, NULL, "with what concerns conntide itself"},
	[OPT_WATCH] = {"watch", 'w', "", "[SECONDS]", NULL,
		       "again and again, every 2 s or as given, until Ctrl-C"},
	[OPT_BATCH] = {"batch", 'b', "", NULL, NULL, "print as text instead, without a terminal"},
	[OPT_ROUNDS] = {"rounds", 'n', "", "N", NULL,
			"end after N rounds; 0: never (0; with --batch 1)"},
	[OPT_DELAY] = {"delay", 'd', "", "SECONDS", NULL, "between two looks, 0.1 to 60 (1)"},
	[OPT_WARNING] =
		{"warning", 'w', "", "LIST", NULL,
		 "WARNING from here on, instead of from level HIGH: a fill like 80%, a time "
		 "to full like 30m, or both: 80%,30m"},
	[OPT_CRITICAL] = {"critical", 'c', "", "LIST", NULL,
			  "likewise CRITICAL, instead of level CRITICAL"},
	[OPT_HOST] = {"host", 0, "", NULL, NULL,
		      "whether this host is ready for conntide, what it costs, what to change"},
	[OPT_HELP] = {"help", 'h', "", NULL, NULL, "this text"},
};

const struct cli_command *cli_command_find(const char *name)
{
	for (size_t i = 0; i < cli_command_count; i++)
		if (!strcmp(name, cli_commands[i].name))
			return &cli_commands[i];
	return NULL;
}

/* `name` is one of the words in `list`. */
static bool among(const char *list, const char *name)
{
	size_t bytes = strlen(name);

	for (const char *at = list; (at = strstr(at, name)); at += bytes)
		if ((at == list || at[-1] == ' ') && (at[bytes] == ' ' || !at[bytes]))
			return bytes > 0;
	return false;
}

int cli_option_find(const char *name)
{
	for (int id = 0; id < OPT_COUNT; id++)
		if (!strcmp(name, cli_options[id].name) || among(cli_options[id].aliases, name))
			return id;
	return -1;
}
