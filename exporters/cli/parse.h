// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Turns the words of a command line into options, by the tables of options.h. An unknown word
 * gets one line on standard error, with what may have been meant.
 */
#ifndef CONNTIDE_CLI_PARSE_H
#define CONNTIDE_CLI_PARSE_H

#include "exporters/cli/cli.h"
#include "exporters/cli/options.h"

/* 0, or an exit status after a message; -1: help was asked for. argv[0] is the command. */
int cli_options_parse(struct cli *cli, const struct cli_command *command, int argc, char **argv);

/* CLI_USAGE after the message. */
int cli_no_command(const char *name);

#endif
