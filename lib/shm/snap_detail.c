// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/shm/snap_detail.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/shm/reader.h"
#include "lib/shm/ring.h"
#include "lib/shm/seq_retry.h"
#include "lib/shm/seqlock.h"

#define DETAILS_ALL (SHM_DETAILS + SHM_DETAIL_POOLS)
#define FAMILY_IPV4 2u /* AF_INET, AF_INET6: as in the kernel's attributes */
#define FAMILY_IPV6 10u

/* Above any possible counter, and far below where a sum of 24 wraps. */
#define COUNTER_MAX (UINT64_C(1) << 56)

double snap_stay_edge_s(unsigned int i)
{
	return i + 1 >= SHM_STAY_BUCKETS ? (double)INFINITY : ldexp(1, (int)i - 4);
}

void snap_detail_init(struct snap_detail *details)
{
	memset(details, 0, sizeof(*details));
}

void snap_detail_free(struct snap_detail *details)
{
	free(details->details);
	free(details->minutes.frames);
	free(details->hour.frames);
	free(details->ages);
	snap_detail_init(details);
}

static uint64_t peek_counter(const _Atomic uint64_t *word)
{
	uint64_t value = peek_u64(word);

	return value < COUNTER_MAX ? value : COUNTER_MAX;
}

/* Sum and buckets are read one after the other, from a file that may hold anything. */
static void copy_stays(const struct shm_stays *from, struct snap_stays *to)
{
	double least = 0, most = 0;

	to->count = 0;
	for (unsigned int i = 0; i < SHM_STAY_BUCKETS; i++) {
		to->buckets[i] = peek_counter(&from->buckets[i]);
		to->count += to->buckets[i];
		least += i ? (double)to->buckets[i] * snap_stay_edge_s(i - 1) : 0;
		most += to->buckets[i] ? (double)to->buckets[i] * snap_stay_edge_s(i) : 0;
	}
	to->sum_s = (double)peek_u64(&from->sum_ms) / 1e3;
	if (to->sum_s < least)
		to->sum_s = least;
	if (to->sum_s > most)
		to->sum_s = most;
}

/* A hand-over takes microseconds and comes every ten seconds at most: a reader that meets it
 * twice leaves out that row. */
#define HAND_ATTEMPTS 3

static void copy_counters(const struct shm_detail *from, struct snap_row_detail *to)
{
	to->ended = 0;
	for (unsigned int i = 0; i < SHM_END_COUNT; i++) {
		to->ends[i] = peek_counter(&from->ends[i]);
		to->ended += to->ends[i];
	}
	copy_stays(&from->whole, &to->whole);
	copy_stays(&from->tail, &to->tail);
	for (unsigned int i = 0; i < STATE_SLOTS_MAX; i++)
		copy_stays(&from->states[i], &to->states[i]);
}

/* False: free, or changing hands all the time. */
static bool copy_detail(const struct shm_detail *from, struct snap_row_detail *to)
{
	for (int attempt = 0; attempt < HAND_ATTEMPTS; attempt++) {
		uint32_t at;

		if (!hand_read_begin(&from->generation, &at))
			continue;
		if (!row_key_of(peek_u32(&from->row), &to->key))
			return false;
		copy_counters(from, to);
		if (hand_read_valid(&from->generation, at))
			return true;
	}
	return false;
}

/* The place of a pool says which row it must name. */
static bool copy_pool(const struct shm_detail *from, unsigned int index, struct snap_row_detail *to)
{
	struct row_key key = {(uint8_t)(index / DIR_COUNT), (uint8_t)(index % DIR_COUNT), 0};

	to->pool = true;
	return copy_detail(from, to) && row_of(to->key) == row_of(key);
}

static bool has_stays(const struct snap_row_detail *detail)
{
	for (unsigned int i = 0; i < STATE_SLOTS_MAX; i++)
		if (detail->states[i].count)
			return true;
	return detail->ended != 0;
}

struct detail_copy {
	struct shm_reader *reader;
	struct snap_detail *details;
};

static int copy_details(void *arg)
{
	struct detail_copy *copy = arg;
	struct snap_detail *details = copy->details;
	const struct shm_detail *from = shm_reader_section(copy->reader, SHM_SECTION_DETAILS);

	details->detail_count = 0;
	for (unsigned int i = 0; i < DETAILS_ALL; i++) {
		struct snap_row_detail *to = &details->details[details->detail_count];
		bool good;

		memset(to, 0, sizeof(*to));
		good = i < SHM_DETAILS ? copy_detail(&from[i], to)
				       : copy_pool(&from[i], i - SHM_DETAILS, to);
		details->detail_count += good && has_stays(to);
	}
	return 0;
}

