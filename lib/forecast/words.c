// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <stdio.h>

#include "lib/forecast/forecast.h"

static void filling(const struct fc_forecast *fc, char *buf, size_t size)
{
	double early = floor(fc->tte_early_s / 60.0), likely = fc->tte_s / 60.0;

	if (isfinite(fc->tte_late_s))
		snprintf(buf, size, "full in about %.0f min (%.0f-%.0f)", likely, early,
			 ceil(fc->tte_late_s / 60.0));
	else
		snprintf(buf, size, "full in about %.0f min (%.0f or later)", likely, early);
}

static void silent(const struct fc_forecast *fc, char *buf, size_t size)
{
	static const char *const why[] = {
		[FC_SAYS] = "watching",
		[FC_STARTING] = "watching",
		[FC_LOSING_EVENTS] = "events were lost, watching",
		[FC_OVERLOADED] = "the table was full, watching",
		[FC_TIMEOUTS_CHANGED] = "a timeout was changed, watching",
	};

	if (fc->silence == FC_NO_EVENTS)
		snprintf(buf, size, "cannot say: the kernel makes no events");
	else
		snprintf(buf, size, "cannot say yet: %s for %.0f s", why[fc->silence],
			 fc->watching_s);
}

void fc_words(const struct fc_forecast *fc, char *buf, size_t size)
{
	double share = fc->limit ? 100.0 * fc->steady_entries / fc->limit : 0.0;

	switch (fc->verdict) {
	case FC_WATCHING:
		silent(fc, buf, size);
		break;
	case FC_FULL:
		snprintf(buf, size, "full");
		break;
	case FC_FILLING:
		filling(fc, buf, size);
		break;
	case FC_UNLIMITED:
		snprintf(buf, size, "no limit; settles at %.0f entries", fc->steady_entries);
		break;
	case FC_LEVELS_OFF:
		snprintf(buf, size, "levels off at %.0f %%", share);
		break;
	case FC_DRAINING:
		snprintf(buf, size, "draining to %.0f %%", share);
		break;
	default:
		snprintf(buf, size, "stays at %.0f %%", share);
		break;
	}
}
