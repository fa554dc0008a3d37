// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the command lines of all programs have in common.
 *
 * option_is() is for programs that pass options on to another program and so cannot use
 * getopt_long(3). option_hint() is for the message after an unknown option. Pure; returned text
 * points into the argument or is constant.
 */
#ifndef CONNTIDE_BASE_OPTIONS_H
#define CONNTIDE_BASE_OPTIONS_H

#include <stdbool.h>

/*
 * `arg` is "--name", or "--name=value". *ret_value is what follows the '='; NULL without one:
 * then the next word is the value, if the option takes one. Not written
 * when false is returned.
 */
bool option_is(const char *arg, const char *name, const char **ret_value);

/*
 * "PROGRAM: WHY WHAT; see PROGRAM --help\n" with the hint after WHAT (may be NULL). Always one
 * line that fits: control characters become '?', a long WHAT is cut.
 * Returns `out`.
 */
#define OPTION_MESSAGE_BYTES 512u
const char *option_message(char out[OPTION_MESSAGE_BYTES], const char *program, const char *why,
			   const char *what);

/* Control characters become '?', so that quoted text cannot end the line. */
void option_one_line(char *text);

/* ": use --netns" for an option that was renamed, "" for all others. */
const char *option_hint(const char *arg);

#endif
