// SPDX-License-Identifier: GPL-2.0-or-later
/* What --help and conntide help print, from the tables of options.h. */
#ifndef CONNTIDE_CLI_HELP_H
#define CONNTIDE_CLI_HELP_H

#include "exporters/cli/options.h"
#include "exporters/render/text.h"

/* Of all commands. */
void help_all(struct text *out);
void help_command(const struct cli_command *command, struct text *out);

/* The section OPTIONS of conntide(1), as roff. */
void help_manual(struct text *out);

#endif
