// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a command prints before any number: that this is a rehearsal, or that the agent does not
 * run. Old numbers must not look current, least of all in a pipe, which loses the exit status.
 */
#ifndef CONNTIDE_CLI_STALE_H
#define CONNTIDE_CLI_STALE_H

#include <stdbool.h>

#include "exporters/cli/cli.h"
#include "exporters/render/text.h"

/* May old numbers be shown to people below the banner? Not by commands that draw conclusions. */
enum old_numbers { OLD_SHOWN, OLD_MISLEAD };

/*
 * True: nothing more is to be printed. To programs old numbers are never given: JSON
 * gets one object that says so, CSV nothing.
 */
bool cli_says_first(const struct cli *cli, const struct snapshot *snap, enum old_numbers old,
		    struct text *out);

#endif