static bool copy_talker(const struct shm_talker *from, bool service, struct snap_talker *to)
{
	uint32_t key = peek_u32(&from->key);
	unsigned int family = key & 0xff;
	uint64_t words[2] = {peek_u64(&from->address[0]), peek_u64(&from->address[1])};

	memset(to, 0, sizeof(*to));
	to->entries = peek_u32(&from->entries);
	to->error_entries = peek_u32(&from->error_entries);
	to->more_entries = peek_u32(&from->more_entries);
	if (to->error_entries > to->entries)
		to->error_entries = to->entries;
	if (to->more_entries > UINT32_MAX - to->entries)
		to->more_entries = UINT32_MAX - to->entries;
	if ((family != FAMILY_IPV4 && family != FAMILY_IPV6) || to->entries == 0)
		return false;
	to->ipv6 = family == FAMILY_IPV6;
	memcpy(to->address, words, to->ipv6 ? 16 : 4);
	if (!service)
		return true;
	to->l4proto = (uint8_t)(key >> 8);
	to->port = (uint16_t)(key >> 16);
	return to->l4proto < L4_COUNT;
}

static int talker_compare(const void *left, const void *right)
{
	const struct snap_talker *a = left;
	const struct snap_talker *b = right;

	if (a->entries != b->entries)
		return a->entries > b->entries ? -1 : 1;
	return memcmp(a->address, b->address, sizeof(a->address));
}

static void copy_talker_list(const struct shm_talker_list *from, bool service,
			     struct snap_talker_list *to)
{
	uint32_t count = peek_u32(&from->count);

	to->tracked = peek_u32(&from->tracked);
	to->missed_entries = peek_u32(&from->missed_entries);
	to->count = 0;
	for (uint32_t i = 0; i < count && i < SHM_TALKERS; i++)
		if (copy_talker(&from->talker[i], service, &to->talkers[to->count]))
			to->count++;
}

static int copy_talkers(void *arg)
{
	struct detail_copy *copy = arg;
	struct snap_detail *details = copy->details;
	const struct shm_talkers *from = shm_reader_section(copy->reader, SHM_SECTION_TALKERS);

	details->talkers_valid = false;
	for (int attempt = 0; attempt < SEQ_ATTEMPTS; attempt++, seq_nap_if_due(attempt)) {
		uint64_t at;

		if (!seq_read_begin(&from->seq, &at))
			continue;
		details->talkers_boot_ns = peek_u64(&from->taken_boot_ns);
		for (unsigned int i = 0; i < SHM_TALKER_KINDS; i++)
			copy_talker_list(&from->list[i], i == SHM_TALKER_SERVICE,
					 &details->talkers[i]);
		if (!seq_read_valid(&from->seq, at))
			continue;
		details->talkers_valid = details->talkers_boot_ns != 0;
		break;
	}
	for (unsigned int i = 0; i < SHM_TALKER_KINDS; i++) {
		struct snap_talker_list *list = &details->talkers[i];

		if (!details->talkers_valid)
			memset(list, 0, sizeof(*list));
		qsort(list->talkers, list->count, sizeof(list->talkers[0]), talker_compare);
	}
	return 0;
}

static void copy_frame_lists(const struct shm_frame *from, struct snap_frame *to)
{
	for (unsigned int i = 0; i < SHM_FRAME_CELLS; i++) {
		struct snap_frame_cell *cell = &to->cells[to->cell_count];
		unsigned int state;

		if (!cell_key_of(peek_u32(&from->cells[i].cell), &cell->key, &state))
			continue;
		cell->state = (uint8_t)state;
		cell->entries = peek_u32(&from->cells[i].entries);
		to->cell_count++;
	}
	for (unsigned int i = 0; i < SHM_FRAME_ROWS; i++) {
		struct snap_frame_row *row = &to->rows[to->row_count];

		if (!row_key_of(peek_u32(&from->rows[i].row), &row->key))
			continue;
		row->entries = peek_u32(&from->rows[i].entries);
		row->new_entries = peek_u32(&from->rows[i].new_entries);
		row->destroyed_entries = peek_u32(&from->rows[i].destroyed_entries);
		to->row_count++;
	}
}

static void copy_frame(const void *from_arg, void *to_arg)
{
	const struct shm_frame *from = from_arg;
	struct snap_frame *to = to_arg;

	memset(to, 0, sizeof(*to));
	to->real_ns = peek_u64(&from->real_ns);
	to->count_entries = peek_u32(&from->count_entries);
	to->max_entries = peek_u32(&from->max_entries);
	to->mirror_entries = peek_u32(&from->mirror_entries);
	to->unassured_entries = peek_u32(&from->unassured_entries);
	to->rows_active = peek_u32(&from->rows_active);
	to->sources = peek_u32(&from->sources);
	to->new_entries = peek_u32(&from->new_entries);
	to->destroyed_entries = peek_u32(&from->destroyed_entries);
	to->drops = peek_u32(&from->drops);
	to->early_drops = peek_u32(&from->early_drops);
	to->insert_failed = peek_u32(&from->insert_failed);
	to->chaintoolong = peek_u32(&from->chaintoolong);
	to->clash_resolved = peek_u32(&from->clash_resolved);
	to->found = peek_u32(&from->found);
	to->invalid = peek_u32(&from->invalid);
	to->lost_events = peek_u32(&from->lost_events);
	copy_frame_lists(from, to);
}

