// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The command line: a table of commands (commands.c), one cmd_*.c each, and one of options
 * (options.c).
 *
 * Exit status: 0 fine; 1 could not, with one line on standard error that says what to do; 2
 * wrong usage; 3 no agent runs: done with old numbers, or there are none.
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
/* Within the program: there is no table, which has been said. Exit status 3. */
#define CLI_MISSING 0x103

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
	const char *source;	 /* --src; NULL: any */
	const char *destination; /* --dst; NULL: any */
	bool limit_given;
	bool history;	       /* --history */
	uint32_t horizon_s;    /* --horizon; 0: not given */
	int kind;	       /* --kind: enum shm_talker_kind; -1: all */
	int stage;	       /* of an incident; -1: the worst */
	bool verbose;	       /* --verbose */
	unsigned int watch_ds; /* --watch, in tenths of a second; 0: once */
	bool batch;	       /* of top */
	bool rounds_given;
	uint64_t rounds;
	unsigned int delay_ds;
	const char *warning; /* of check; NULL: not given */
	const char *critical;
	bool host;	    /* of check */
	size_t keep_indent; /* of output: see text_wrap() */
	int argc;	    /* what is left after the options */
	char **argv;
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
int cmd_check(struct cli *cli);
int cmd_explain(struct cli *cli);
int cmd_run(struct cli *cli);
int cmd_demo(struct cli *cli);
int cmd_record(struct cli *cli);
int cmd_flow(struct cli *cli);
int cmd_replay(struct cli *cli);
int cmd_completion(struct cli *cli);
int cmd_help(struct cli *cli);

/* CLI_USAGE after a line on standard error; `what` may be NULL. */
int cli_usage(const char *why, const char *what);
/* CLI_OK if it is the name of a table, else likewise. */
int cli_check_netns(const char *name);

/*
 * Takes a snapshot of the table the options name. CLI_OK; CLI_STALE after a line on standard
 * error; CLI_ERROR likewise; CLI_MISSING when no agent has run, which is also what standard
 * output then begins with. The caller frees *snap.
 */
int cli_snapshot(const struct cli *cli, struct snapshot *snap);

/* No numbers at all, neither current nor old. */
static inline bool cli_failed(int status)
{
	return status == CLI_ERROR || status == CLI_MISSING;
}

#define CLI_WHY_BYTES 512u

/* The same, and says nothing itself: 0, or -errno and `why`. The caller checks whether the
 * numbers are fresh. */
int cli_look(const struct cli *cli, struct snapshot *snap, char why[CLI_WHY_BYTES]);

struct shm_reader;

/* The same, and takes `more` from the same table; it returns 0 or -errno. */
int cli_snapshot_with(const struct cli *cli, struct snapshot *snap,
		      int (*more)(struct shm_reader *reader, void *arg), void *arg);

/* After rows by zone (--zone): how many entries have no row; beside rows for programs on standard
 * error. */
void cli_zone_note(const struct cli *cli, const struct snapshot *snap, struct text *out);

/* What cli_print() takes: text that knows the terminal it is for, if it is for one. */
void cli_text_init(const struct cli *cli, struct text *out);

/* Prints, or CLI_ERROR when memory ran out or standard output is closed. */
int cli_print(const struct cli *cli, struct text *out, int status);

#endif
