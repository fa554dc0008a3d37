// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/context.h"

#include <stdio.h>
#include <string.h>

#include "exporters/render/services.h"

static int take_detail(struct shm_reader *reader, void *arg)
{
	return snapshot_take_detail(reader, arg);
}

int context_take(const struct cli *cli, struct context *context)
{
	int status;

	memset(context, 0, sizeof(*context));
	snap_detail_init(&context->details);
	status = cli_snapshot_with(cli, &context->snap, take_detail, &context->details);
	if (cli_failed(status))
		return status;
	if (model_build(&context->snap, &context->details, &context->model) < 0) {
		fprintf(stderr, "conntide: out of memory\n");
		return CLI_ERROR;
	}
	context->services = services_load();
	return status;
}

void context_free(struct context *context)
{
	services_free(context->services);
	model_free(&context->model);
	snap_detail_free(&context->details);
	snapshot_free(&context->snap);
}
