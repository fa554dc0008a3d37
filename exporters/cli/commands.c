// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/cli.h"
#include "exporters/cli/options.h"

#define TABLE (OPT_BIT(OPT_RUNTIME_DIR) | OPT_BIT(OPT_NETNS))
#define LIVE  (TABLE | OPT_BIT(OPT_JSON) | OPT_BIT(OPT_WATCH))
#define ROWS  (LIVE | OPT_BIT(OPT_FORMAT) | OPT_BIT(OPT_LIMIT))
#define FILTERS                                                                                    \
	(ROWS | OPT_BIT(OPT_SORT) | OPT_BIT(OPT_L4PROTO) | OPT_BIT(OPT_DIRECTION) |                \
	 OPT_BIT(OPT_PORT) | OPT_BIT(OPT_STATE) | OPT_BIT(OPT_ZONE))

#define STATE_WORDS                                                                                \
	"ESTABLISHED TIME_WAIT SYN_SENT SYN_RECV FIN_WAIT CLOSE_WAIT LAST_ACK CLOSE unreplied "    \
	"replied assured"
#define FILTER_WORDS                                                                               \
	"tcp udp sctp icmp icmpv6 gre other inbound outbound forwarded loopback " STATE_WORDS

#define ABOUT_FILTERS                                                                              \
	"A FILTER is a protocol, a port, a direction or a state, as one types it for\n"            \
	"conntrack or ss: tcp/80, http, :443, inbound, time-wait, dport=443. A row must\n"         \
	"match all.\n"

/* In the order of --help: what one looks at first. */
const struct cli_command cli_commands[] = {
	{"status", cmd_status, "", "how full the table is, what is lost, when it will be full",
	 "The network first: level, losses, forecast, peaks, ports, NAT; then how far the\n"
	 "numbers can be trusted. conntide alone is conntide status.\n",
	 LIVE | OPT_BIT(OPT_VERBOSE), NULL, false},
	{"top", cmd_top, "[FILTER...]", "the table on a terminal, live",
	 "Level, losses, forecast, and what fills the table. ? lists the keys.\n"
	 "Colours are left out where NO_COLOR is set.\n",
	 TABLE | OPT_BIT(OPT_STATE_DIR) | OPT_BIT(OPT_BATCH) | OPT_BIT(OPT_ROUNDS) |
		 OPT_BIT(OPT_DELAY) | OPT_BIT(OPT_ZONE),
	 FILTER_WORDS, false},
	{"ports", cmd_ports, "[FILTER...]", "what fills it: entries by port and state",
	 ABOUT_FILTERS, FILTERS, FILTER_WORDS, false},
	{"cells", cmd_cells, "[FILTER...]",
	 "the histogram: protocol, direction, port, state, entries", ABOUT_FILTERS, FILTERS,
	 FILTER_WORDS, false},
	{"forecast", cmd_forecast, "", "when it will be full, or where it settles", "",
	 ROWS | OPT_BIT(OPT_HISTORY) | OPT_BIT(OPT_HORIZON), NULL, false},
	{"why", cmd_why, "", "what holds it, what grew, and which known pattern that is", "", LIVE,
	 NULL, false},
	{"advice", cmd_advice, "", "what would help here: savings, commands, warnings", "", LIVE,
	 NULL, false},
	{"whatif", cmd_whatif, "[KEY=VALUE...]", "where it settles after a change",
	 "Any of these together: notrack=tcp/80  timeout.tcp_time_wait=30  max=524288\n"
	 "buckets=131072  rate.tcp/80=2  keepalive=tcp/8080\n"
	 "nat.addresses=2  nat.ports=1024-65535\n",
	 LIVE, "notrack= timeout. max= buckets= rate. keepalive= nat.addresses= nat.ports=", false},
	{"nat", cmd_nat, "", "the ports of source NAT: what runs out although the table is empty",
	 "", ROWS | OPT_BIT(OPT_ZONE), NULL, false},
	{"flow", cmd_flow, "L4PROTO SOURCE DESTINATION",
	 "one entry looked up: state, NAT, seconds left, zone, mark", "", 0, NULL, true},
	{"talkers", cmd_talkers, "[FILTER...]", "the addresses that hold most entries",
	 "A FILTER is a protocol or a port, and selects services: tcp/80, http, dport=443.\n",
	 ROWS | OPT_BIT(OPT_KIND) | OPT_BIT(OPT_SRC) | OPT_BIT(OPT_DST) | OPT_BIT(OPT_L4PROTO) |
		 OPT_BIT(OPT_PORT),
	 NULL, false},
	{"incidents", cmd_incidents, "[ID]", "when the table filled, and what it looked like then",
	 "", ROWS | OPT_BIT(OPT_STATE_DIR) | OPT_BIT(OPT_STAGE), NULL, false},
	{"check", cmd_check, "", "for monitoring: OK, WARNING, CRITICAL or UNKNOWN, in one line",
	 "A plugin for Nagios, Icinga and their like, with performance data. With --host\n"
	 "it says whether this host is ready for conntide.\n",
	 TABLE | OPT_BIT(OPT_JSON) | OPT_BIT(OPT_WARNING) | OPT_BIT(OPT_CRITICAL) |
		 OPT_BIT(OPT_HOST),
	 NULL, false},
	{"explain", cmd_explain, "[METRIC|STATE...]", "what a metric or a state means, what to do",
	 "", 0, FILTER_WORDS, false},
	{"record", cmd_record, "[OPTIONS]", "write live events to a trace", "", 0, NULL, true},
	{"replay", cmd_replay, "[OPTIONS] [FILE|-]", "run a trace through mirror and forecast", "",
	 0, NULL, true},
	{"run", cmd_run, "[OPTIONS OF AGENT AND EXPORTER]",
	 "start agent and exporter here; stop both with Ctrl-C", "", 0, NULL, true},
	{"demo", cmd_demo, "[OPTIONS OF EXPORTER]",
	 "a table that fills, played: no root, no traffic", "", 0, NULL, true},
	{"completion", cmd_completion, "bash|zsh|fish", "completion for a shell",
	 "Packages install it already; else:  source <(conntide completion bash)\n", 0,
	 "bash zsh fish", false},
	{"help", cmd_help, "[COMMAND]", "the options of a command", "", 0, "<command>", false},
};
const size_t cli_command_count = sizeof(cli_commands) / sizeof(cli_commands[0]);
