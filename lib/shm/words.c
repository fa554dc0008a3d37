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

static const struct {
	const char *name;
	const char *help;
} doubts[SHM_DOUBT_BITS] = {
	{"starting", "the table has not been read completely yet"},
	{"events-lost", "events were lost and no resync has succeeded since"},
	{"mute-entries", "some entries may change without telling"},
	{"degraded", "under overload not all events are subscribed to"},
	{"residual", "the kernel's count and the mirror differ"},
	{"verifying", "some entries are about to be checked one by one"},
	{"silent-changes", "entries were found changed without an event lately"},
	{"memory", "the mirror or the runtime directory is at its limit"},
	{"resync-failed", "the last comparison with the kernel's table was not valid"},
	{"unknown-states", "the state of some entries is not known yet"},
};

const char *snap_doubt_name(unsigned int bit)
{
	return bit < SHM_DOUBT_BITS ? doubts[bit].name : NULL;
}

const char *snap_doubt_help(unsigned int bit)
{
	return bit < SHM_DOUBT_BITS ? doubts[bit].help : NULL;
}

const char *snap_verdict_name(enum shm_verdict verdict)
{
	static const char *const names[SHM_VERDICT_COUNT] = {
		"watching", "steady", "levels-off", "filling", "full", "draining", "unlimited"};

	return (size_t)verdict < SHM_VERDICT_COUNT ? names[verdict] : "unknown";
}

const char *snap_limit_name(enum shm_limit limit)
{
	static const char *const names[SHM_LIMIT_COUNT] = {"none", "max", "chain", "assumed"};

	return (size_t)limit < SHM_LIMIT_COUNT ? names[limit] : "unknown";
}
