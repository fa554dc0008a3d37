// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/netlink/parser.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/stats/batch.h"

/*
 * --- the dump --------------------------------------------------------------
 *
 * NONE -> ASKED -> READING -> CHUNK -> READING -> ... -> LAST_CHUNK -> READ -> NONE
 */

static bool chunk_waits(const struct dump_state *dump)
{
	return dump->progress == DUMP_CHUNK || dump->progress == DUMP_LAST_CHUNK;
}

static void begin_dump(struct agent *agent)
{
	struct dump_state *dump = &agent->dump;
	uint32_t explained;

	/* The dump must start with an empty queue; if more has come, try next time round. */
	agent_drain(agent);
	if (!agent->loop.drained)
		return;
	*dump = (struct dump_state){.progress = DUMP_ASKED};
	dump->began_ns = agent->mirror.now_ns;
	dump->lost_before = agent->events.lost;
	ct_proc_read(&agent->kernel.proc, &agent->kernel.told, &agent->kernel.limits);
	dump->buckets_before = agent->kernel.limits.buckets;
	schedule_resync_begun(&agent->schedule);
	explained = quality_gap_explains(agent);
	recorder_put(&agent->recorder, agent->mirror.now_ns, RECORD_RESYNC_BEGIN, &explained,
		     sizeof(explained));
	resync_begin(&agent->resync, &agent->mirror, explained);
	/* A dump collects expired entries: the count falls without any change of load. */
	forecast_notice(agent->stats.forecast, FC_RESYNCED, (int64_t)agent->mirror.now_ns);
	query_post(agent->query, QUERY_DUMP_START, NULL, 0);
}

static void ask_chunk(struct agent *agent)
{
	recorder_put(&agent->recorder, agent->mirror.now_ns, RECORD_RESYNC_NEXT, NULL, 0);
	agent->dump.asked_mark = resync_next(&agent->resync, &agent->mirror);
	query_post(agent->query, QUERY_DUMP_NEXT, NULL, 0);
}

/* A resize may move entries from buckets still to come to buckets already passed, and no flag of
 * the dump says so. Checked with each chunk, because a resize may be undone before the end. */
static void watch_buckets(struct agent *agent)
{
	ct_proc_read(&agent->kernel.proc, &agent->kernel.told, &agent->kernel.limits);
	if (agent->kernel.limits.buckets != agent->dump.buckets_before)
		agent->dump.failed = true;
}

static void apply_records(struct agent *agent, const struct ct_event *records, unsigned int count)
{
	batch_records(&agent->resync, &agent->mirror, &agent->stats.observer, records, count,
		      agent->dump.chunk_mark);
}

static void apply_chunk(struct agent *agent)
{
	const struct query_answer *chunk = &agent->dump.chunk;
	struct ct_event records[BATCH_EVENTS];
	unsigned int count = 0;
	int left;

	watch_buckets(agent);

	for (const struct nlmsghdr *nlh = ct_message_first(chunk->bytes, chunk->len, &left); nlh;
	     nlh = ct_message_next(nlh, &left)) {
		int err = ct_event_parse(nlh, (size_t)left, &records[count]);

		if (err == -EBADMSG) {
			agent->losses.malformed_events++;
			agent->dump.failed = true;
		}
		if (err)
			continue;
		recorder_record(&agent->recorder, agent->mirror.now_ns, agent->dump.chunk_mark, nlh,
				nlh->nlmsg_len);
		if (++count < BATCH_EVENTS)
			continue;
		apply_records(agent, records, count);
		count = 0;
	}
	apply_records(agent, records, count);
	agent->dump.progress = agent->dump.progress == DUMP_LAST_CHUNK ? DUMP_READ : DUMP_READING;
}

static void finish_dump(struct agent *agent)
{
	struct dump_state *dump = &agent->dump;
	struct recorder_done done = {.valid = false};
	bool valid;

	agent_drain(agent);
	if (!agent->loop.drained)
		return;
	/* Without the bucket count (/proc is hidden) a resize cannot be excluded, and nothing can
	 * be done about it. */
	watch_buckets(agent);
	valid = !dump->failed && agent->events.lost == dump->lost_before;
	done.valid = valid;
	done.kernel_entries = agent->kernel.limits.count_entries;
	recorder_put(&agent->recorder, agent->mirror.now_ns, RECORD_DUMP_DONE, &done, sizeof(done));
	resync_dump_done(&agent->resync, &agent->mirror, valid, agent->kernel.limits.count_entries);
	dump->progress = DUMP_NONE;
}

