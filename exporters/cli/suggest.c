// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/suggest.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "exporters/cli/cli.h"
#include "lib/base/options.h"

#define WORD_MAX 31u

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* Optimal string alignment. Words longer than WORD_MAX are far from everything. */
static unsigned int distance(const char *a, const char *b)
{
	unsigned int d[WORD_MAX + 1][WORD_MAX + 1];
	size_t m = strlen(a), n = strlen(b);

	if (m > WORD_MAX || n > WORD_MAX)
		return WORD_MAX;
	for (size_t i = 0; i <= m; i++)
		d[i][0] = (unsigned int)i;
	for (size_t j = 0; j <= n; j++)
		d[0][j] = (unsigned int)j;
	for (size_t i = 1; i <= m; i++)
		for (size_t j = 1; j <= n; j++) {
			d[i][j] = least(d[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
					least(d[i - 1][j], d[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	return d[m][n];
}

static unsigned int far_from(const char *typed, const char *word)
{
	size_t bytes = strlen(typed);

	if (bytes > 1 && !strncmp(typed, word, bytes))
		return 1;
	return distance(typed, word);
}

const char *suggest_nearer(const char *typed, const char *best, const char *other)
{
	unsigned int most = (unsigned int)(strlen(typed) + 2) / 3;
	unsigned int now = best ? far_from(typed, best) : most + 1;

	return far_from(typed, other) < now ? other : best;
}

int cli_suggest(const char *fmt, ...)
{
	char line[OPTION_MESSAGE_BYTES];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	option_one_line(line);
	fprintf(stderr, "conntide: %s\n", line);
	return CLI_USAGE;
}
