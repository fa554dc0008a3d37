// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/parse.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "exporters/cli/filters.h"
#include "exporters/cli/suggest.h"

/* --- what getopt is told ------------------------------------------------------------ */

#define NAMES_MAX  (3u * OPT_COUNT)
#define NAME_BYTES 24u

struct spelling {
	char names[NAMES_MAX][NAME_BYTES]; /* long ones, as strings of their own */
	struct option longs[NAMES_MAX + 1];
	char letters[3u * OPT_COUNT + 2];
	size_t count;
	size_t letter_bytes;
};

static bool takes(const struct cli_command *command, int id)
{
	return id == OPT_HELP || command->options & OPT_BIT(id);
}

static int argument_kind(const struct cli_option *option)
{
	if (!option->argument)
		return no_argument;
	return option->argument[0] == '[' ? optional_argument : required_argument;
}

static void add_name(struct spelling *to, const char *name, size_t bytes, int id)
{
	if (to->count == NAMES_MAX || bytes >= NAME_BYTES)
		return;
	memcpy(to->names[to->count], name, bytes);
	to->longs[to->count] = (struct option){to->names[to->count],
					       argument_kind(&cli_options[id]), NULL, 256 + id};
	to->count++;
}

static void spell(const struct cli_command *command, struct spelling *to)
{
	memset(to, 0, sizeof(*to));
	to->letters[to->letter_bytes++] = ':';
	for (int id = 0; id < OPT_COUNT; id++) {
		const struct cli_option *option = &cli_options[id];
		const char *at = option->aliases;

		if (!takes(command, id))
			continue;
		add_name(to, option->name, strlen(option->name), id);
		for (; *at; at += strspn(at, " ")) {
			add_name(to, at, strcspn(at, " "), id);
			at += strcspn(at, " ");
		}
		if (!option->letter)
			continue;
		to->letters[to->letter_bytes++] = option->letter;
		for (int i = argument_kind(option); i > 0; i = i == optional_argument ? 1 : 0)
			to->letters[to->letter_bytes++] = ':';
	}
}

static int id_of(const struct cli_command *command, int letter)
{
	if (letter >= 256)
		return letter - 256;
	for (int id = 0; id < OPT_COUNT; id++)
		if (takes(command, id) && cli_options[id].letter == letter)
			return id;
	return -1;
}

/* --- messages ------------------------------------------------------------------------ */

/* The commands that take it: "talkers, flow". */
static void list_takers(int id, char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < cli_command_count && n < size; i++)
		if (cli_commands[i].options & OPT_BIT(id))
			n += (size_t)snprintf(out + n, size - n, "%s%s", n ? ", " : "",
					      cli_commands[i].name);
}

static int unknown_option(const struct cli_command *command, const char *word)
{
	char name[64], others[128], meant[80];
	const char *near = NULL;
	struct spelling all;
	int id;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + strspn(word, "-"), "="),
		 word + strspn(word, "-"));
	id = cli_option_find(name);
	if (id >= 0) {
		list_takers(id, others, sizeof(others));
		return cli_suggest("%s is not an option of %s, but of %s", word, command->name,
				   others);
	}
	spell(command, &all);
	if (strlen(name) > 1)
		for (size_t i = 0; i < all.count; i++)
			near = suggest_nearer(name, near, all.names[i]);
	if (!near)
		return cli_usage("unknown option", word);
	snprintf(meant, sizeof(meant), "--%s", near);
	return cli_suggest("unknown option %s; did you mean %s? See conntide help %s", word, meant,
			   command->name);
}

/* getopt has moved past the word, unless it is one letter of several. */
static int refuse(const struct cli_command *command, char **argv, int unknown)
{
	const char letter[] = {'-', (char)unknown, '\0'};
	char others[128];

	/* With a long one optopt is 0, or its value when it was given an argument too many. */
	if (unknown && unknown < 256 && strncmp(argv[optind - 1], "--", 2) != 0)
		for (int id = 0; id < OPT_COUNT; id++) {
			if (cli_options[id].letter != unknown)
				continue;
			list_takers(id, others, sizeof(others));
			return cli_suggest("%s is not an option of %s, but of %s", letter,
					   command->name, others);
		}
	if (unknown && unknown < 256 && strncmp(argv[optind - 1], "--", 2) != 0)
		return cli_usage("unknown option", letter);
	if (unknown >= 256)
		return cli_usage("takes no value:", argv[optind - 1]);
	return unknown_option(command, argv[optind - 1]);
}

int cli_options_parse(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
	struct spelling spelling;
	int letter;

	spell(command, &spelling);
	opterr = 0;
	optind = 1;
	while ((letter = getopt_long(argc, argv, spelling.letters, spelling.longs, NULL)) != -1) {
		int id, status;

		if (letter == ':')
			return cli_usage("missing value after", argv[optind - 1]);
		if (letter == '?')
			return refuse(command, argv, optopt);
		id = id_of(command, letter);
		if (id == OPT_HELP)
			return -1;
		status = cli_take_option(cli, (enum cli_option_id)id, optarg);
		if (status)
			return status;
	}
	cli->argc = argc - optind;
	cli->argv = argv + optind;
	if (cli->argc > 0 && !command->arguments[0])
		return cli_usage("unexpected argument", cli->argv[0]);
	return 0;
}

int cli_no_command(const char *name)
{
	const char *near = NULL;

	for (size_t i = 0; i < cli_command_count; i++)
		near = suggest_nearer(name, near, cli_commands[i].name);
	return near ? cli_suggest("no such command: %.100s; did you mean conntide %s?", name, near)
		    : cli_usage("no such command:", name);
}
