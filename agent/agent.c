// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/agent.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/netlink/addresses.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/signals.h"
#include "lib/shm/snapshot.h"

/* While entries wait for verification, or changes for publication, the loop runs at least this
 * often. */
#define TICK_MS 50

/* --- the second --------------------------------------------------------------- */

static void subscribe_for_mode(struct agent *agent)
{
	static const uint32_t groups[SHM_MODE_COUNT] = {
		[SHM_MODE_STARTING] = NLSOCK_ALL,
		[SHM_MODE_FULL] = NLSOCK_ALL,
		[SHM_MODE_NO_UPDATE] = NLSOCK_NEW | NLSOCK_DESTROY,
		[SHM_MODE_POLLING] = 0,
	};
	enum shm_mode mode = agent->schedule.mode;
	int err = subscription_set(&agent->subscription, groups[mode], agent->mirror.now_ns);

	if (err)
		log_error("events", "cannot change the subscription: %s; trying again",
			  strerror(-err));
	quality_missed(agent);
	log_warn("events", "mode is now \"%s\"", snap_mode_name(mode));
}

/* Events sent while nothing was subscribed are lost, and not counted anywhere. */
static void retry_subscription(struct agent *agent)
{
	if (!subscription_second(&agent->subscription, agent->mirror.now_ns))
		return;
	quality_missed(agent);
	agent->losses.last_loss_ns = agent->mirror.now_ns;
	schedule_loss(&agent->schedule, agent->mirror.now_ns);
	log_info("events", "subscribed again; a resync follows");
}

#define MIRROR_LIMIT_UNLIMITED (16u << 20)

/* Twice the kernel's limit: room for tombstones and for what a dump still shows. */
uint32_t agent_mirror_limit(const struct agent *agent)
{
	int64_t max = agent->kernel.limits.max_entries;

	if (agent->config.max_entries)
		return agent->config.max_entries;
	if (max <= 0)
		return MIRROR_LIMIT_UNLIMITED;
	max = 2 * max + 65536;
	return max < FLOW_LIMIT_MAX ? (uint32_t)max : FLOW_LIMIT_MAX;
}

/* The kernel's limit may be raised, or lowered, at any time. */
static void follow_limit(struct agent *agent)
{
	uint32_t limit = agent_mirror_limit(agent);

	if (limit == agent->mirror_limit_entries)
		return;
	agent->mirror_limit_entries = limit;
	flow_table_set_limit(&agent->mirror.table, limit);
	recorder_put(&agent->recorder, agent->mirror.now_ns, RECORD_LIMIT, &limit, sizeof(limit));
}

/* Before the first dump and the first counters there is nothing to look at. They may never come. */
#define PICTURE_PATIENCE_NS (30 * NS_PER_S)

bool agent_has_picture(const struct agent *agent)
{
	bool counters = agent->kernel.told.count_entries >= 0;

	return (counters && agent->schedule.mode != SHM_MODE_STARTING) ||
	       agent->mirror.now_ns - agent->loop.started_ns > PICTURE_PATIENCE_NS;
}

static void record_incidents(struct agent *agent)
{
	const uint64_t *values = agent->kernel.counters.values;
	const struct nat_trend_summary *pools = &agent->stats.nat_trend.summary;
	const struct incident_trigger_input in = {
		.now_ns = agent->mirror.now_ns,
		.now_real_ns = clock_real_ns(),
		.count_entries = agent->kernel.limits.count_entries,
		.max_entries = publish_max(agent),
		.chain_limit_entries = ct_chain_limit(agent->kernel.limits.buckets),
		.drops = values[CT_STAT_DROP],
		.early_drops = values[CT_STAT_EARLY_DROP],
		.chain_drops = values[CT_STAT_CHAINTOOLONG],
		.pool_ppm = pools->ratio_ppm,
		.pool_held = pools->held,
		.pool_size = pools->size,
		.pool_failures = pools->failures,
	};

	incident_recorder_second(&agent->incidents, agent_has_picture(agent) ? &in : NULL);
}

/* Readers open the segment by name. Where that cannot be restored the agent ends, so that a
 * supervisor makes the directory and starts it again. */
static void keep_segment(struct agent *agent)
{
	struct segment *segment = &agent->segment;
	pid_t pid;
	int err = segment_keep(segment, &pid);

	if (err == 1)
		log_warn("segment", "%s was removed or replaced; put back", segment->path);
	else if (err == -EBUSY)
		log_error("segment", "another agent (pid %d) publishes %s now; stopping", (int)pid,
			  segment->path);
	else if (err)
		log_error("segment",
			  "%s was removed or replaced and cannot be made again (%s); stopping: "
			  "start the agent anew, with a runtime directory that belongs to its user",
			  segment->path, strerror(-err));
	if (err >= 0)
		return;
	agent->loop.run_err = err;
	agent->loop.quit = true;
}

