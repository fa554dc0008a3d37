// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Completions for shells, from the tables of options.h. packaging/completion has what this
 * prints; `make completion` writes it anew.
 *
 * Commands that read their own options (record, replay, run) are asked for them with --help
 * when one completes them.
 */
#include <string.h>

#include "exporters/cli/cli.h"
#include "exporters/cli/help.h"
#include "exporters/cli/options.h"

static const char head[] = "# Written by conntide completion; see make completion.\n";

static bool takes(const struct cli_command *command, int id)
{
	return !command->forwards && (id == OPT_HELP || command->options & OPT_BIT(id));
}

/* The long names with dashes, blanks between. */
static void add_names(struct text *out, const struct cli_command *command)
{
	const char *separator = "";

	for (int id = 0; id < OPT_COUNT; id++) {
		if (!takes(command, id))
			continue;
		text_add_format(out, "%s--%s", separator, cli_options[id].name);
		separator = " ";
	}
}

static void add_commands(struct text *out, bool forwarding)
{
	const char *separator = "";

	for (size_t i = 0; i < cli_command_count; i++) {
		if (forwarding && !cli_commands[i].forwards)
			continue;
		text_add_format(out, "%s%s", separator, cli_commands[i].name);
		separator = forwarding ? "|" : " ";
	}
}

/* --- bash --------------------------------------------------------------------------------- */

/* What follows an option, as the arguments of compgen. */
static void bash_values(struct text *out, const struct cli_option *option)
{
	if (!option->values)
		text_add(out, "return");
	else if (!strcmp(option->values, CLI_VALUES_DIR))
		text_add(out, "COMPREPLY=($(compgen -d -- \"$cur\")); return");
	else if (!strcmp(option->values, CLI_VALUES_TABLE))
		text_add(out, "COMPREPLY=($(compgen -W \"$(_conntide_tables)\" -- \"$cur\")); "
			      "return");
	else if (!strcmp(option->values, CLI_VALUES_SERVICE))
		text_add(out, "COMPREPLY=($(compgen -s -- \"$cur\")); return");
	else
		text_add_format(out, "COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return",
				option->values);
}

static void bash(struct text *out)
{
	text_add(out, head);
	text_add(out, "_conntide_tables()\n{\n\tlocal file\n"
		      "\tfor file in " CLI_RUNTIME_DIR "/*.table; do\n"
		      "\t\t[ -e \"$file\" ] && basename \"$file\" .table\n\tdone\n}\n\n"
		      "_conntide()\n{\n"
		      "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
		      "\tlocal i command= words=\n\tCOMPREPLY=()\n"
		      "\t# --format=csv comes as three words.\n"
		      "\t[ \"$cur\" = = ] && cur=\n"
		      "\t[ \"$prev\" = = ] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
		      "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
		      "\t\tcase ${COMP_WORDS[i]} in\n"
		      "\t\t--runtime-dir|--netns) i=$((i + 1)) ;;\n"
		      "\t\t-*|=) ;;\n\t\t*) command=${COMP_WORDS[i]}; break ;;\n\t\tesac\n"
		      "\tdone\n\tcase $prev in\n");
	for (int id = 0; id < OPT_COUNT; id++) {
		if (!cli_options[id].argument || cli_options[id].argument[0] == '[')
			continue;
		text_add_format(out, "\t--%s) ", cli_options[id].name);
		bash_values(out, &cli_options[id]);
		text_add(out, " ;;\n");
	}
	text_add(out, "\tesac\n\tcase $command in\n\t'') words='");
	add_commands(out, false);
	text_add(out, " --runtime-dir --netns --help --version' ;;\n\t");
	add_commands(out, true);
	text_add(out, ")\n\t\twords=$(conntide \"$command\" --help 2>/dev/null |\n"
		      "\t\t\tgrep -o -E -- '(^|[ ,[])--[a-z][a-z.-]*' | tr -d ' ,[') ;;\n");
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *command = &cli_commands[i];

		if (command->forwards)
			continue;
		text_add_format(out, "\t%s) words='", command->name);
		add_names(out, command);
		if (command->words && !strcmp(command->words, "<command>")) {
			text_add_char(out, ' ');
			add_commands(out, false);
		} else if (command->words) {
			text_add_format(out, " %s", command->words);
		}
		text_add(out, "' ;;\n");
	}
	text_add(out, "\tesac\n\tCOMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
		      "\t[[ ${COMPREPLY[0]} == *[=.] ]] && compopt -o nospace 2>/dev/null\n"
		      "\treturn 0\n}\ncomplete -F _conntide conntide\n");
}

