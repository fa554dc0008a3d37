// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What an option or a filter means for a command. Filters may be typed as users of conntrack,
 * ss and iptstate know them:
 *
 *	-p tcp --dport 80	--port http	tcp/80	http	time-wait	dport=443
 */
#ifndef CONNTIDE_CLI_FILTERS_H
#define CONNTIDE_CLI_FILTERS_H

#include "exporters/cli/cli.h"
#include "exporters/cli/options.h"

/* 0, or an exit status after a message. */
int cli_take_option(struct cli *cli, enum cli_option_id id, const char *value);

/* The arguments that are left, each a protocol, port, direction, state or NAME=VALUE. Likewise. */
int cli_take_filters(struct cli *cli);

/* Tenths of a second; 0: not one from 0.1 to `max_s` seconds. */
unsigned int cli_parse_delay_ds(const char *text, unsigned int max_s);

#endif