static void on_second(struct agent *agent)
{
	uint64_t expirations;
	uint64_t now_ns;

	if (read(agent->loop.timer_fd, &expirations, sizeof(expirations)) < 0)
		return;
	agent_drain(agent);
	now_ns = agent->mirror.now_ns;
	keep_segment(agent);
	publish_second(agent);
	record_incidents(agent);
	follow_limit(agent);
	recorder_put(&agent->recorder, now_ns, RECORD_SECOND, NULL, 0);
	quality_second(agent);
	agent->kernel.stats_wanted = true;
	agent->addresses.wanted |= agent->addresses.pending;
	if (schedule_second(&agent->schedule, agent->losses.lost_last_second > 0,
			    agent->events.buffer_bytes >= agent->config.event_buffer_max_bytes,
			    now_ns))
		subscribe_for_mode(agent);
	else
		retry_subscription(agent);
	agent->losses.lost_last_second = 0;
	announce_second(agent);
	if (agent->recorder.error) {
		log_error("record", "recording ended: %s", strerror(-agent->recorder.error));
		agent->recorder.error = 0;
	}
}

static void on_signal(struct agent *agent)
{
	int signo = signals_take(agent->loop.signal_fd);

	if (signo == SIGHUP)
		schedule_request(&agent->schedule, agent->mirror.now_ns);
	else if (signo)
		agent->loop.quit = true;
}

/* Router advertisements repeat known addresses every few seconds and change nothing. For anything
 * else the whole list is read again; until then directions may be wrong. */
static void on_address_change(struct agent *agent)
{
	_Alignas(8) char bytes[8192];
	ssize_t n;

	for (;;) {
		n = recv(agent->loop.address_fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);
		if (n <= 0 && errno != ENOBUFS && errno != EINTR)
			return;
		if (n > 0 && (size_t)n <= sizeof(bytes) &&
		    addresses_known(&agent->addrs, bytes, (size_t)n))
			continue;
		agent->addresses.wanted = agent->addresses.pending = true;
		agent->published.behind = true;
	}
}

/* --- the loop ------------------------------------------------------------------- */

static int wait_ms(const struct agent *agent)
{
	if (requests_pending(agent))
		return 0;
	return agent->published.behind || verify_pending(&agent->verify) ? TICK_MS : -1;
}

/* A pause lets events gather, so that one wake-up and one system call serve many. No pause while
 * a dump is awaited or the queue is not empty. */
static void pause_reading(struct agent *agent)
{
	/* The mirror's time is that of the last read. */
	uint64_t until_ns =
		pace_until(&agent->loop.pace, agent->loop.read_events, agent->events.buffer_bytes,
			   agent->mirror.now_ns, clock_boot_ns());

	agent->loop.read_events = 0;
	if (agent->loop.drained && agent->dump.progress == DUMP_NONE && !requests_pending(agent))
		clock_sleep_until_boot_ns(until_ns);
}

static void dispatch(struct agent *agent, int fd)
{
	if (fd == agent->events.fd) {
		agent_drain(agent);
	} else if (fd == query_fd(agent->query)) {
		requests_answer(agent);
	} else if (fd == agent->loop.timer_fd) {
		on_second(agent);
	} else if (fd == agent->loop.signal_fd) {
		on_signal(agent);
	} else if (fd == agent->loop.address_fd) {
		on_address_change(agent);
	}
}

int agent_run(struct agent *agent)
{
	struct epoll_event ready[8];

	requests_step(agent);
	while (!agent->loop.quit) {
		int n = epoll_wait(agent->loop.epoll_fd, ready, 8, wait_ms(agent));

		if (n < 0 && errno != EINTR) {
			int err = -errno;

			log_error("agent", "epoll_wait: %s", strerror(errno));
			return err;
		}
		mirror_set_time(&agent->mirror, clock_boot_ns());
		for (int i = 0; i < n; i++)
			dispatch(agent, ready[i].data.fd);
		requests_step(agent);
		publish_changes(agent);
		if (agent->loop.read_events)
			pause_reading(agent);
	}
	log_info("agent", "stopping");
	announce_stopping();
	return agent->loop.run_err;
}
