// SPDX-License-Identifier: GPL-2.0-or-later
/* READY=1 after the first dump, WATCHDOG=1 from the loop itself, and a line for systemctl
 * status when the level changes and every ten seconds. */
#include <inttypes.h>
#include <stdio.h>

#include "agent/agent.h"
#include "lib/base/clock.h"
#include "lib/base/service.h"
#include "lib/shm/snapshot.h"

#define STATUS_NS (10 * NS_PER_S)

static void say_status(struct agent *agent)
{
	int64_t count = agent->kernel.limits.count_entries, max = publish_max(agent);
	const char *level = snap_level_name(agent->level.level);
	const char *quality = snap_quality_name(quality_view(agent).quality);
	char line[160];

	if (count < 0)
		snprintf(line, sizeof(line), "STATUS=the kernel's count cannot be read");
	else if (max > 0)
		snprintf(line, sizeof(line),
			 "STATUS=%s: %" PRId64 " of %" PRId64 " entries, %.1f %% full; %s", level,
			 count, max, 100 * (double)count / (double)max, quality);
	else
		snprintf(line, sizeof(line), "STATUS=%s: %" PRId64 " entries, no limit; %s", level,
			 count, quality);
	service_notify(line);
}

void announce_second(struct agent *agent)
{
	struct agent_announced *announced = &agent->announced;
	uint64_t now_ns = agent->mirror.now_ns, every_ns = service_watchdog_ns();

	if (!announced->ready && agent_has_picture(agent)) {
		announced->ready = true;
		service_notify("READY=1");
	}
	if (every_ns && now_ns - announced->watchdog_ns >= every_ns) {
		announced->watchdog_ns = now_ns;
		service_notify("WATCHDOG=1");
	}
	if (announced->ready && (announced->level != agent->level.level ||
				 now_ns - announced->status_ns >= STATUS_NS)) {
		announced->level = agent->level.level;
		announced->status_ns = now_ns;
		say_status(agent);
	}
}

void announce_stopping(void)
{
	service_notify("STOPPING=1");
}
