// SPDX-License-Identifier: GPL-2.0-or-later
/* The incidents that were kept: the list, or one of them. Needs no agent. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exporters/advice/incident_view.h"
#include "exporters/cli/cli.h"
#include "exporters/render/incidents.h"
#include "exporters/render/services.h"

static int complain(const struct cli *cli, int err)
{
	if (err == -EINVAL)
		fprintf(stderr, "conntide: %s is not the name of a table\n", cli->netns);
	else
		fprintf(stderr, "conntide: %s/%s" INCIDENT_DIR_SUFFIX ": %s%s\n", cli->state_dir,
			cli->netns, strerror(-err),
			err == -EACCES ? "; run as root or join the group conntide" : "");
	return CLI_ERROR;
}

static int show_list(const struct cli *cli, const struct incident_list *list, int fd,
		     const uint8_t boot_id[16])
{
	struct incident_view_files files = {incident_load, fd};
	const char *patterns[INCIDENT_PATTERNS];
	struct text out;

	cli_text_init(cli, &out);
	incident_view_patterns(&files, list, cli->select.limit, patterns);
	if (!list->count && !list->bad_count && cli->format == ROWS_TEXT)
		text_add_format(&out, "no incident has been kept in %s/%s" INCIDENT_DIR_SUFFIX "\n",
				cli->state_dir, cli->netns);
	else
		render_incidents(list, boot_id, patterns, cli->select.limit, cli->format, &out);
	return cli_print(cli, &out, CLI_OK);
}

static int print_one(const struct cli *cli, struct incident_view *view,
		     struct incident_image *image)
{
	struct services *services = services_load();
	struct text out;
	int err;

	cli_text_init(cli, &out);
	view->services = services;
	err = incident_view_incident(view, image, true, cli->format != ROWS_JSON, &out);
	if (err)
		fprintf(stderr, "conntide: %s\n", incident_explain(err));
	services_free(services);
	return cli_print(cli, &out, CLI_OK);
}

static int show_one(const struct cli *cli, const struct incident_list *list, int fd,
		    const uint8_t boot_id[16])
{
	const struct incident_item *item = incident_find(list, cli->argv[0]);
	struct incident_view view = {
		.item = item, .boot_id = boot_id, .problem = "", .limit = cli->select.limit};
	struct incident_view_files files = {incident_load, fd};
	struct incident_image image;
	int stage, status, err;

	if (!item) {
		fprintf(stderr, "conntide: no such incident: %s; conntide incidents lists them\n",
			cli->argv[0]);
		return CLI_ERROR;
	}
	stage = cli->stage >= 0 ? cli->stage : item->worst.stage;
	if (!(item->stages & 1u << stage)) {
		fprintf(stderr, "conntide: %s has no snapshot of stage %s\n", item->last.id,
			incident_stage_name((unsigned int)stage));
		return CLI_ERROR;
	}
	view.pattern = incident_view_pattern(&files, item);
	err = incident_load(&image, fd, item->last.id, (enum incident_stage)stage);
	view.shown = err ? &item->worst : &image.head;
	if (err) {
		view.problem = incident_explain(err);
		fprintf(stderr, "conntide: %s: %s\n", item->last.id, view.problem);
	}
	status = print_one(cli, &view, err ? NULL : &image);
	if (!err)
		incident_image_close(&image);
	return err ? CLI_ERROR : status;
}

int cmd_incidents(struct cli *cli)
{
	int fd = incident_dir_open(cli->state_dir, cli->netns);
	struct incident_list list = {0};
	uint8_t boot_id[16] = {0};
	int status, err = 0;

	if (cli->argc > 1 || (cli->argc && cli->format != ROWS_JSON && cli->format != ROWS_TEXT)) {
		fprintf(stderr, "conntide: one incident at a time, as text or as JSON; see "
				"conntide --help\n");
		status = CLI_USAGE;
	} else if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR) {
		return complain(cli, fd);
	} else {
		boot_id_read(boot_id);
		if (fd >= 0)
			err = incident_list_read(&list, fd);
		status = err	     ? complain(cli, err)
			 : cli->argc ? show_one(cli, &list, fd, boot_id)
				     : show_list(cli, &list, fd, boot_id);
	}
	incident_list_free(&list);
	if (fd >= 0)
		close(fd);
	return status;
}