static void resync_ended(struct agent *agent, bool valid)
{
	uint64_t now_ns = agent->mirror.now_ns;
	uint64_t took_ns = now_ns - agent->dump.began_ns;
	bool first = agent->resyncs.valid_begin_ns == 0;

	schedule_resync_ended(&agent->schedule, valid, agent->dump.began_ns, now_ns);
	agent->resyncs.last_valid = valid;
	agent->published.behind = true;
	agent->resyncs.spent_ns += took_ns;
	if (!valid) {
		agent->resyncs.invalid++;
		log_warn("resync",
			 "comparison with the kernel's table is not valid (events lost, hash "
			 "resized, or an error meanwhile); nothing was removed, trying again");
		quality_resync_ended(agent, false);
		return;
	}
	agent->resyncs.valid++;
	agent->resyncs.valid_begin_ns = agent->dump.began_ns;
	agent->resyncs.valid_end_ns = now_ns;
	agent->resyncs.valid_end_real_ns = clock_real_ns();
	quality_resync_ended(agent, true);
	log_line(first ? LOG_INFO : LOG_DEBUG, "resync",
		 "%s %u entries in %.3f s: %llu records, %u silent",
		 first ? "mirroring" : "compared", agent->mirror.entries, (double)took_ns / 1e9,
		 (unsigned long long)agent->resync.records, agent->mirror.silent_entries);
}

static void abandon_dump(struct agent *agent, int err)
{
	log_warn("resync", "dump of the table failed: %s", strerror(-err));
	query_abandon_dump(agent->query);
	agent->dump.failed = true;
	agent->dump.progress = DUMP_READ;
}

/* --- answers ---------------------------------------------------------------- */

void requests_adopt_addresses(struct agent *agent, struct local_addrs *addrs)
{
	if (addrs->overflowed && !agent->addrs.overflowed)
		log_warn("addresses",
			 "more than %u local addresses: to and from the others entries are shown "
			 "as forwarded, and nothing is called exact",
			 LOCAL_ADDR_MAX);
	local_addrs_free(&agent->addrs);
	agent->addrs = *addrs;
	recorder_put(&agent->recorder, agent->mirror.now_ns, RECORD_ADDRESSES, agent->addrs.addrs,
		     agent->addrs.count * sizeof(struct local_addr));
	/* Existing entries may have another direction now. */
	agent->addresses.changed_ns = agent->mirror.now_ns;
	schedule_request(&agent->schedule, agent->mirror.now_ns);
	log_debug("addresses", "%u local addresses", agent->addrs.count);
}

static void take_addresses(struct agent *agent, const struct query_answer *answer)
{
	agent->published.behind = true;
	if (answer->err) {
		if (!agent->addresses.error_logged)
			log_warn("addresses", "cannot list the addresses: %s; trying again",
				 strerror(-answer->err));
		agent->addresses.error_logged = true;
		agent->addresses.pending = true;
		return;
	}
	agent->addresses.error_logged = false;
	/* They may have changed again since they were requested. */
	agent->addresses.pending = agent->addresses.wanted;
	if (local_addrs_equal(answer->addrs, &agent->addrs))
		local_addrs_free(answer->addrs);
	else
		requests_adopt_addresses(agent, answer->addrs);
	free(answer->addrs);
}

void requests_adopt_stats(struct agent *agent, const struct query_answer *answer)
{
	int left;
	char text[65536];

	agent->kernel.told = CT_LIMITS_UNKNOWN;
	if (answer->err) {
		if (ct_proc_read_stats(&agent->kernel.proc, text, sizeof(text)) == 0)
			ct_counters_text(&agent->kernel.counters, text);
		return;
	}
	for (const struct nlmsghdr *nlh = ct_message_first(answer->bytes, answer->len, &left); nlh;
	     nlh = ct_message_next(nlh, &left)) {
		if (ct_counters_message(&agent->kernel.counters, nlh, (size_t)left) == -ENOMSG)
			ct_limits_message(&agent->kernel.told, nlh, (size_t)left);
	}
}

static void take_gets(struct agent *agent, const struct query_answer *answer)
{
	bool unanswered = false;

	/* The answers are older than the events in the queue, which must win. */
	agent_drain(agent);
	for (uint32_t i = 0; i < agent->asked.count; i++) {
		const struct nlmsghdr *message = NULL;
		struct ct_event event;
		int err = answer->err ? answer->err : query_get_answer(answer, i, &event, &message);

		/* Neither found nor absent: the entry stays in doubt. An audit is only a sample;
		 * another one comes. */
		if (err && err != -ENOENT) {
			unanswered |= !agent->asked.items[i].audit;
			sample_unanswered(&agent->mirror.sample);
			continue;
		}
		recorder_answer(&agent->recorder, agent->mirror.now_ns, &agent->asked.items[i],
				agent->asked.mark, err ? NULL : message,
				err ? 0 : message->nlmsg_len);
		mirror_answer(&agent->mirror, &agent->asked.items[i], err ? NULL : &event,
			      agent->asked.mark);
	}
	if (unanswered)
		schedule_request(&agent->schedule, agent->mirror.now_ns);
	agent->published.behind = true;
	agent->asked.count = 0;
}

