// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * "Did you mean": the word that is nearest to one that was mistyped. Pure, but for
 * cli_suggest(), which writes to standard error.
 */
#ifndef CONNTIDE_CLI_SUGGEST_H
#define CONNTIDE_CLI_SUGGEST_H

/*
 * Of `best` (NULL: none yet) and `other` the one that is nearer to `typed`; NULL when both are
 * too far to be meant: one mistake in every three letters, counted as letters that are missing,
 * too many, wrong or exchanged with their neighbour. What begins with `typed` is near, too.
 */
const char *suggest_nearer(const char *typed, const char *best, const char *other);

/* CLI_USAGE after the line on standard error, control characters as '?'. */
int cli_suggest(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
