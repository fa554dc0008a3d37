// SPDX-License-Identifier: GPL-2.0-or-later
/* What why, advice and what-if start from: the table, its details, and the model of both. */
#ifndef CONNTIDE_CLI_CONTEXT_H
#define CONNTIDE_CLI_CONTEXT_H

#include "exporters/advice/model.h"
#include "exporters/cli/cli.h"

struct context {
	struct snapshot snap;
	struct snap_detail details;
	struct model model;
	struct services *services;
};

/* As cli_snapshot(); to be freed in any case. */
int context_take(const struct cli *cli, struct context *context);
void context_free(struct context *context);

#endif
