// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "agent/agent.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/shm/seqlock.h"

#define LOCAL_PORTS "/proc/sys/net/ipv4/ip_local_port_range"
#define RESERVED    "/proc/sys/net/ipv4/ip_local_reserved_ports"

/* How often the range of local ports is read. */
#define LOCAL_PORTS_NS (10 * NS_PER_S)

static bool read_text(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, room - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

/* Ports that reservations take out of the range: "8080,9148-9149". */
static uint32_t reserved_in(const char *text, uint32_t first, uint32_t last)
{
	uint64_t from, to, reserved = 0;

	while (num_take_u64(&text, UINT16_MAX, &from) == 0) {
		to = from;
		if (*text == '-') {
			text++;
			if (num_take_u64(&text, UINT16_MAX, &to))
				break;
		}
		from = from < first ? first : from;
		to = to > last ? last : to;
		reserved += from <= to ? to - from + 1u : 0;
		text += *text == ',';
	}
	return (uint32_t)reserved;
}

static uint32_t local_ports(void)
{
	char text[4096];
	const char *at = text;
	uint64_t first, last;
	uint32_t size;

	if (!read_text(LOCAL_PORTS, text, sizeof(text)) ||
	    num_take_range(&at, '\t', UINT16_MAX, &first, &last) < 0)
		return 0;
	size = (uint32_t)(last - first) + 1;
	if (read_text(RESERVED, text, sizeof(text)))
		size -= reserved_in(text, (unsigned int)first, (unsigned int)last);
	return size;
}

void publish_nat_start(struct agent *agent)
{
	struct utsname names;

	agent->kernel.nat_reclaims = uname(&names) == 0 && nat_reclaims_closing(names.release);
	agent->stats.nat_pools.settings = (struct nat_pools_settings){
		.given = agent->config.nat_ports,
		.assume_ports = agent->config.assume_nat_ports,
		.local_ports = local_ports(),
	};
	nat_trend_init(&agent->stats.nat_trend);
}

void publish_nat_second(struct agent *agent)
{
	const uint64_t *values = agent->kernel.counters.values;
	const struct nat_trend_second second = {
		.now_boot_ns = agent->mirror.now_ns,
		.insert_failed = values[CT_STAT_INSERT_FAILED],
		.chaintoolong = values[CT_STAT_CHAINTOOLONG],
		.counters_known = agent->kernel.told.count_entries >= 0,
		.reclaims = agent->kernel.nat_reclaims,
	};

	if (agent->mirror.now_ns >= agent->kernel.local_ports_due_ns) {
		agent->stats.nat_pools.settings.local_ports = local_ports();
		agent->kernel.local_ports_due_ns = agent->mirror.now_ns + LOCAL_PORTS_NS;
	}
	nat_trend_second(&agent->stats.nat_trend, &agent->stats.nat_pools,
			 segment_nat(&agent->segment), &second);
	if (agent->stats.nat_trend.needs_dump)
		schedule_repair(&agent->schedule, agent->mirror.now_ns);
}

void publish_nat_live(const struct agent *agent, struct shm_live *live)
{
	const struct nat_trend_summary *summary = &agent->stats.nat_trend.summary;

	poke_i64(&live->nat_used_ratio_ppm, summary->ratio_ppm);
	poke_i64(&live->nat_l4num, summary->l4num);
	poke_i64(&live->nat_remote_port, summary->remote_port);
	poke_i64(&live->nat_held_ports, summary->held);
	poke_i64(&live->nat_size_ports, summary->size);
	poke_i64(&live->nat_failing_ppm, summary->failing_ppm);
	poke_i64(&live->nat_full_early_ms, summary->early_ms);
	poke_i64(&live->nat_full_likely_ms, summary->likely_ms);
	poke_i64(&live->nat_full_late_ms, summary->late_ms);
	poke_i64(&live->nat_local_ratio_ppm, summary->local_ratio_ppm);
	poke_i64(&live->nat_pools, summary->pools);
	poke_i64(&live->nat_failures, (int64_t)summary->failures);
}
