// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/mirror/trust.h"

static bool residual(const struct trust_inputs *in)
{
	int64_t off = in->kernel_entries - (int64_t)in->mirror_entries;

	if (in->kernel_entries < 0)
		return true;
	if (off < 0 && -off <= (int64_t)in->silent_entries)
		return false;
	return !in->residual_is_new && (off < 0 ? -off : off) > (int64_t)in->in_flight;
}

/* A comparison is overdue by more than an interval, and by minutes. */
static bool stale(const struct trust_inputs *in)
{
	return in->interval_ns != 0 &&
	       in->now_ns - in->verified_ns > 2 * in->interval_ns + TRUST_LATE_NS;
}

/* Something was missed since the last valid resync began. */
static bool missed_since(const struct trust_inputs *in, uint64_t at_ns)
{
	return at_ns != 0 && at_ns >= in->last_valid_begin_ns;
}

uint32_t trust_doubts(const struct trust_inputs *in)
{
	uint32_t doubts = 0;

	if (in->mode == SHM_MODE_STARTING || in->last_valid_begin_ns == 0)
		doubts |= SHM_DOUBT_STARTING;
	if (missed_since(in, in->last_loss_ns) || missed_since(in, in->events_off_ns))
		doubts |= SHM_DOUBT_LOSS;
	if (in->mode == SHM_MODE_NO_UPDATE || in->mode == SHM_MODE_POLLING)
		doubts |= SHM_DOUBT_DEGRADED;
	if (in->silent_entries > 0)
		doubts |= SHM_DOUBT_SILENT_ENTRIES;
	if (in->unknown_entries > 0)
		doubts |= SHM_DOUBT_UNKNOWN;
	if (in->verify_pending > 0)
		doubts |= SHM_DOUBT_VERIFY;
	if (in->last_silent_ns != 0 && in->now_ns - in->last_silent_ns < TRUST_SILENT_NS)
		doubts |= SHM_DOUBT_SILENT;
	if (missed_since(in, in->last_ghost_ns))
		doubts |= SHM_DOUBT_GHOSTS;
	if (stale(in))
		doubts |= SHM_DOUBT_STALE;
	if (in->out_of_memory)
		doubts |= SHM_DOUBT_MEMORY;
	if (in->last_valid_begin_ns != 0 && !in->last_resync_valid)
		doubts |= SHM_DOUBT_RESYNC;
	if (in->not_subscribed)
		doubts |= SHM_DOUBT_SUBSCRIPTION;
	if (in->addresses_doubtful)
		doubts |= SHM_DOUBT_ADDRESSES;
	if (residual(in))
		doubts |= SHM_DOUBT_RESIDUAL;
	return doubts;
}

enum shm_quality trust_quality(uint32_t doubts, int64_t events_mode,
			       enum shm_quality_reason *ret_reason)
{
	static const struct {
		uint32_t doubt;
		enum shm_quality_reason reason;
		enum shm_quality quality;
	} rules[] = {
#define DOUBT(id, bit, name, reason, quality)                                                      \
	{SHM_DOUBT_##id, SHM_QUALITY_REASON_##reason, SHM_QUALITY_##quality},
#include "lib/shm/doubts.def"
#undef DOUBT
	};

	if (events_mode == 0) {
		*ret_reason = SHM_QUALITY_REASON_NO_EVENTS;
		return SHM_QUALITY_NOT_EXACT;
	}
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (!(doubts & rules[i].doubt))
			continue;
		*ret_reason = rules[i].reason;
		return rules[i].quality;
	}
	*ret_reason = SHM_QUALITY_REASON_NONE;
	return SHM_QUALITY_EXACT;
}

#define MILLION	  UINT64_C(1000000)
#define MINUTE_NS UINT64_C(60000000000)

/* The part of a minute that is available. */
static uint64_t dump_share_ppm(const struct trust_reach *reach)
{
	uint64_t every_ns = reach->dump_interval_ns + reach->dump_ns;

	return every_ns <= MINUTE_NS ? MILLION : MILLION * MINUTE_NS / every_ns;
}

static uint64_t audit_share_ppm(const struct trust_reach *reach)
{
	uint64_t asked = UINT64_C(60) * reach->audits_per_s;

	if (asked > reach->sample_entries)
		asked = reach->sample_entries;
	return asked >= reach->table_entries ? MILLION : MILLION * asked / reach->table_entries;
}

uint32_t trust_found_share_ppm(const struct trust_reach *reach)
{
	uint64_t missed_by_dump = MILLION - dump_share_ppm(reach);
	uint64_t missed_by_audit = MILLION - audit_share_ppm(reach);

	return (uint32_t)(MILLION - missed_by_dump * missed_by_audit / MILLION);
}
