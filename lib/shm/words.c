// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/shm/snapshot.h"

const char *snap_agent_name(enum snap_agent agent)
{
	static const char *const names[] = {"up", "starting", "silent", "stopped", "rebooted"};

	return (size_t)agent < sizeof(names) / sizeof(names[0]) ? names[agent] : "unknown";
}

const char *snap_agent_help(enum snap_agent agent)
{
	switch (agent) {
	case SNAP_AGENT_UP:
		return "the agent is running";
	case SNAP_AGENT_STARTING:
		return "the agent is reading the table for the first time";
	case SNAP_AGENT_SILENT:
		return "the agent gives no sign of life: it was killed, is stopped, or gets no "
		       "CPU; restart conntide-agent";
	case SNAP_AGENT_STOPPED:
		return "the agent was stopped; start conntide-agent";
	case SNAP_AGENT_REBOOTED:
		return "the machine was rebooted since; start conntide-agent";
	}
	return "unknown";
}

const char *snap_mode_name(int64_t mode)
{
	static const char *const names[SHM_MODE_COUNT] = {"starting", "full", "no-update",
							  "polling"};

	return mode >= 0 && mode < SHM_MODE_COUNT ? names[mode] : "unknown";
}

const char *snap_quality_name(int64_t quality)
{
	static const char *const names[SHM_QUALITY_COUNT] = {"not_exact", "verified", "exact"};

	return names[quality > 0 && quality < SHM_QUALITY_COUNT ? quality : 0];
}

static const struct {
	const char *name;
	const char *help;
} quality_reasons[SHM_QUALITY_REASON_COUNT] =
	{
#define QUALITY_REASON(id, name, help) {name, help},
#include "lib/shm/quality_reasons.def"
#undef QUALITY_REASON
},
  level_reasons[SHM_LEVEL_REASON_COUNT] = {
#define LEVEL_REASON(id, name, unit, means) {name, means},
#include "lib/shm/level_reasons.def"
#undef LEVEL_REASON
};

const char *snap_quality_reason_name(int64_t reason)
{
	return reason >= 0 && reason < SHM_QUALITY_REASON_COUNT ? quality_reasons[reason].name
								: "unknown";
}

const char *snap_quality_reason_help(int64_t reason)
{
	return reason >= 0 && reason < SHM_QUALITY_REASON_COUNT ? quality_reasons[reason].help
								: "unknown";
}

static const struct {
	const char *name;
	enum shm_quality_reason reason;
} doubts[SHM_DOUBT_BITS] = {
#define DOUBT(id, bit, name, reason, quality) [bit] = {name, SHM_QUALITY_REASON_##reason},
#include "lib/shm/doubts.def"
#undef DOUBT
};

const char *snap_doubt_name(unsigned int bit)
{
	return bit < SHM_DOUBT_BITS ? doubts[bit].name : NULL;
}

const char *snap_doubt_help(unsigned int bit)
{
	return bit < SHM_DOUBT_BITS ? snap_quality_reason_help(doubts[bit].reason) : NULL;
}

const char *snap_level_name(int64_t level)
{
	static const char *const names[SHM_LEVEL_COUNT] = {"UNKNOWN", "OK", "HIGH", "CRITICAL",
							   "FULL"};

	return names[level > 0 && level < SHM_LEVEL_COUNT ? level : 0];
}

const char *snap_level_reason_name(int64_t reason)
{
	return reason >= 0 && reason < SHM_LEVEL_REASON_COUNT ? level_reasons[reason].name
							      : "unknown";
}

const char *snap_level_reason_help(int64_t reason)
{
	return reason >= 0 && reason < SHM_LEVEL_REASON_COUNT ? level_reasons[reason].help
							      : "unknown";
}

const char *snap_verdict_name(enum shm_verdict verdict)
{
	static const char *const names[SHM_VERDICT_COUNT] = {
		"watching", "steady", "levels-off", "filling", "full", "draining", "unlimited"};

	return (size_t)verdict < SHM_VERDICT_COUNT ? names[verdict] : "unknown";
}

static const char *const silences[SHM_SILENCE_COUNT][2] = {
#define SILENCE(id, name, words) {name, words},
#include "lib/shm/silences.def"
#undef SILENCE
};

const char *snap_silence_name(enum shm_silence silence)
{
	return (size_t)silence < SHM_SILENCE_COUNT ? silences[silence][0] : "unknown";
}

const char *snap_silence_words(enum shm_silence silence)
{
	return (size_t)silence < SHM_SILENCE_COUNT ? silences[silence][1] : "unknown";
}

const char *snap_limit_name(enum shm_limit limit)
{
	static const char *const names[SHM_LIMIT_COUNT] = {"none", "max", "chain", "assumed"};

	return (size_t)limit < SHM_LIMIT_COUNT ? names[limit] : "unknown";
}
