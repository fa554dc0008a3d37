// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/agent.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/mirror/trust.h"

/* A residual younger than this may be entries whose NEW event is still on its way. */
#define RESIDUAL_LASTS_NS (500 * NS_PER_MS)

/* Share of the audits that goes to entries with recent events: one in this many. */
#define AUDIT_PARTS 4u

uint32_t quality_event_audits(const struct config *config)
{
	return config->audit_rate / AUDIT_PARTS;
}

uint32_t quality_table_audits(const struct config *config)
{
	return config->audit_rate - quality_event_audits(config);
}

/* --- missed events -------------------------------------------------------- */

/* Entries created while nf_conntrack_events was 0 never report changes. */
static bool born_unheard(const struct agent *agent)
{
	uint64_t off_ns = agent->quality.events_off_ns;

	return off_ns != 0 && off_ns >= agent->resyncs.valid_begin_ns;
}

bool quality_gap_explains(const struct agent *agent)
{
	return agent->losses.gap && agent->kernel.limits.events_mode > 0 && !born_unheard(agent);
}

void quality_missed(struct agent *agent)
{
	agent->losses.gap = true;
	agent->mirror.corrections_silent = !quality_gap_explains(agent);
}

static void watch_events_mode(struct agent *agent)
{
	struct quality *quality = &agent->quality;

	if (agent->kernel.limits.events_mode == 0) {
		if (!quality->events_off)
			log_warn("events", "net.netfilter.nf_conntrack_events is 0: new entries "
					   "tell nothing; set it to 1");
		quality->events_off = true;
		quality->events_off_ns = agent->mirror.now_ns;
	} else if (quality->events_off) {
		quality->events_off = false;
		schedule_request(&agent->schedule, agent->mirror.now_ns);
	}
}

/* --- the residual ---------------------------------------------------------------- */

static bool residual_now(const struct agent *agent)
{
	int64_t residual = publish_residual(agent);

	return (residual < 0 ? -residual : residual) > (int64_t)agent->losses.in_flight;
}

void quality_sampled(struct agent *agent)
{
	struct quality *quality = &agent->quality;

	watch_events_mode(agent);
	if (!residual_now(agent))
		quality->residual_since_ns = 0;
	else if (quality->residual_since_ns == 0)
		quality->residual_since_ns = agent->mirror.now_ns;
}

/*
 * Entries whose events were missed show in the count. A residual may have causes that no dump
 * cures (a leak, entries awaiting redelivery): the wait doubles with each resync that leaves it,
 * and is reset when it is gone.
 */
static void watch_residual(struct agent *agent)
{
	if (!residual_now(agent)) {
		agent->losses.residual_seconds = 0;
		agent->losses.residual_patience_s = AGENT_RESIDUAL_PATIENCE_S;
	} else if (++agent->losses.residual_seconds >= agent->losses.residual_patience_s) {
		agent->losses.residual_seconds = 0;
		if (agent->losses.residual_patience_s < agent->config.resync_interval_s)
			agent->losses.residual_patience_s *= 2;
		schedule_repair(&agent->schedule, agent->mirror.now_ns);
	}
}

/* --- dumps that would help ---------------------------------------------------------- */

static bool ghosts_known(const struct agent *agent)
{
	return agent->mirror.last_ghost_ns != 0 &&
	       agent->mirror.last_ghost_ns >= agent->resyncs.valid_begin_ns;
}

/* Entries a full mirror refused, now that it has room again. */
static bool has_room_again(const struct agent *agent)
{
	const struct mirror *mirror = &agent->mirror;

	return mirror->counters.refused_entries > agent->resync.refused_before &&
	       mirror->table.linked < mirror->table.limit_entries / 4 * 3;
}

void quality_second(struct agent *agent)
{
	struct quality *quality = &agent->quality;
	struct mirror *mirror = &agent->mirror;
	uint64_t now_ns = mirror->now_ns;

	watch_residual(agent);
	verify_second(&agent->verify, now_ns);
	mirror_audit(mirror, quality_table_audits(&agent->config));
	/* There was no room to note all entries in doubt: only a dump finds them. */
	if (agent->verify.overflows != quality->overflows_seen || has_room_again(agent))
		schedule_request(&agent->schedule, now_ns);
	if (ghosts_known(agent) ||
	    (quality_table_audits(&agent->config) > 0 && sample_thin(&mirror->sample)))
		schedule_repair(&agent->schedule, now_ns);
	/* Where one changed silently, others are likely to have done so. */
	if (mirror->counters.audits_mismatch != quality->mismatches_seen)
		schedule_look(&agent->schedule, now_ns);
	quality->overflows_seen = agent->verify.overflows;
	quality->mismatches_seen = mirror->counters.audits_mismatch;
}

