// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/health/health.h"

double health_fill_ratio(const struct snap_live *live)
{
	return live->max_entries > 0 ? (double)live->count_entries / (double)live->max_entries
				     : -1.0;
}

bool health_fresh(const struct snapshot *snap)
{
	return snap->agent == SNAP_AGENT_UP || snap->agent == SNAP_AGENT_STARTING;
}

bool health_up(const struct snapshot *snap)
{
	return snap->agent == SNAP_AGENT_UP && snap->live.mode == SHM_MODE_FULL;
}

bool health_exact(const struct snapshot *snap)
{
	return health_fresh(snap) && snap->live.exact == 1 && snap->live.doubts == 0;
}

bool health_forecast_recent(const struct snapshot *snap)
{
	uint64_t beat = (uint64_t)snap->live.heartbeat_boot_ns;
	uint64_t made = snap->forecast.computed_boot_ns;

	/* It may be a little younger than the heartbeat: they are not written at once. */
	return snap->forecast.valid && (beat > made ? beat - made : made - beat) <= SNAP_SILENT_NS;
}

static bool says_something(const struct snapshot *snap)
{
	return health_forecast_recent(snap) && snap->forecast.verdict != SHM_VERDICT_WATCHING &&
	       snap->live.mode == SHM_MODE_FULL;
}

bool health_forecast(const struct snapshot *snap)
{
	return health_up(snap) && says_something(snap);
}

bool health_forecast_shown(const struct snapshot *snap)
{
	return says_something(snap);
}

enum level health_level(const struct snapshot *snap)
{
	double fill = health_fill_ratio(&snap->live);

	if (!health_fresh(snap))
		return LEVEL_UNKNOWN;
	if (fill >= 1)
		return LEVEL_FULL;
	if (fill > LEVEL_CRITICAL_RATIO)
		return LEVEL_CRITICAL;
	return fill > LEVEL_HIGH_RATIO ? LEVEL_HIGH : LEVEL_OK;
}

const char *health_level_name(enum level level)
{
	static const char *const names[] = {"OK", "HIGH", "CRITICAL", "FULL", "UNKNOWN"};

	return names[level];
}

const char *health_state(const struct snapshot *snap)
{
	if (snap->agent == SNAP_AGENT_UP && !health_up(snap))
		return "degraded";
	return snap_agent_name(snap->agent);
}

const char *health_reason(const struct snapshot *snap)
{
	if (snap->agent == SNAP_AGENT_SILENT && snap->clock_ahead)
		return "the agent's clock is ahead of this program's: one of them runs in another "
		       "time namespace, or the machine was restored; restart conntide-agent in the "
		       "same one";
	if (snap->agent != SNAP_AGENT_UP)
		return snap_agent_help(snap->agent);
	if (snap->live.mode == SHM_MODE_NO_UPDATE)
		return "overload: the agent follows new and destroyed entries only; states are "
		       "those of the last dump";
	if (snap->live.mode == SHM_MODE_POLLING)
		return "overload: the agent reads the table from time to time only";
	for (unsigned int bit = 0; bit < SHM_DOUBT_BITS; bit++)
		if (snap->live.doubts & (int64_t)1 << bit)
			return snap_doubt_help(bit);
	return health_exact(snap) ? "nothing is known that could make a number wrong"
				  : "the agent does not call its mirror exact";
}
