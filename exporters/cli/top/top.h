// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conntide top: the table on a terminal, once a second.
 *
 *	segment -> snapshot (top.c) -> canvas (view.c) -> terminal (screen.c)
 *
 * Reads shared memory only, so that it opens at once however large the table is, and keeps
 * working while the table is full. Where no agent runs yet, or no longer, each refresh tries
 * again. Threads: one.
 */
#ifndef CONNTIDE_CLI_TOP_TOP_H
#define CONNTIDE_CLI_TOP_TOP_H

struct top_options {
	const char *runtime_dir;
	const char *netns;
	const char *state_dir;
	unsigned int interval_ds; /* tenths of a second between two looks */
	int zone;		  /* of the ports: only this one, or SELECT_ANY */
	char *const *filter;	  /* words, as typed after / */
	int filter_words;
};

/* Until a key or a signal ends it. 0; -ENOTTY without a terminal; -EINVAL when its kind is not
 * known; -ENOMEM; -errno of the segment's name. */
int top_run(const struct top_options *options);

#endif
