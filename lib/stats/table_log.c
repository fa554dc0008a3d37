// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/table_log.h"

#include <errno.h>
#include <string.h>

#include "lib/base/num.h"
#include "lib/base/sparse.h"
#include "lib/base/topn.h"
#include "lib/shm/seqlock.h"

#define ROW_WORDS   ((ROW_COUNT + 63u) / 64u)
#define MARKS_BYTES ((size_t)ROW_COUNT * sizeof(struct table_log_mark))

int table_log_create(struct table_log *frames, const struct histogram *hist, uint64_t now_boot_ns)
{
	memset(frames, 0, sizeof(*frames));
	frames->marks = sparse_alloc(MARKS_BYTES);
	if (!frames->marks)
		return -ENOMEM;
	frames->hist = hist;
	frames->settling_s = TABLE_LOG_SETTLING_S;
	frames->next_ns = now_boot_ns + TABLE_LOG_INTERVAL_NS;
	return 0;
}

void table_log_destroy(struct table_log *frames)
{
	sparse_free(frames->marks, MARKS_BYTES);
	frames->marks = NULL;
}

/* --- the pass ---------------------------------------------------------------------- */

/* Changes of the row since the last pass, and in this minute. */
static struct table_log_row row_of_pass(struct table_log *frames, uint32_t row)
{
	const struct shm_row *counters = &frames->hist->rows[row];
	struct table_log_mark *mark = &frames->marks[row];
	uint32_t new_entries = (uint32_t)peek_u64(&counters->new_entries);
	uint32_t destroyed_entries = (uint32_t)peek_u64(&counters->destroyed_entries);
	struct table_log_row out = {
		.row = row,
		.new_entries[0] = new_entries - mark->new_entries,
		.destroyed_entries[0] = destroyed_entries - mark->destroyed_entries,
	};

	if (mark->minute != frames->minute) {
		mark->minute = frames->minute;
		mark->minute_new_entries = mark->minute_destroyed_entries = 0;
	}
	mark->new_entries = new_entries;
	mark->destroyed_entries = destroyed_entries;
	mark->minute_new_entries += out.new_entries[0];
	mark->minute_destroyed_entries += out.destroyed_entries[0];
	out.new_entries[1] = mark->minute_new_entries;
	out.destroyed_entries[1] = mark->minute_destroyed_entries;
	return out;
}

static void consider_cell(struct table_log *frames, uint32_t cell, uint32_t entries)
{
	const struct topn top = TOPN(frames->cells, frames->cell_count, entries);

	topn_add(&top, &(struct table_log_cell){cell, entries});
}

static void consider_row(struct table_log *frames, const struct table_log_row *row)
{
	const struct topn top = TOPN(frames->rows, frames->row_count, entries);

	topn_add(&top, row);
}

static void consider_wish(struct table_log *frames, uint32_t row, uint32_t weight)
{
	const struct topn top = TOPN(frames->wishes, frames->wish_count, weight);

	topn_add(&top, &(struct durations_wish){row, weight});
}

static void look_at(struct table_log *frames, uint32_t number)
{
	struct table_log_row row = row_of_pass(frames, number);
	uint32_t first = row_first_cell(number);
	uint32_t slots = row_state_slots(number);

	for (uint32_t i = 0; i < slots; i++) {
		uint32_t entries = peek_u32(&frames->hist->cells[first + i]);

		if (entries)
			consider_cell(frames, first + i, entries);
		row.entries += entries;
	}
	if (row.entries) {
		frames->rows_active++;
		consider_row(frames, &row);
	}
	if (row.entries || row.destroyed_entries[0])
		consider_wish(frames, number, row.entries + row.destroyed_entries[0]);
}

/* True at the end of the pass. */
static bool step(struct table_log *frames)
{
	uint32_t seen = 0;

	for (; frames->word < ROW_WORDS && seen < TABLE_LOG_ROWS_PER_STEP; frames->word++) {
		uint64_t word = peek_u64(&frames->hist->rowmap[frames->word]);

		for (; word != 0; word &= word - 1, seen++)
			look_at(frames, frames->word * 64u + (uint32_t)__builtin_ctzll(word));
	}
	return frames->word == ROW_WORDS;
}

/* --- writing ----------------------------------------------------------------------- */

/* A counter that fell, as in a new namespace, counts from 0. */
static uint32_t since(uint64_t now, uint64_t before)
{
	uint64_t difference = now >= before ? now - before : now;

	return clamp_u64_to_u32(difference);
}

static void write_counters(struct shm_frame *to, const struct table_log_counters *now,
			   const struct table_log_counters *before)
{
	poke_u32(&to->new_entries, since(now->new_entries, before->new_entries));
	poke_u32(&to->destroyed_entries, since(now->destroyed_entries, before->destroyed_entries));
	poke_u32(&to->drops, since(now->drops, before->drops));
	poke_u32(&to->early_drops, since(now->early_drops, before->early_drops));
	poke_u32(&to->insert_failed, since(now->insert_failed, before->insert_failed));
	poke_u32(&to->chaintoolong, since(now->chaintoolong, before->chaintoolong));
	poke_u32(&to->clash_resolved, since(now->clash_resolved, before->clash_resolved));
	poke_u32(&to->found, since(now->found, before->found));
	poke_u32(&to->invalid, since(now->invalid, before->invalid));
	poke_u32(&to->lost_events, since(now->lost_events, before->lost_events));
}

