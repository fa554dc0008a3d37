// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/mirror/resync.h"

#include "lib/base/check.h"

/* About a millisecond of work. */
#define SWEEP_STEP_BUCKETS 2048u

void resync_init(struct resync *resync)
{
	*resync = (struct resync){.phase = RESYNC_IDLE, .first = true};
}

void resync_begin(struct resync *resync, struct mirror *mirror, bool explained)
{
	BUG_ON(resync->phase != RESYNC_IDLE);
	resync->phase = RESYNC_DUMPING;
	resync->records = 0;
	resync->refused_before = mirror->counters.refused_entries;
	resync->found_before = mirror->found_total;
	sample_turn(&mirror->sample, mirror->entries);
	/* 0 means none. */
	mirror->dump = (mirror->dump + 1u) & FLOW_CELL_MASK;
	if (mirror->dump == 0)
		mirror->dump = 1;
	mirror->epoch = (uint8_t)(mirror->epoch % FLOW_EPOCH_MAX + 1u);
	mirror->dump_running = true;
	if (mirror->hook)
		mirror->hook->dump(mirror->hook, ENTRY_DUMP_BEGINS);
	/* Entries found at the start were created unheard, unless a listener was handed on. */
	mirror->corrections_silent = resync->first ? !resync->heard : !explained;
	resync->begin_mark = mirror_mark(mirror);
	/* The kernel fills chunk 1 while the request is sent. */
	resync->next_fill_mark = resync->begin_mark;
}

uint32_t resync_next(struct resync *resync, struct mirror *mirror)
{
	uint32_t fill_mark = resync->next_fill_mark;

	resync->next_fill_mark = mirror_mark(mirror);
	return fill_mark;
}

static void set_seen(struct mirror *mirror, uint32_t at, const struct ct_event *record)
{
	struct flow *flow = flow_at(&mirror->table, at);

	flow_set_stamp(flow, (flow->stamp & (FLOW_MARK_MASK | FLOW_FOUND)) |
				     (uint32_t)mirror->epoch << FLOW_EPOCH_SHIFT);
	mirror_shown(mirror, flow, record);
}

static void record_of_resident(struct mirror *mirror, uint32_t at, const struct ct_event *record,
			       uint32_t fill_mark)
{
	const struct flow *flow = flow_at(&mirror->table, at);
	bool event_wins = mirror_mark_later(flow, fill_mark);

	/* The sample may have changed its slice since the entry appeared. */
	sample_offer(&mirror->sample, record->hash, &record->key);
	if (flow->id == record->id) {
		if (event_wins)
			mirror_fill_unknown(mirror, at, record);
		else
			mirror_apply_record(mirror, at, record);
		set_seen(mirror, at, record);
	} else if (!event_wins) {
		mirror_replace_record(mirror, at, record);
		set_seen(mirror, at, record);
	}
	/* Otherwise the record is of the incarnation before the one that events reported. */
}

void resync_record(struct resync *resync, struct mirror *mirror, const struct ct_event *record,
		   uint32_t fill_mark)
{
	uint32_t at;

	resync->records++;
	if (record->status & CT_STATUS_DYING)
		return;
	at = flow_find(&mirror->table, record->hash);
	if (at != FLOW_NONE) {
		record_of_resident(mirror, at, record, fill_mark);
		return;
	}
	/* Its DESTROY was read already; a successor's NEW would have been read too. A DESTROY
	 * before the dump began does not matter: the record is of the next incarnation. */
	if (mirror_buried_in_dump(mirror, record)) {
		mirror->counters.tombstone_skips++;
		return;
	}
	at = mirror_insert_record(mirror, record);
	if (at == FLOW_NONE)
		return;
	set_seen(mirror, at, record);
	if (!resync->first)
		mirror->counters.repairs_missing++;
}