struct frame_hosts {
	uint64_t real_ns;
	struct snap_talker hosts[SHM_FRAME_HOSTS];
	uint32_t count;
};

static void copy_frame_hosts(const void *from_arg, void *to_arg)
{
	const struct shm_frame_hosts *from = from_arg;
	struct frame_hosts *to = to_arg;

	to->real_ns = peek_u64(&from->real_ns);
	to->count = 0;
	for (unsigned int i = 0; i < SHM_FRAME_HOSTS; i++)
		to->count += copy_talker(&from->hosts[i], false, &to->hosts[to->count]);
}

/* Two rings, written one after the other: a frame and its hosts have the same time. */
static int take_frame_hosts(struct shm_reader *reader, unsigned int id,
			    struct snap_table_log *frames)
{
	const struct shm_frame_hosts_log *from = shm_reader_section(reader, id);
	struct frame_hosts *copies = calloc(SHM_FRAMES, sizeof(*copies));
	struct ring ring = {.head = &from->head,
			    .elements = from->frames,
			    .slots = SHM_FRAMES,
			    .from_bytes = sizeof(struct shm_frame_hosts),
			    .to_bytes = sizeof(struct frame_hosts),
			    .copy = copy_frame_hosts,
			    .to = copies};
	int err = copies ? shm_guarded(ring_copy, &ring) : -ENOMEM;

	for (size_t i = 0; !err && i < frames->count; i++) {
		struct snap_frame *frame = &frames->frames[i];

		for (size_t k = 0; k < ring.count; k++) {
			if (copies[k].real_ns != frame->real_ns)
				continue;
			frame->host_count = copies[k].count;
			memcpy(frame->hosts, copies[k].hosts, sizeof(frame->hosts));
		}
	}
	free(copies);
	return err;
}

static int take_frames(struct shm_reader *reader, unsigned int id, double interval_s,
		       struct snap_table_log *frames)
{
	const struct shm_table_log *from = shm_reader_section(reader, id);
	struct ring ring = {.head = &from->head,
			    .elements = from->frames,
			    .slots = SHM_FRAMES,
			    .from_bytes = sizeof(struct shm_frame),
			    .to_bytes = sizeof(struct snap_frame),
			    .copy = copy_frame,
			    .to = frames->frames};
	int err = shm_guarded(ring_copy, &ring);

	frames->interval_s = interval_s;
	frames->count = err ? 0 : ring.count;
	return err;
}

static int copy_ages(void *arg)
{
	struct detail_copy *copy = arg;

	snap_ages_copy(shm_reader_section(copy->reader, SHM_SECTION_AGES), copy->details->ages);
	return 0;
}

static int make_room(struct snap_detail *details)
{
	struct snap_table_log *rings[] = {&details->minutes, &details->hour};

	if (!details->details)
		details->details = calloc(DETAILS_ALL, sizeof(*details->details));
	if (!details->ages)
		details->ages = calloc(SHM_AGE_SETS, sizeof(*details->ages));
	for (unsigned int i = 0; i < 2; i++) {
		if (!rings[i]->frames)
			rings[i]->frames = calloc(SHM_FRAMES, sizeof(struct snap_frame));
	}
	return details->details && details->ages && rings[0]->frames && rings[1]->frames ? 0
											 : -ENOMEM;
}

int snapshot_take_talkers(struct shm_reader *reader, struct snap_detail *details)
{
	struct detail_copy copy = {reader, details};

	return reader->base ? shm_guarded(copy_talkers, &copy) : -ENOENT;
}

int snapshot_take_detail(struct shm_reader *reader, struct snap_detail *details)
{
	struct detail_copy copy = {reader, details};
	int err;

	if (!reader->base)
		return -ENOENT;
	err = make_room(details);
	if (!err)
		err = shm_guarded(copy_details, &copy);
	if (!err)
		err = shm_guarded(copy_talkers, &copy);
	if (!err)
		err = shm_guarded(copy_ages, &copy);
	if (!err)
		err = take_frames(reader, SHM_SECTION_FRAMES_SHORT, 10, &details->minutes);
	if (!err)
		err = take_frames(reader, SHM_SECTION_FRAMES_LONG, 60, &details->hour);
	if (!err)
		err = take_frame_hosts(reader, SHM_SECTION_FRAME_HOSTS_SHORT, &details->minutes);
	if (!err)
		err = take_frame_hosts(reader, SHM_SECTION_FRAME_HOSTS_LONG, &details->hour);
	details->hosts_error = reader->hosts_error;
	shm_reader_hosts_explain(reader, details->hosts_why, sizeof(details->hosts_why));
	return err;
}
