// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/help.h"

#include <stdio.h>
#include <string.h>

#include "exporters/cli/cli.h"
#include "exporters/cli/parse.h"

#define WIDTH	    80u
#define HELP_COLUMN 26u

static const char exit_status[] =
	"\nExit status: 0 fine; 1 could not, and the message says what to do;\n"
	"2 wrong usage; 3 no agent runs: the numbers are old, or not to be had.\n";

static const char plugin_exit_status[] =
	"\nExit status: 0 OK; 1 WARNING; 2 CRITICAL; 3 UNKNOWN: no agent runs, or wrong\n"
	"usage.\n";

/* The words from column `from` on; the line is at column `at`. */
static void add_wrapped(struct text *out, size_t at, size_t from, const char *words)
{
	for (bool first = true; *words; first = false) {
		size_t bytes = strcspn(words, " ");

		if (!first && at + 1 + bytes > WIDTH) {
			text_add_char(out, '\n');
			for (at = 0; at < from; at++)
				text_add_char(out, ' ');
		} else if (!first) {
			text_add_char(out, ' ');
			at++;
		}
		text_add_bytes(out, words, bytes);
		at += bytes;
		words += bytes + strspn(words + bytes, " ");
	}
	text_add_char(out, '\n');
}

static void add_option(struct text *out, const struct cli_option *option)
{
	size_t from = out->bytes;

	if (option->letter)
		text_add_format(out, "  -%c, ", option->letter);
	else
		text_add(out, "      ");
	text_add_format(out, "--%s", option->name);
	if (option->argument && option->argument[0] == '[')
		text_add_format(out, "[=%s", option->argument + 1);
	else if (option->argument)
		text_add_format(out, " %s", option->argument);
	if (out->bytes - from >= HELP_COLUMN) {
		text_add_char(out, '\n');
		from = out->bytes;
	}
	while (!out->failed && out->bytes - from < HELP_COLUMN)
		text_add_char(out, ' ');
	add_wrapped(out, HELP_COLUMN, HELP_COLUMN, option->help);
}

void help_all(struct text *out)
{
	text_add(out,
		 "usage: conntide [COMMAND] [OPTIONS]\n\n"
		 "Watches the connection-tracking table of Linux. Without a command: status.\n\n"
		 "Commands:\n");
	for (size_t i = 0; i < cli_command_count; i++)
		text_add_format(out, "  %-10s %s\n", cli_commands[i].name, cli_commands[i].summary);
	text_add(out, "\nOptions of most commands; conntide help COMMAND lists all of one:\n");
	for (int id = OPT_RUNTIME_DIR; id <= OPT_LIMIT; id++)
		if (id != OPT_STATE_DIR && id != OPT_SORT)
			add_option(out, &cli_options[id]);
	add_option(out, &cli_options[OPT_WATCH]);
	add_option(out, &cli_options[OPT_HELP]);
	text_add(out, "  -V, --version           version\n");
	text_add(out, exit_status);
}

void help_command(const struct cli_command *command, struct text *out)
{
	text_add_format(out, "usage: conntide %s%s%s%s\n\n", command->name,
			*command->arguments ? " " : "", command->arguments,
			command->options ? " [OPTIONS]" : "");
	text_add_format(out, "%s\n", command->summary);
	if (*command->more)
		text_add_format(out, "\n%s", command->more);
	text_add(out, "\nOptions:\n");
	for (int id = 0; id < OPT_COUNT; id++)
		if (id == OPT_HELP || command->options & OPT_BIT(id))
			add_option(out, &cli_options[id]);
	if (command->options & OPT_BIT(OPT_RUNTIME_DIR))
		text_add(out, command->run == cmd_check ? plugin_exit_status : exit_status);
}

/* --- the manual ------------------------------------------------------------------------ */

static void add_roff(struct text *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '-' || *text == '\\')
			text_add_char(out, '\\');
		text_add_char(out, *text);
	}
}

static void add_takers(struct text *out, int id)
{
	const char *separator = "\nOf ";

	for (size_t i = 0; i < cli_command_count; i++) {
		if (!(cli_commands[i].options & OPT_BIT(id)))
			continue;
		text_add(out, separator);
		text_add_format(out, "%s", cli_commands[i].name);
		separator = ", ";
	}
	text_add(out, ".\n");
}

void help_manual(struct text *out)
{
	for (int id = 0; id < OPT_COUNT; id++) {
		const struct cli_option *option = &cli_options[id];
		const char *argument = option->argument;

		text_add(out, ".TP\n.BR \\-\\-");
		add_roff(out, option->name);
		if (option->letter)
			text_add_format(out, " \", \" \\-%c", option->letter);
		if (argument && argument[0] == '[')
			text_add_format(out, " \"[=\\fI%.*s\\fP]\"", (int)strlen(argument) - 2,
					argument + 1);
		else if (argument)
			text_add_format(out, " \" \" \\fI%s\\fP", argument);
		text_add_char(out, '\n');
		add_roff(out, option->help);
		text_add_char(out, '.');
		if (*option->aliases) {
			text_add(out, "\nThe same: ");
			for (const char *at = option->aliases; *at; at += strspn(at, " ")) {
				size_t bytes = strcspn(at, " ");

				text_add(out, at == option->aliases ? "\\-\\-" : ", \\-\\-");
				for (size_t i = 0; i < bytes; i++)
					text_add_format(out, at[i] == '-' ? "\\%c" : "%c", at[i]);
				at += bytes;
			}
			text_add_char(out, '.');
		}
		if (id == OPT_HELP)
			text_add_char(out, '\n');
		else
			add_takers(out, id);
	}
}

/* --- the command ------------------------------------------------------------------------ */

int cmd_help(struct cli *cli)
{
	const struct cli_command *command;
	struct text out;

	if (cli->argc > 1)
		return cli_usage("unexpected argument", cli->argv[1]);
	cli_text_init(cli, &out);
	if (!cli->argc) {
		help_all(&out);
		return cli_print(cli, &out, CLI_OK);
	}
	command = cli_command_find(cli->argv[0]);
	if (!command)
		return cli_no_command(cli->argv[0]);
	if (command->forwards) {
		static char help[] = "--help";
		char *argv[] = {help, NULL};

		cli->argc = 1;
		cli->argv = argv;
		return command->run(cli);
	}
	help_command(command, &out);
	return cli_print(cli, &out, CLI_OK);
}