void resync_dump_done(struct resync *resync, struct mirror *mirror, bool valid,
		      int64_t kernel_entries)
{
	BUG_ON(resync->phase != RESYNC_DUMPING);
	/* A mirror that refused entries does not match the dump. */
	resync->valid = valid && mirror->counters.refused_entries == resync->refused_before;
	resync->kernel_entries = kernel_entries;
	resync->unseen = 0;
	resync->phase = RESYNC_COUNTING;
	resync->cursor = (struct flow_cursor){0, SWEEP_STEP_BUCKETS};
	mirror->dump_running = false;
	mirror->corrections_silent = true;
}

struct sweep {
	struct resync *resync;
	struct mirror *mirror;
};

static bool unseen(const struct sweep *sweep, const struct flow *flow)
{
	return flow->cell_flags & FLOW_LIVE &&
	       flow->stamp >> FLOW_EPOCH_SHIFT != sweep->mirror->epoch &&
	       !mirror_mark_later(flow, sweep->resync->begin_mark);
}

static bool visit_count(void *arg, struct flow *flow, uint32_t at)
{
	struct sweep *sweep = arg;

	(void)at;
	sweep->resync->unseen += unseen(sweep, flow);
	return false;
}

static void reset_old(const struct sweep *sweep, struct flow *flow)
{
	if (!mirror_mark_later(flow, sweep->resync->begin_mark))
		flow_set_stamp(flow, flow->stamp & ~FLOW_MARK_MASK);
	if (flow->stamp >> FLOW_EPOCH_SHIFT != sweep->mirror->epoch)
		flow_set_stamp(flow, flow->stamp & (FLOW_MARK_MASK | FLOW_FOUND));
}

/* Removes entries that are gone if the dump was valid. Resets old marks and epochs in either case,
 * so that marks never come within half the range of new ones, and an epoch's next turn finds none
 * of its last. */
static bool visit_sweep(void *arg, struct flow *flow, uint32_t at)
{
	struct sweep *sweep = arg;

	(void)at;
	if (!(flow->cell_flags & FLOW_LIVE))
		return false;
	if (sweep->resync->valid && unseen(sweep, flow)) {
		sweep->mirror->counters.repairs_ghost++;
		mirror_sweep_record(sweep->mirror, flow);
		return true;
	}
	reset_old(sweep, flow);
	if (!sweep->resync->valid)
		mirror_counted_reset(sweep->mirror, flow);
	return false;
}

static int64_t distance(int64_t a, int64_t b)
{
	return a > b ? a - b : b - a;
}

static bool incredible(const struct resync *resync, const struct mirror *mirror)
{
	int64_t now = mirror->entries;
	int64_t then = now - resync->unseen;

	return (uint64_t)resync->unseen * 5u > mirror->entries && resync->kernel_entries >= 0 &&
	       distance(resync->kernel_entries, then) > distance(resync->kernel_entries, now);
}

enum resync_result resync_sweep(struct resync *resync, struct mirror *mirror)
{
	struct sweep sweep = {resync, mirror};
	bool counting = resync->phase == RESYNC_COUNTING;

	BUG_ON(!counting && resync->phase != RESYNC_SWEEPING);
	if (!flow_scan(&mirror->table, &resync->cursor, counting ? visit_count : visit_sweep,
		       &sweep))
		return RESYNC_PENDING;
	if (counting) {
		if (incredible(resync, mirror))
			resync->valid = false;
		if (!resync->valid && mirror->hook)
			mirror->hook->dump(mirror->hook, ENTRY_DUMP_FAILS);
		resync->phase = RESYNC_SWEEPING;
		resync->cursor = (struct flow_cursor){0, SWEEP_STEP_BUCKETS};
		return RESYNC_PENDING;
	}
	resync->phase = RESYNC_IDLE;
	if (resync->valid)
		resync->first = false;
	if (resync->valid && mirror->hook)
		mirror->hook->dump(mirror->hook, ENTRY_DUMP_ENDS);
	return resync->valid ? RESYNC_VALID : RESYNC_INVALID;
}