static void write_largest(const struct table_log *frames, struct shm_frame *to, unsigned int ring)
{
	for (uint32_t i = 0; i < SHM_FRAME_CELLS; i++) {
		bool there = i < frames->cell_count;

		poke_u32(&to->cells[i].cell, there ? frames->cells[i].cell : CELL_INVALID);
		poke_u32(&to->cells[i].entries, there ? frames->cells[i].entries : 0);
	}
	for (uint32_t i = 0; i < SHM_FRAME_ROWS; i++) {
		const struct table_log_row none = {.row = ROW_INVALID};
		const struct table_log_row *row = i < frames->row_count ? &frames->rows[i] : &none;

		poke_u32(&to->rows[i].row, row->row);
		poke_u32(&to->rows[i].entries, row->entries);
		poke_u32(&to->rows[i].new_entries, row->new_entries[ring]);
		poke_u32(&to->rows[i].destroyed_entries, row->destroyed_entries[ring]);
	}
}

/* Before the frame, so that a reader of the frame finds its hosts. */
static void append_hosts(struct shm_frame_hosts_log *log, const struct table_log_second *second)
{
	const struct shm_talker_list *hosts = second->hosts;
	uint64_t head = peek_u64(&log->head);
	struct shm_frame_hosts *to = &log->frames[head % SHM_FRAMES];
	uint32_t count = peek_u32(&hosts->count);

	poke_u64(&to->real_ns, second->now_real_ns);
	for (uint32_t i = 0; i < SHM_FRAME_HOSTS; i++) {
		const struct shm_talker *from = &hosts->talker[i];
		bool there = i < count;

		poke_u64(&to->hosts[i].address[0], there ? peek_u64(&from->address[0]) : 0);
		poke_u64(&to->hosts[i].address[1], there ? peek_u64(&from->address[1]) : 0);
		poke_u32(&to->hosts[i].key, there ? peek_u32(&from->key) : 0);
		poke_u32(&to->hosts[i].entries, there ? peek_u32(&from->entries) : 0);
		poke_u32(&to->hosts[i].error_entries, there ? peek_u32(&from->error_entries) : 0);
		poke_u32(&to->hosts[i].more_entries, there ? peek_u32(&from->more_entries) : 0);
	}
	publish_u64(&log->head, head + 1);
}

static void append(struct table_log *frames, unsigned int ring,
		   const struct table_log_second *second)
{
	struct shm_table_log *to = frames->rings[ring];
	uint64_t head = peek_u64(&to->head);
	struct shm_frame *frame = &to->frames[head % SHM_FRAMES];

	append_hosts(frames->hosts[ring], second);
	poke_u64(&frame->real_ns, second->now_real_ns);
	poke_u32(&frame->count_entries, clamp_u32(second->count_entries));
	poke_u32(&frame->max_entries, clamp_u32(second->max_entries));
	poke_u32(&frame->mirror_entries, second->mirror_entries);
	poke_u32(&frame->unassured_entries, second->unassured_entries);
	poke_u32(&frame->rows_active, frames->rows_active);
	poke_u32(&frame->sources, second->sources);
	write_counters(frame, &second->counters, &frames->base[ring]);
	write_largest(frames, frame, ring);
	publish_u64(&to->head, head + 1);
	frames->base[ring] = second->counters;
}

static void begin_ages(struct table_log *frames)
{
	uint32_t cells[SHM_AGES_CELLS], rows[SHM_AGES_ROWS];

	_Static_assert((unsigned int)SHM_FRAME_CELLS == SHM_AGES_CELLS &&
			       (unsigned int)SHM_FRAME_ROWS == SHM_AGES_ROWS,
		       "what a frame has");
	for (uint32_t i = 0; i < frames->cell_count; i++)
		cells[i] = frames->cells[i].cell;
	for (uint32_t i = 0; i < frames->row_count; i++)
		rows[i] = frames->rows[i].row;
	ages_begin(frames->ages, cells, frames->cell_count, rows, frames->row_count);
}

static void finish(struct table_log *frames, const struct table_log_second *second)
{
	append(frames, 0, second);
	if (++frames->pass == TABLE_LOG_PER_MINUTE) {
		append(frames, 1, second);
		frames->pass = 0;
		frames->minute++;
	}
	if (frames->durations)
		durations_look(frames->durations, frames->wishes, frames->wish_count,
			       second->now_boot_ns);
	if (frames->ages)
		begin_ages(frames);
	frames->cell_count = frames->row_count = frames->wish_count = frames->rows_active = 0;
	frames->word = 0;
	frames->passing = false;
}

/* After a suspend or a late pass: missed frames are not made up for. */
static void plan_next(struct table_log *frames, uint64_t now_ns)
{
	frames->next_ns += TABLE_LOG_INTERVAL_NS;
	if (frames->next_ns <= now_ns)
		frames->next_ns = now_ns + TABLE_LOG_INTERVAL_NS;
}

void table_log_second(struct table_log *frames, const struct table_log_second *second)
{
	/* What the kernel counted before the agent started belongs to no interval. */
	if (frames->settling_s) {
		frames->base[0] = frames->base[1] = second->counters;
		frames->settling_s--;
	}
	if (!frames->passing) {
		if (second->now_boot_ns < frames->next_ns)
			return;
		plan_next(frames, second->now_boot_ns);
		frames->passing = true;
	}
	if (step(frames))
		finish(frames, second);
}
