// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/netlink/parser.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/stats/batch.h"

_Static_assert(NLSOCK_BATCH <= BATCH_EVENTS, "one receive is one batch");

/* Batches a drain reads before timers and answers get their turn. */
#define DRAIN_BATCHES 256u

static void apply_batch(struct agent *agent, unsigned int n)
{
	struct ct_event events[NLSOCK_BATCH];
	unsigned int count = 0;

	for (unsigned int i = 0; i < n; i++) {
		size_t len;
		const void *message = event_socket_message(&agent->events, i, &len);
		int err = message ? ct_event_parse(message, len, &events[count]) : -ENOMSG;

		if (err == -EBADMSG)
			agent->losses.malformed_events++;
		if (err)
			continue;
		recorder_put(&agent->recorder, agent->mirror.now_ns, RECORD_EVENT, message, len);
		count++;
	}
	batch_apply(&agent->mirror, &agent->stats.observer, events, count);
	agent->losses.in_flight += count;
	agent->published.behind = true;
}

static void note_loss(struct agent *agent, uint64_t lost)
{
	struct event_socket *events = &agent->events;
	uint64_t now_ns = agent->mirror.now_ns;

	agent->losses.last_loss_ns = now_ns;
	forecast_notice(agent->stats.forecast, FC_EVENTS_LOST, (int64_t)now_ns);
	quality_missed(agent);
	agent->published.behind = true;
	schedule_loss(&agent->schedule, now_ns);
	if (agent->losses.lost_last_second == 0)
		log_warn("events",
			 "%llu events lost: the receive buffer of %u bytes was full; "
			 "a resync follows",
			 (unsigned long long)lost, events->buffer_bytes);
	agent->losses.lost_last_second += lost;
	if (events->buffer_bytes < agent->config.event_buffer_max_bytes) {
		uint32_t wanted = events->buffer_bytes < agent->config.event_buffer_max_bytes / 2
					  ? 2 * events->buffer_bytes
					  : agent->config.event_buffer_max_bytes;
		uint32_t before = events->buffer_bytes;

		/* Where rmem_max stops us, the buffer is as large as it gets. */
		if (event_socket_resize(events, wanted) < 0 || events->buffer_bytes <= before)
			agent->config.event_buffer_max_bytes = before;
	}
}

static void note_receive_error(struct agent *agent, int err)
{
	/* What was lost is unknown: the mirror is not exact until a resync. */
	agent->losses.last_loss_ns = agent->mirror.now_ns;
	quality_missed(agent);
	agent->published.behind = true;
	schedule_loss(&agent->schedule, agent->mirror.now_ns);
	if (!agent->loop.event_error_logged)
		log_error("events", "cannot read events: %s", strerror(-err));
	agent->loop.event_error_logged = true;
}

void agent_drain(struct agent *agent)
{
	uint64_t lost;

	mirror_set_time(&agent->mirror, clock_boot_ns());
	agent->loop.drained = false;
	for (unsigned int i = 0; i < DRAIN_BATCHES; i++) {
		int n = event_socket_receive(&agent->events);

		if (n < 0) {
			note_receive_error(agent, n);
			break;
		}
		agent->loop.read_events += (unsigned int)n;
		apply_batch(agent, (unsigned int)n);
		/* Less than a batch: the queue was empty a moment ago. */
		if ((unsigned int)n < NLSOCK_BATCH) {
			agent->loop.drained = true;
			break;
		}
	}
	lost = event_socket_check_loss(&agent->events);
	if (lost)
		note_loss(agent, lost);
	mirror_purge_tombstones(&agent->mirror);
}
