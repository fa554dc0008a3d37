// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Details that change hands, lists of talkers and frames, written and read at once, for
 * ThreadSanitizer. The readers follow the protocol of layout.h word by word, and
 * check what no torn or mixed copy could keep.
 *
 *	tsan_records [SECONDS]
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/shm/seqlock.h"
#include "lib/stats/durations.h"
#include "lib/stats/table_log.h"
#include "lib/stats/talkers.h"
#include "tests/unit/offline.h"

#define S	UINT64_C(1000000000)
#define READERS 2

static struct histogram hist;
static struct durations durations;
static struct talkers talkers;
static struct table_log frames;
static struct shm_detail *details;
static struct shm_talkers *listed;
static atomic_bool quit;
static atomic_uint failures;

static void fail(const char *what)
{
	fprintf(stderr, "tsan_records: %s\n", what);
	atomic_fetch_add(&failures, 1);
}

/*
 * A row's entries all end in its own way, so that counts of two rows would show. Of 600
 * rows 300 are busy, others every so often: details change hands, and not empty ones.
 */
static void one_entry(uint64_t serial)
{
	uint64_t n = serial * 2654435761u >> 7;
	struct row_key key = {L4_TCP, DIR_INBOUND,
			      (uint16_t)((n % 300 + serial / 8000 * 150) % 600)};
	uint32_t cell = histogram_place(&hist, key, ST_TCP_TIME_WAIT);
	struct ct_key ct = {.family = AF_INET, .l4num = 6, .dport = key.port};

	histogram_count_new(&hist, cell);
	histogram_count_destroyed(&hist, cell, 1);
	durations_ended(&durations, cell, key.port % SHM_END_COUNT, n % 100 * S, DURATIONS_UNKNOWN);
	ct.src[0] = (uint8_t)(n % 7);
	talkers_appeared(&talkers, &ct);
	if (n % 3)
		talkers_went(&talkers, &ct, true);
}

static void *write_all(void *arg)
{
	struct table_log_second second = {.hosts = &listed->list[SHM_TALKER_SOURCE]};

	(void)arg;
	for (uint64_t n = 1; !atomic_load(&quit); n++) {
		one_entry(n);
		if (n % 500)
			continue;
		second.now_boot_ns += 5 * S;
		second.now_real_ns = second.now_boot_ns;
		second.count_entries = (int64_t)(n & 0xffffff);
		second.mirror_entries = (uint32_t)second.count_entries;
		if (n % 1000 == 0)
			talkers_begin(&talkers);
		if (n % 3000 == 0)
			talkers_complete(&talkers);
		talkers_second(&talkers, listed, n);
		table_log_second(&frames, &second);
	}
	return NULL;
}

static bool check_detail(const struct shm_detail *detail)
{
	uint32_t generation, row;
	uint64_t ends[SHM_END_COUNT], all = 0, timed = 0;
	struct row_key key;

	if (!hand_read_begin(&detail->generation, &generation))
		return false;
	row = peek_u32(&detail->row);
	for (unsigned int i = 0; i < SHM_STAY_BUCKETS; i++)
		timed += peek_u64(&detail->tail.buckets[i]);
	if (!hand_read_valid(&detail->generation, generation))
		return false;
	for (unsigned int i = 0; i < SHM_END_COUNT; i++)
		ends[i] = peek_u64(&detail->ends[i]);
	if (!hand_read_valid(&detail->generation, generation))
		return false;
	if (row == ROW_INVALID)
		return true;
	if (!row_key_of(row, &key))
		fail("a row that is none");
	for (unsigned int i = 0; i < SHM_END_COUNT; i++)
		all += ends[i];
	/* Each end is counted before its stay, and was read after it; relaxed, both of it. */
	if (all + 4 < timed)
		fail("a detail that lost counts");
	for (unsigned int i = 0; i < SHM_END_COUNT; i++)
		if (ends[i] && i != key.port % SHM_END_COUNT)
			fail("a detail with counts of another row");
	return true;
}

