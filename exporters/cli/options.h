// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of options and the table of commands: what is parsed, what help, manual and
 * completions list, comes from these and from nowhere else.
 *
 * An option has one meaning wherever it stands; a command names the options it takes. A letter
 * may belong to another option in another command. Constant data; pure.
 */
#ifndef CONNTIDE_CLI_OPTIONS_H
#define CONNTIDE_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cli;

enum cli_option_id {
	OPT_RUNTIME_DIR,
	OPT_NETNS,
	OPT_STATE_DIR,
	OPT_JSON,
	OPT_FORMAT,
	OPT_SORT,
	OPT_LIMIT,
	OPT_L4PROTO,
	OPT_DIRECTION,
	OPT_PORT,
	OPT_STATE,
	OPT_SRC,
	OPT_DST,
	OPT_ZONE,
	OPT_HISTORY,
	OPT_HORIZON,
	OPT_KIND,
	OPT_STAGE,
	OPT_VERBOSE,
	OPT_WATCH,
	OPT_BATCH,
	OPT_ROUNDS,
	OPT_DELAY,
	OPT_WARNING,
	OPT_CRITICAL,
	OPT_HOST,
	OPT_HELP,
	OPT_COUNT
};

#define OPT_BIT(id) (UINT64_C(1) << (id))

struct cli_option {
	const char *name;
	char letter;	      /* 0: none */
	const char *aliases;  /* other long names, separated by blanks: what other tools call it */
	const char *argument; /* NULL: takes none; in brackets: may be left out */
	const char *values;   /* of the argument, separated by blanks; or CLI_VALUES_... */
	const char *help;
};

/* Arguments that are not among a few words. */
#define CLI_VALUES_DIR	   "<directory>"
#define CLI_VALUES_TABLE   "<table>"   /* of the runtime directory */
#define CLI_VALUES_SERVICE "<service>" /* of the services database */

struct cli_command {
	const char *name;
	int (*run)(struct cli *cli);
	const char *arguments; /* in the line of usage; "": takes none */
	const char *summary;   /* one line */
	const char *more;      /* of the help text, in lines; "" for none */
	uint64_t options;      /* OPT_BIT(), ... */
	const char *words;     /* its arguments may be these, for completion; NULL: not known */
	bool forwards;	       /* reads its own options */
};

extern const struct cli_option cli_options[OPT_COUNT];
extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;

/* NULL when there is no such command. */
const struct cli_command *cli_command_find(const char *name);

/* By long name or alias, without the dashes, whole; -1 when there is none. */
int cli_option_find(const char *name);

#endif
