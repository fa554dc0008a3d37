// SPDX-License-Identifier: GPL-2.0-or-later
/* What why, advice and what-if start from: the table, its story, and the model of both. */
#ifndef CONNTIDE_CLI_CONTEXT_H
#define CONNTIDE_CLI_CONTEXT_H

#include "exporters/advice/model.h"
#include "exporters/cli/cli.h"

struct ground {
	struct snapshot snap;
	struct snap_story story;
	struct model model;
	struct services *services;
};

/* As cli_snapshot(); to be freed in any case. */
int ground_take(const struct cli *cli, struct ground *ground);
void ground_free(struct ground *ground);

#endif