static void take_chunk(struct agent *agent, const struct query_answer *answer)
{
	if (answer->err) {
		abandon_dump(agent, answer->err);
		return;
	}
	BUG_ON(agent->dump.progress != DUMP_READING);
	agent->dump.chunk = *answer;
	agent->dump.chunk_mark = agent->dump.asked_mark;
	agent->dump.progress = answer->ended ? DUMP_LAST_CHUNK : DUMP_CHUNK;
}

void requests_answer(struct agent *agent)
{
	struct query_answer answer;

	if (!query_collect(agent->query, &answer))
		return;
	switch (answer.kind) {
	case QUERY_DUMP_START:
		agent->dump.progress = DUMP_READING;
		if (answer.err)
			abandon_dump(agent, answer.err);
		break;
	case QUERY_DUMP_NEXT:
		take_chunk(agent, &answer);
		break;
	case QUERY_GETS:
		take_gets(agent, &answer);
		break;
	case QUERY_STATS:
		requests_adopt_stats(agent, &answer);
		break;
	case QUERY_ADDRESSES:
		take_addresses(agent, &answer);
		break;
	case QUERY_KINDS:
		BUG_ON(true);
	}
}

/* --- the next request --------------------------------------------------------- */

static bool ask_due_entries(struct agent *agent)
{
	struct ct_key keys[QUERY_GETS_MAX];
	uint32_t n = verify_take(&agent->verify, agent->mirror.now_ns, agent->asked.items,
				 QUERY_GETS_MAX);

	if (n == 0)
		return false;
	for (uint32_t i = 0; i < n; i++)
		keys[i] = agent->asked.items[i].key;
	agent->asked.count = n;
	recorder_put(&agent->recorder, agent->mirror.now_ns, RECORD_ASK, NULL, 0);
	agent->asked.mark = mirror_mark(&agent->mirror);
	query_post(agent->query, QUERY_GETS, keys, n);
	return true;
}

static void ask_next(struct agent *agent)
{
	/* Another answer would overwrite a chunk that is not applied yet. */
	if (query_busy(agent->query) || chunk_waits(&agent->dump))
		return;
	if (agent->kernel.stats_wanted) {
		agent->kernel.stats_wanted = false;
		query_post(agent->query, QUERY_STATS, NULL, 0);
	} else if (agent->addresses.wanted) {
		agent->addresses.wanted = false;
		query_post(agent->query, QUERY_ADDRESSES, NULL, 0);
	} else if (ask_due_entries(agent)) {
		return;
	} else if (agent->dump.progress != DUMP_NONE) {
		if (agent->dump.progress == DUMP_READING)
			ask_chunk(agent);
	} else if (agent->resync.phase == RESYNC_IDLE &&
		   schedule_resync_due(&agent->schedule, agent->mirror.silent_entries > 0,
				       agent->mirror.now_ns)) {
		begin_dump(agent);
	}
}

static void go_on_with_chunk(struct agent *agent)
{
	/* The queue may hold events that are newer than the chunk. */
	agent_drain(agent);
	if (!agent->loop.drained)
		return;
	/* Chunk k + 1 is fetched while k is applied; not further ahead. */
	if (agent->dump.progress == DUMP_CHUNK && !query_busy(agent->query) &&
	    !agent->kernel.stats_wanted)
		ask_chunk(agent);
	apply_chunk(agent);
}

void requests_step(struct agent *agent)
{
	if (chunk_waits(&agent->dump))
		go_on_with_chunk(agent);
	if (agent->dump.progress == DUMP_READ)
		finish_dump(agent);
	if (agent->resync.phase == RESYNC_COUNTING || agent->resync.phase == RESYNC_SWEEPING) {
		enum resync_result result;

		recorder_put(&agent->recorder, agent->mirror.now_ns, RECORD_SWEEP, NULL, 0);
		result = resync_sweep(&agent->resync, &agent->mirror);
		if (result != RESYNC_PENDING)
			resync_ended(agent, result == RESYNC_VALID);
	}
	ask_next(agent);
}

bool requests_pending(const struct agent *agent)
{
	return chunk_waits(&agent->dump) || agent->dump.progress == DUMP_READ ||
	       agent->resync.phase == RESYNC_COUNTING || agent->resync.phase == RESYNC_SWEEPING;
}
