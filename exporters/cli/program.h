// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The other programs of conntide, started by this one. Looked for beside this program first, so
 * that a build directory does not run installed ones, then in PATH.
 */
#ifndef CONNTIDE_CLI_PROGRAM_H
#define CONNTIDE_CLI_PROGRAM_H

#include <limits.h>

/* What to give to execvp(). */
void program_find(const char *name, char path[PATH_MAX]);

/* After execvp() has failed with errno: a line on standard error. */
void program_complain(const char *name);

#endif
