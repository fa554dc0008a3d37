// SPDX-License-Identifier: GPL-2.0-or-later
#include <string.h>

#include "agent/agent.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/shm/seqlock.h"

static void publish_timeouts(struct agent *agent)
{
	_Atomic uint32_t *to = segment_timeouts(&agent->segment);

	for (unsigned int i = 0; i < TIMEOUT_COUNT; i++)
		poke_u32(&to[i], agent->kernel.timeouts.values_s[i]);
	memcpy(agent->mirror.timeouts_s, agent->kernel.timeouts.values_s,
	       sizeof(agent->mirror.timeouts_s));
	forecast_publish_timeouts(&agent->stats.forecast_publish, agent->kernel.timeouts.values_s);
}

/* Where /proc does not give the limit, netlink does. */
static void read_settings(struct agent *agent)
{
	struct ct_settings *settings = &agent->kernel.settings;

	ct_settings_read(settings);
	if (settings->values[SETTING_MAX] < 0)
		settings->values[SETTING_MAX] = agent->kernel.limits.max_entries;
	for (unsigned int i = 0; i < TIMEOUT_COUNT; i++)
		if (agent->kernel.timeouts.fds[i] >= 0)
			settings->values[SETTING_TIMEOUTS + i] = agent->kernel.timeouts.values_s[i];
}

static void log_changes(const struct settings_log *log, uint64_t now_real_ns)
{
	char before[SETTING_VALUE_BYTES], after[SETTING_VALUE_BYTES];

	for (unsigned int i = 0; i < SETTINGS; i++) {
		const struct settings_log_one *one = &log->settings[i];
		struct setting_info info;

		if (one->changes && one->changed_real_ns == now_real_ns && setting_info(i, &info))
			log_info("settings", "%s was %s, is %s", info.name,
				 setting_value(i, one->before, before),
				 setting_value(i, one->value, after));
	}
}

void publish_settings_second(struct agent *agent)
{
	struct settings_log *log = &agent->stats.settings_log;
	uint64_t now_real_ns = clock_real_ns();

	if (ct_timeouts_read(&agent->kernel.timeouts))
		publish_timeouts(agent);
	read_settings(agent);
	if (!settings_log_second(log, agent->kernel.settings.values, now_real_ns,
				 segment_settings(&agent->segment)))
		return;
	log_changes(log, now_real_ns);
	/* The size of local pools follows at once. */
	agent->kernel.local_ports_due_ns = 0;
}

void publish_settings_start(struct agent *agent)
{
	publish_timeouts(agent);
	settings_log_init(&agent->stats.settings_log);
	publish_settings_second(agent);
}