/* --- zsh ---------------------------------------------------------------------------------- */

/* In single quotes and between brackets. */
static void zsh_text(struct text *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			text_add(out, "'\\'");
		else if (*text == '[' || *text == ']' || *text == ':')
			text_add_char(out, '\\');
		text_add_char(out, *text);
	}
}

static void zsh_option(struct text *out, const struct cli_option *option)
{
	const char *values = option->values, *argument = option->argument;

	if (option->letter)
		text_add_format(out, "'(-%c --%s)'{-%c,--%s}", option->letter, option->name,
				option->letter, option->name);
	else
		text_add_format(out, "--%s", option->name);
	text_add(out, argument && *argument == '['  ? "'=-["
		      : argument && !option->letter ? "'=["
						    : "'[");
	zsh_text(out, option->help);
	text_add_char(out, ']');
	if (argument && *argument == '[') {
		text_add(out, "::seconds");
	} else if (argument) {
		text_add_format(out, ":%s:", argument);
		if (values && !strcmp(values, CLI_VALUES_DIR))
			text_add(out, "_directories");
		else if (values && !strcmp(values, CLI_VALUES_TABLE))
			text_add(out, "(" CLI_RUNTIME_DIR "/*.table(N\\:t\\:r))");
		else if (values && !strcmp(values, CLI_VALUES_SERVICE))
			text_add(out, "_ports");
		else if (values)
			text_add_format(out, "(%s)", values);
	}
	text_add_char(out, '\'');
}

static void zsh_command(struct text *out, const struct cli_command *command)
{
	text_add_format(out, "\t%s)\n\t\t_arguments", command->name);
	for (int id = 0; id < OPT_COUNT; id++) {
		if (!takes(command, id))
			continue;
		text_add(out, " \\\n\t\t\t");
		zsh_option(out, &cli_options[id]);
	}
	if (command->words && !strcmp(command->words, "<command>")) {
		text_add(out, " \\\n\t\t\t'1:command:(");
		add_commands(out, false);
		text_add(out, ")'");
	} else if (command->words) {
		text_add_format(out, " \\\n\t\t\t'*:filter:(%s)'", command->words);
	}
	text_add(out, " ;;\n");
}

static void zsh(struct text *out)
{
	text_add(out, "#compdef conntide\n");
	text_add(out, head);
	text_add(out, "_conntide()\n{\n\tlocal curcontext=$curcontext state line\n"
		      "\tlocal -a commands\n\tcommands=(\n");
	for (size_t i = 0; i < cli_command_count; i++) {
		text_add_format(out, "\t\t'%s:", cli_commands[i].name);
		zsh_text(out, cli_commands[i].summary);
		text_add(out, "'\n");
	}
	text_add(out, "\t)\n\t_arguments -C '--runtime-dir=:DIR:_directories' '--netns=:NAME:' \\\n"
		      "\t\t'(-h --help)'{-h,--help}'[help]' "
		      "'(-V --version)'{-V,--version}'[version]' \\\n"
		      "\t\t'1:command:->command' '*::options:->options'\n"
		      "\tif [[ $state == command ]]; then\n"
		      "\t\t_describe command commands\n\t\treturn\n\tfi\n"
		      "\tcase $words[1] in\n");
	text_add(out, "\t");
	add_commands(out, true);
	text_add(out, ")\n\t\tcompadd -- $(conntide $words[1] --help 2>/dev/null |\n"
		      "\t\t\tgrep -o -E -- '(^|[ ,[])--[a-z][a-z.-]*' | tr -d ' ,[') ;;\n");
	for (size_t i = 0; i < cli_command_count; i++)
		if (!cli_commands[i].forwards)
			zsh_command(out, &cli_commands[i]);
	text_add(out, "\tesac\n}\n\n_conntide \"$@\"\n");
}

