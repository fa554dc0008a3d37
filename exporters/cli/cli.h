// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line: a table of subcommands, one cmd_*.c each.
 *
 * Exit status: 0 fine; 1 could not, with one line on standard error that says
 * what to do; 2 wrong usage; 3 done, but the numbers are old, because the agent
 * is silent or stopped.
 */
#ifndef CONNTIDE_CLI_CLI_H
#define CONNTIDE_CLI_CLI_H

#include <stdbool.h>

#include "exporters/render/rows.h"
#include "exporters/render/select.h"
#include "lib/shm/snapshot.h"

#define CLI_OK	  0
#define CLI_ERROR 1
#define CLI_USAGE 2
#define CLI_STALE 3

#define CLI_RUNTIME_DIR	   "/run/conntide"
#define CLI_NETNS	   "host"
#define CLI_STATE_DIR	   "/var/lib/conntide"
#define CLI_LISTEN_DEFAULT ":10371"

struct cli {
	const char *runtime_dir;
	const char *netns;
	const char *state_dir;
	enum rows_format format;
	bool format_given;
	struct select select;
	bool limit_given;
	bool history;	    /* --history */
	uint32_t horizon_s; /* --horizon; 0: not given */
	int kind;	    /* --kind: enum shm_talker_kind; -1: all */
	int stage;	    /* of an incident; -1: the worst */
	int argc;	    /* what is left after the options */
	char **argv;
};

struct command {
	const char *name;
	int (*run)(struct cli *cli);
	const char *arguments;
	const char *help;
	const char *options; /* letters of the option table in main.c; NULL: parses its own */
};

int cmd_status(struct cli *cli);
int cmd_top(struct cli *cli);
int cmd_ports(struct cli *cli);
int cmd_cells(struct cli *cli);
int cmd_forecast(struct cli *cli);
int cmd_nat(struct cli *cli);
int cmd_talkers(struct cli *cli);
int cmd_why(struct cli *cli);
int cmd_advice(struct cli *cli);
int cmd_whatif(struct cli *cli);
int cmd_incidents(struct cli *cli);
int cmd_explain(struct cli *cli);
int cmd_run(struct cli *cli);
int cmd_record(struct cli *cli);
int cmd_replay(struct cli *cli);

/* CLI_USAGE after a line on standard error; `what` may be NULL. */
int cli_usage(const char *why, const char *what);
/* CLI_OK if it is the name of a table, else likewise. */
int cli_check_netns(const char *name);

/*
 * Takes a snapshot of the table the options name. CLI_OK, CLI_STALE (after a
 * line on standard error) or CLI_ERROR (likewise). The caller frees *snap.
 */
int cli_snapshot(const struct cli *cli, struct snapshot *snap);

struct shm_reader;

/* The same, and takes `more` from the same table; it returns 0 or -errno. */
int cli_snapshot_with(const struct cli *cli, struct snapshot *snap,
		      int (*more)(struct shm_reader *reader, void *arg), void *arg);

/* Prints, or CLI_ERROR when memory ran out or standard output is closed. */
int cli_print(struct text *out, int status);

#endif
