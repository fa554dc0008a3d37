// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/mirror/trust.h"

static bool residual(const struct trust_inputs *in)
{
	int64_t off = in->kernel_entries - (int64_t)in->mirror_entries;

	if (in->kernel_entries < 0)
		return true;
	return (off < 0 ? -off : off) > (int64_t)in->in_flight;
}

uint32_t trust_doubts(const struct trust_inputs *in)
{
	uint32_t doubts = 0;

	if (in->mode == SHM_MODE_STARTING || in->last_valid_begin_ns == 0)
		doubts |= SHM_DOUBT_STARTING;
	if (in->last_loss_ns != 0 && in->last_loss_ns >= in->last_valid_begin_ns)
		doubts |= SHM_DOUBT_LOSS;
	if (in->mode == SHM_MODE_NO_UPDATE || in->mode == SHM_MODE_POLLING)
		doubts |= SHM_DOUBT_DEGRADED;
	if (in->mute_entries > 0)
		doubts |= SHM_DOUBT_MUTE;
	if (in->unknown_entries > 0)
		doubts |= SHM_DOUBT_UNKNOWN;
	if (in->verify_pending > 0)
		doubts |= SHM_DOUBT_VERIFY;
	if (in->last_silent_ns != 0 && in->now_ns - in->last_silent_ns < TRUST_SILENT_NS)
		doubts |= SHM_DOUBT_SILENT;
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
		{SHM_DOUBT_STARTING, SHM_QUALITY_REASON_STARTING, SHM_QUALITY_NOT_EXACT},
		{SHM_DOUBT_SUBSCRIPTION, SHM_QUALITY_REASON_SUBSCRIPTION, SHM_QUALITY_NOT_EXACT},
		{SHM_DOUBT_DEGRADED, SHM_QUALITY_REASON_DEGRADED, SHM_QUALITY_NOT_EXACT},
		{SHM_DOUBT_LOSS, SHM_QUALITY_REASON_LOSS, SHM_QUALITY_NOT_EXACT},
		{SHM_DOUBT_RESYNC, SHM_QUALITY_REASON_RESYNC, SHM_QUALITY_NOT_EXACT},
		{SHM_DOUBT_MEMORY, SHM_QUALITY_REASON_MEMORY, SHM_QUALITY_NOT_EXACT},
		{SHM_DOUBT_UNKNOWN, SHM_QUALITY_REASON_UNKNOWN_STATES, SHM_QUALITY_NOT_EXACT},
		{SHM_DOUBT_ADDRESSES, SHM_QUALITY_REASON_ADDRESSES, SHM_QUALITY_NOT_EXACT},
		{SHM_DOUBT_RESIDUAL, SHM_QUALITY_REASON_RESIDUAL, SHM_QUALITY_NOT_EXACT},
		{SHM_DOUBT_VERIFY, SHM_QUALITY_REASON_VERIFYING, SHM_QUALITY_VERIFIED},
		{SHM_DOUBT_SILENT, SHM_QUALITY_REASON_SILENT, SHM_QUALITY_VERIFIED},
		{SHM_DOUBT_MUTE, SHM_QUALITY_REASON_OPEN_BEFORE, SHM_QUALITY_VERIFIED},
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
