// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/age.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *format_age(uint64_t age_ns, char out[32])
{
	uint64_t seconds = age_ns / 1000000000u;

	if (age_ns == UINT64_MAX)
		strcpy(out, "from an earlier boot");
	else if (seconds < 10)
		snprintf(out, 32, "%.1f s", (double)age_ns / 1e9);
	else if (seconds < 120)
		snprintf(out, 32, "%" PRIu64 " s", seconds);
	else if (seconds < 7200)
		snprintf(out, 32, "%" PRIu64 " min", seconds / 60);
	else if (seconds < 172800)
		snprintf(out, 32, "%" PRIu64 " h", seconds / 3600);
	else
		snprintf(out, 32, "%" PRIu64 " d", seconds / 86400);
	return out;
}

const char *format_time(uint64_t real_ns, char out[32])
{
	time_t seconds = (time_t)(real_ns / 1000000000u);
	struct tm tm;

	if (!gmtime_r(&seconds, &tm) || strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		strcpy(out, "unknown");
	return out;
}
