// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/base/options.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

bool option_is(const char *arg, const char *name, const char **ret_value)
{
	size_t bytes = strlen(name);

	if (strncmp(arg, "--", 2) != 0 || strncmp(arg + 2, name, bytes) != 0)
		return false;
	arg += 2 + bytes;
	if (*arg != '=' && *arg != '\0')
		return false;
	*ret_value = *arg == '=' ? arg + 1 : NULL;
	return true;
}

const char *option_hint(const char *arg)
{
	static const struct {
		const char *old, *hint;
	} renamed[] = {{"name", ": use --netns"}, {"mute-interval", ": use --silent-interval"}};
	const char *value;

	for (size_t i = 0; i < sizeof(renamed) / sizeof(renamed[0]); i++)
		if (option_is(arg, renamed[i].old, &value))
			return renamed[i].hint;
	return "";
}

void option_one_line(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

const char *option_message(char out[OPTION_MESSAGE_BYTES], const char *program, const char *why,
			   const char *what)
{
	int n = snprintf(out, OPTION_MESSAGE_BYTES, "%s: %s%s%.300s%s; see %s --help", program, why,
			 what ? " " : "", what ? what : "", what ? option_hint(what) : "", program);
	size_t bytes = n < 0				   ? 0
		       : n < (int)OPTION_MESSAGE_BYTES - 2 ? (size_t)n
							   : OPTION_MESSAGE_BYTES - 2;

	out[bytes] = '\0';
	option_one_line(out);
	strcpy(out + bytes, "\n");
	return out;
}