void quality_resync_ended(struct agent *agent, bool valid)
{
	struct quality *quality = &agent->quality;
	struct mirror *mirror = &agent->mirror;
	uint64_t repairs = mirror_repairs(mirror);
	bool found = mirror->found_total != agent->resync.found_before;

	/* A gap that is still open, or began during the dump, remains. */
	if (valid && agent->losses.last_loss_ns < agent->dump.began_ns &&
	    agent->schedule.mode == SHM_MODE_FULL && !agent->subscription.err)
		agent->losses.gap = false;
	if (valid) {
		/* Found by this dump, or by audits since the one before. What a loss explains is
		 * not silent. */
		schedule_found(&agent->schedule, repairs != quality->repairs_seen && !found);
		quality->repairs_seen = repairs;
		if (found)
			schedule_confirm(&agent->schedule, mirror->now_ns);
	}
	mirror->corrections_silent = !quality_gap_explains(agent);
}

/* --- the verdict ---------------------------------------------------------------- */

static uint64_t verified_ns(const struct agent *agent)
{
	uint64_t dump_ns = agent->resyncs.valid_begin_ns;
	uint64_t round_ns = agent->mirror.sample.whole_began_ns;

	return dump_ns && round_ns > dump_ns ? round_ns : dump_ns;
}

static uint32_t doubts(const struct agent *agent)
{
	const struct mirror *mirror = &agent->mirror;
	const struct quality *quality = &agent->quality;
	const struct trust_inputs in = {
		.mode = agent->schedule.mode,
		.now_ns = mirror->now_ns,
		.last_loss_ns = agent->losses.last_loss_ns,
		.last_valid_begin_ns = agent->resyncs.valid_begin_ns,
		.last_resync_valid = agent->resyncs.last_valid,
		.last_silent_ns = mirror->last_silent_ns,
		.last_ghost_ns = mirror->last_ghost_ns,
		.events_off_ns = quality->events_off_ns,
		.verified_ns = verified_ns(agent),
		.interval_ns = schedule_interval_ns(&agent->schedule, mirror->silent_entries > 0),
		.kernel_entries = agent->kernel.limits.count_entries,
		.mirror_entries = mirror->entries,
		.in_flight = agent->losses.in_flight,
		.residual_is_new =
			mirror->now_ns -
				quality->residual_since_ns<
					       RESIDUAL_LASTS_NS,
					       .silent_entries = mirror->silent_entries,
					       .unknown_entries = mirror->unknown_entries,
					       .verify_pending = verify_pending(&agent->verify),
					       .out_of_memory = mirror->counters.refused_entries>
					agent->resync.refused_before ||
			agent->hist.overflow_rows > 0,
		.not_subscribed = agent->subscription.err != 0,
		.addresses_doubtful = agent->addrs.overflowed || agent->addresses.pending ||
				      agent->addresses.changed_ns > agent->resyncs.valid_begin_ns,
	};

	return trust_doubts(&in);
}

struct quality_view quality_view(const struct agent *agent)
{
	const struct mirror *mirror = &agent->mirror;
	uint64_t verified = verified_ns(agent);
	uint64_t interval_ns = schedule_interval_ns(&agent->schedule, mirror->silent_entries > 0);
	const struct trust_reach reach = {
		.dump_interval_ns = interval_ns,
		.dump_ns = agent->schedule.last_duration_ns,
		.table_entries = mirror->entries,
		.sample_entries = mirror->sample.count,
		.audits_per_s = quality_table_audits(&agent->config),
	};
	struct quality_view view = {.doubts = doubts(agent), .wrong_found_share_ppm = -1};

	view.quality = trust_quality(view.doubts, agent->kernel.limits.events_mode, &view.reason);
	if (!verified)
		return view;
	view.verified_real_ns = clock_real_ns() - (mirror->now_ns - verified);
	view.wrong_found_share_ppm = trust_found_share_ppm(&reach);
	return view;
}
