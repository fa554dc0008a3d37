// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/table_log.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/shm/seqlock.h"

#define ROW_WORDS   ((ROW_COUNT + 63u) / 64u)
#define MARKS_BYTES ((size_t)ROW_COUNT * sizeof(struct scenes_mark))

int scenes_create(struct scenes *scenes, const struct histogram *hist, uint64_t now_boot_ns)
{
	memset(scenes, 0, sizeof(*scenes));
	scenes->marks = mmap(NULL, MARKS_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (scenes->marks == MAP_FAILED) {
		scenes->marks = NULL;
		return -ENOMEM;
	}
	scenes->hist = hist;
	scenes->settling_s = SCENES_SETTLING_S;
	scenes->next_ns = now_boot_ns + SCENES_INTERVAL_NS;
	return 0;
}

void scenes_destroy(struct scenes *scenes)
{
	if (scenes->marks)
		munmap(scenes->marks, MARKS_BYTES);
	scenes->marks = NULL;
}

/* --- the pass ---------------------------------------------------------------------- */

/* What the row did since the last pass, and in this minute. */
static struct scenes_row row_of_pass(struct scenes *scenes, uint32_t row)
{
	const struct shm_row *counters = &scenes->hist->rows[row];
	struct scenes_mark *mark = &scenes->marks[row];
	uint32_t new_entries = (uint32_t)peek_u64(&counters->new_entries);
	uint32_t destroyed_entries = (uint32_t)peek_u64(&counters->destroyed_entries);
	struct scenes_row out = {
		.row = row,
		.new_entries[0] = new_entries - mark->new_entries,
		.destroyed_entries[0] = destroyed_entries - mark->destroyed_entries,
	};

	if (mark->minute != scenes->minute) {
		mark->minute = scenes->minute;
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

/* Few get far: each array keeps the largest of the pass, in order. */
static void consider_cell(struct scenes *scenes, uint32_t cell, uint32_t entries)
{
	uint32_t at = scenes->cell_count;

	if (at == SHM_SCENE_CELLS) {
		if (entries <= scenes->cells[at - 1u].entries)
			return;
		at--;
	} else {
		scenes->cell_count++;
	}
	for (; at > 0 && scenes->cells[at - 1u].entries < entries; at--)
		scenes->cells[at] = scenes->cells[at - 1u];
	scenes->cells[at] = (struct scenes_cell){cell, entries};
}

static void consider_row(struct scenes *scenes, const struct scenes_row *row)
{
	uint32_t at = scenes->row_count;

	if (at == SHM_SCENE_ROWS) {
		if (row->entries <= scenes->rows[at - 1u].entries)
			return;
		at--;
	} else {
		scenes->row_count++;
	}
	for (; at > 0 && scenes->rows[at - 1u].entries < row->entries; at--)
		scenes->rows[at] = scenes->rows[at - 1u];
	scenes->rows[at] = *row;
}

static void consider_wish(struct scenes *scenes, uint32_t row, uint32_t weight)
{
	uint32_t at = scenes->wish_count;

	if (at == SCENES_WISHES) {
		if (weight <= scenes->wishes[at - 1u].weight)
			return;
		at--;
	} else {
		scenes->wish_count++;
	}
	for (; at > 0 && scenes->wishes[at - 1u].weight < weight; at--)
		scenes->wishes[at] = scenes->wishes[at - 1u];
	scenes->wishes[at] = (struct stays_wish){row, weight};
}

static void look_at(struct scenes *scenes, uint32_t number)
{
	struct scenes_row row = row_of_pass(scenes, number);
	uint32_t first = row_first_cell(number);
	uint32_t slots = row_state_slots(number);

	for (uint32_t i = 0; i < slots; i++) {
		uint32_t entries = peek_u32(&scenes->hist->cells[first + i]);

		if (entries)
			consider_cell(scenes, first + i, entries);
		row.entries += entries;
	}
	if (row.entries) {
		scenes->rows_active++;
		consider_row(scenes, &row);
	}
	if (row.entries || row.destroyed_entries[0])
		consider_wish(scenes, number, row.entries + row.destroyed_entries[0]);
}

/* True when the end was reached. */
static bool step(struct scenes *scenes)
{
	uint32_t seen = 0;

	for (; scenes->word < ROW_WORDS && seen < SCENES_ROWS_PER_STEP; scenes->word++) {
		uint64_t word = peek_u64(&scenes->hist->rowmap[scenes->word]);

		for (; word != 0; word &= word - 1, seen++)
			look_at(scenes, scenes->word * 64u + (uint32_t)__builtin_ctzll(word));
	}
	return scenes->word == ROW_WORDS;
}

/* --- writing ----------------------------------------------------------------------- */

static uint32_t clamp_u32(int64_t value)
{
	if (value < 0)
		return 0;
	return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* A counter that was set back, as by a namespace made anew, counts from 0. */
static uint32_t since(uint64_t now, uint64_t before)
{
	uint64_t difference = now >= before ? now - before : now;

	return difference < UINT32_MAX ? (uint32_t)difference : UINT32_MAX;
}

static void write_counters(struct shm_scene *to, const struct scenes_counters *now,
			   const struct scenes_counters *before)
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

static void write_largest(const struct scenes *scenes, struct shm_scene *to, unsigned int ring)
{
	for (uint32_t i = 0; i < SHM_SCENE_CELLS; i++) {
		bool there = i < scenes->cell_count;

		poke_u32(&to->cells[i].cell, there ? scenes->cells[i].cell : CELL_INVALID);
		poke_u32(&to->cells[i].entries, there ? scenes->cells[i].entries : 0);
	}
	for (uint32_t i = 0; i < SHM_SCENE_ROWS; i++) {
		const struct scenes_row none = {.row = ROW_INVALID};
		const struct scenes_row *row = i < scenes->row_count ? &scenes->rows[i] : &none;

		poke_u32(&to->rows[i].row, row->row);
		poke_u32(&to->rows[i].entries, row->entries);
		poke_u32(&to->rows[i].new_entries, row->new_entries[ring]);
		poke_u32(&to->rows[i].destroyed_entries, row->destroyed_entries[ring]);
	}
}

static void write_hosts(struct shm_scene *to, const struct shm_talker_list *hosts)
{
	uint32_t count = peek_u32(&hosts->count);

	for (uint32_t i = 0; i < SHM_SCENE_HOSTS; i++) {
		const struct shm_talker *from = &hosts->talker[i];
		bool there = i < count;

		poke_u64(&to->hosts[i].address[0], there ? peek_u64(&from->address[0]) : 0);
		poke_u64(&to->hosts[i].address[1], there ? peek_u64(&from->address[1]) : 0);
		poke_u32(&to->hosts[i].key, there ? peek_u32(&from->key) : 0);
		poke_u32(&to->hosts[i].entries, there ? peek_u32(&from->entries) : 0);
		poke_u32(&to->hosts[i].error_entries, there ? peek_u32(&from->error_entries) : 0);
		poke_u32(&to->hosts[i].more_entries, there ? peek_u32(&from->more_entries) : 0);
	}
}

static void append(struct scenes *scenes, unsigned int ring, const struct scenes_second *second)
{
	struct shm_scenes *to = scenes->rings[ring];
	uint64_t head = peek_u64(&to->head);
	struct shm_scene *scene = &to->scenes[head % SHM_SCENES];

	poke_u64(&scene->real_ns, second->now_real_ns);
	poke_u32(&scene->count_entries, clamp_u32(second->count_entries));
	poke_u32(&scene->max_entries, clamp_u32(second->max_entries));
	poke_u32(&scene->mirror_entries, second->mirror_entries);
	poke_u32(&scene->unassured_entries, second->unassured_entries);
	poke_u32(&scene->rows_active, scenes->rows_active);
	poke_u32(&scene->sources, second->sources);
	write_counters(scene, &second->counters, &scenes->base[ring]);
	write_largest(scenes, scene, ring);
	write_hosts(scene, second->hosts);
	publish_u64(&to->head, head + 1);
	scenes->base[ring] = second->counters;
}

static void finish(struct scenes *scenes, const struct scenes_second *second)
{
	append(scenes, 0, second);
	if (++scenes->pass == SCENES_PER_MINUTE) {
		append(scenes, 1, second);
		scenes->pass = 0;
		scenes->minute++;
	}
	if (scenes->stays)
		stays_look(scenes->stays, scenes->wishes, scenes->wish_count, second->now_boot_ns);
	scenes->cell_count = scenes->row_count = scenes->wish_count = scenes->rows_active = 0;
	scenes->word = 0;
	scenes->passing = false;
}

/* After a stop of the machine, or a pass that took longer: none is made up for. */
static void plan_next(struct scenes *scenes, uint64_t now_ns)
{
	scenes->next_ns += SCENES_INTERVAL_NS;
	if (scenes->next_ns <= now_ns)
		scenes->next_ns = now_ns + SCENES_INTERVAL_NS;
}

void scenes_second(struct scenes *scenes, const struct scenes_second *second)
{
	/* What the kernel counted before the agent came belongs to no interval. */
	if (scenes->settling_s) {
		scenes->base[0] = scenes->base[1] = second->counters;
		scenes->settling_s--;
	}
	if (!scenes->passing) {
		if (second->now_boot_ns < scenes->next_ns)
			return;
		plan_next(scenes, second->now_boot_ns);
		scenes->passing = true;
	}
	if (step(scenes))
		finish(scenes, second);
}
