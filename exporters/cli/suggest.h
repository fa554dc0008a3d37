// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * "Did you mean": the word nearest to a mistyped one. Pure, but for
 * cli_suggest(), which writes to standard error.
 */
#ifndef CONNTIDE_CLI_SUGGEST_H
#define CONNTIDE_CLI_SUGGEST_H

/*
 * Of `best` (NULL: none yet) and `other`, the one nearer to `typed`; NULL when both have more
 * than one mistake in three letters (missing, extra, wrong, or swapped with their neighbour).
 * Words that begin with `typed` are near, too.
 */
const char *suggest_nearer(const char *typed, const char *best, const char *other);

/* CLI_USAGE after the line on standard error, control characters as '?'. */
int cli_suggest(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
