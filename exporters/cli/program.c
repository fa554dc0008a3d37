// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/program.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void program_find(const char *name, char path[PATH_MAX])
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n > 0) {
		self[n] = '\0';
		if (snprintf(path, PATH_MAX, "%s/%s", dirname(self), name) < PATH_MAX &&
		    access(path, X_OK) == 0)
			return;
	}
	snprintf(path, PATH_MAX, "%s", name);
}

void program_complain(const char *name)
{
	fprintf(stderr,
		"conntide: cannot start %s: %s; it is looked for beside conntide "
		"and in PATH\n",
		name, strerror(errno));
}