static bool check_talkers(uint64_t *last)
{
	const struct shm_talker_list *list = &listed->list[SHM_TALKER_SOURCE];
	uint32_t entries[SHM_TALKERS], count;
	uint64_t at, taken;

	if (!seq_read_begin(&listed->seq, &at))
		return false;
	taken = peek_u64(&listed->taken_boot_ns);
	count = peek_u32(&list->count);
	for (uint32_t i = 0; i < count && i < SHM_TALKERS; i++)
		entries[i] = peek_u32(&list->talker[i].entries);
	if (!seq_read_valid(&listed->seq, at))
		return false;
	if (count > 7 || taken < *last)
		fail("a list of two moments");
	for (uint32_t i = 1; i < count; i++)
		if (entries[i] > entries[i - 1])
			fail("a list out of order");
	*last = taken;
	return true;
}

/* Two slots are left alone: the writer may be in them. */
static void check_frames(void)
{
	const struct shm_table_log *ring = frames.rings[0];
	uint64_t head = observe_u64(&ring->head);

	for (uint64_t i = head > SHM_FRAMES - 2 ? head - (SHM_FRAMES - 2) : 0; i < head; i++) {
		const struct shm_frame *frame = &ring->frames[i % SHM_FRAMES];
		uint32_t count = peek_u32(&frame->count_entries);
		uint32_t mirror = peek_u32(&frame->mirror_entries);

		if (reobserve_u64(&ring->head) + 2 > i + SHM_FRAMES)
			continue;
		if (count != mirror)
			fail("a torn frame");
	}
}

static void *read_all(void *arg)
{
	uint64_t *read = arg, last = 0;

	while (!atomic_load(&quit) && atomic_load(&failures) < 10) {
		for (unsigned int i = 0; i < SHM_DETAILS; i++)
			*read += check_detail(&details[i]);
		*read += check_talkers(&last);
		check_frames();
	}
	return NULL;
}

static bool set_up(void)
{
	details = calloc(SHM_DETAILS + SHM_DETAIL_POOLS, sizeof(*details));
	listed = calloc(1, sizeof(*listed));
	if (!details || !listed || mirror_offline_histogram(&hist) ||
	    durations_create(&durations, &hist) || talkers_create(&talkers, 1024) ||
	    table_log_create(&frames, &hist, 0))
		return false;
	for (unsigned int i = 0; i < 2; i++) {
		frames.rings[i] = calloc(1, sizeof(struct shm_table_log) +
						    SHM_FRAMES * sizeof(struct shm_frame));
		frames.hosts[i] = calloc(1, sizeof(struct shm_frame_hosts_log) +
						    SHM_FRAMES * sizeof(struct shm_frame_hosts));
	}
	for (unsigned int i = 0; i < SHM_DETAILS; i++)
		poke_u32(&details[i].row, ROW_INVALID);
	durations.details = details;
	frames.durations = &durations;
	return frames.rings[0] && frames.rings[1] && frames.hosts[0] && frames.hosts[1];
}

int main(int argc, char **argv)
{
	pthread_t writer, readers[READERS];
	uint64_t read[READERS] = {0}, all = 0;
	uint64_t hands = 0;

	if (!set_up()) {
		perror("tsan_records: set-up");
		return 1;
	}
	pthread_create(&writer, NULL, write_all, NULL);
	for (unsigned int i = 0; i < READERS; i++)
		pthread_create(&readers[i], NULL, read_all, &read[i]);
	sleep(argc > 1 ? (unsigned int)atoi(argv[1]) : 4);
	atomic_store(&quit, true);
	pthread_join(writer, NULL);
	for (unsigned int i = 0; i < READERS; i++) {
		pthread_join(readers[i], NULL);
		all += read[i];
	}
	for (unsigned int i = 0; i < SHM_DETAILS; i++)
		hands += peek_u32(&details[i].generation) / 2;
	if (all == 0 || hands <= SHM_DETAILS)
		fail("nothing was read, or nothing changed hands");
	printf("tsan_records: %llu copies, %llu changes of hands, %u failures\n",
	       (unsigned long long)all, (unsigned long long)hands, atomic_load(&failures));
	return atomic_load(&failures) ? 1 : 0;
}