/* --- fish --------------------------------------------------------------------------------- */

static void fish_text(struct text *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			text_add_char(out, '\\');
		text_add_char(out, *text);
	}
}

static void fish_option(struct text *out, const struct cli_command *command,
			const struct cli_option *option)
{
	const char *values = option->values, *argument = option->argument;

	text_add_format(out, "complete -c conntide -n '__fish_seen_subcommand_from %s' -l %s",
			command->name, option->name);
	if (option->letter)
		text_add_format(out, " -s %c", option->letter);
	if (argument && *argument != '[')
		text_add(out, " -x");
	if (values && !strcmp(values, CLI_VALUES_DIR))
		text_add(out, " -a '(__fish_complete_directories)'");
	else if (values && !strcmp(values, CLI_VALUES_TABLE))
		text_add(out,
			 " -a '(string replace -r \".*/(.*)\\.table\" \"\\$1\" " CLI_RUNTIME_DIR
			 "/*.table)'");
	else if (values && !strcmp(values, CLI_VALUES_SERVICE))
		text_add(out, " -a '(string match -r \"^[a-z][^\\s]*\" < /etc/services)'");
	else if (values)
		text_add_format(out, " -a '%s'", values);
	text_add(out, " -d '");
	fish_text(out, option->help);
	text_add(out, "'\n");
}

static void fish(struct text *out)
{
	text_add(out, head);
	text_add(out, "set -l commands ");
	add_commands(out, false);
	text_add(out, "\ncomplete -c conntide -f\n");
	for (size_t i = 0; i < cli_command_count; i++) {
		const struct cli_command *command = &cli_commands[i];

		text_add_format(
			out,
			"complete -c conntide -n \"not __fish_seen_subcommand_from $commands\" "
			"-a %s -d '",
			command->name);
		fish_text(out, command->summary);
		text_add(out, "'\n");
		if (command->forwards)
			text_add_format(
				out,
				"complete -c conntide -n '__fish_seen_subcommand_from %s' "
				"-a '(conntide %s --help 2>/dev/null | string match -a -r -- "
				"\"--[a-z][a-z.-]*\")'\n",
				command->name, command->name);
		if (command->words && !strcmp(command->words, "<command>"))
			text_add_format(out,
					"complete -c conntide -n '__fish_seen_subcommand_from %s' "
					"-a \"$commands\"\n",
					command->name);
		else if (command->words)
			text_add_format(out,
					"complete -c conntide -n '__fish_seen_subcommand_from %s' "
					"-a '%s'\n",
					command->name, command->words);
		for (int id = 0; id < OPT_COUNT; id++)
			if (takes(command, id))
				fish_option(out, command, &cli_options[id]);
	}
}

int cmd_completion(struct cli *cli)
{
	static const struct {
		const char *name;
		void (*write)(struct text *out);
	} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}, {"man", help_manual}};
	struct text out;

	if (cli->argc != 1)
		return cli_usage("completion for which shell: bash, zsh or fish?", NULL);
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		if (strcmp(cli->argv[0], shells[i].name) != 0)
			continue;
		text_init(&out);
		shells[i].write(&out);
		return cli_print(cli, &out, CLI_OK);
	}
	return cli_usage("no completion for", cli->argv[0]);
}
