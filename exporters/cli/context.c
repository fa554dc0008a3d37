// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/context.h"

#include <stdio.h>
#include <string.h>

#include "exporters/render/services.h"

static int take_story(struct shm_reader *reader, void *arg)
{
	return snapshot_take_story(reader, arg);
}

int ground_take(const struct cli *cli, struct ground *ground)
{
	int status;

	memset(ground, 0, sizeof(*ground));
	snap_story_init(&ground->story);
	status = cli_snapshot_with(cli, &ground->snap, take_story, &ground->story);
	if (status == CLI_ERROR)
		return status;
	if (model_build(&ground->snap, &ground->story, &ground->model) < 0) {
		fprintf(stderr, "conntide: out of memory\n");
		return CLI_ERROR;
	}
	ground->services = services_load();
	return status;
}

void ground_free(struct ground *ground)
{
	services_free(ground->services);
	model_free(&ground->model);
	snap_story_free(&ground->story);
	snapshot_free(&ground->snap);
}
