// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/shm/snap_detail: what is copied, and what is left out of a segment that lies. */
#include "tests/unit/unit.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/shm/reader.h"
#include "lib/shm/seqlock.h"
#include "lib/shm/snap_detail.h"
#include "lib/shm/snapshot.h"

struct mirror_offline {
	struct shm_reader reader;
	struct snap_detail details;
	char *base;
	struct shm_detail *rows_detail;
	struct shm_talkers *talkers;
	struct shm_table_log *minutes;
	struct shm_table_log *hour;
	struct shm_frame_hosts_log *hosts;
};

static struct mirror_offline offline;

/* The sections alone, in private memory: the reader looks at nothing else. */
static int setup(void **state)
{
	struct shm_section sections[SHM_SECTION_COUNT];
	uint64_t bytes = shm_layout(sections);

	(void)state;
	memset(&offline, 0, sizeof(offline));
	offline.base = calloc(1, bytes);
	assert_non_null(offline.base);
	offline.reader.base = offline.base;
	for (unsigned int i = 0; i < SHM_SECTION_COUNT; i++)
		offline.reader.sections[i] = sections[i].offset_bytes;
	offline.rows_detail = (void *)(offline.base + sections[SHM_SECTION_DETAILS].offset_bytes);
	offline.talkers = (void *)(offline.base + sections[SHM_SECTION_TALKERS].offset_bytes);
	offline.minutes = (void *)(offline.base + sections[SHM_SECTION_FRAMES_SHORT].offset_bytes);
	offline.hour = (void *)(offline.base + sections[SHM_SECTION_FRAMES_LONG].offset_bytes);
	offline.hosts =
		(void *)(offline.base + sections[SHM_SECTION_FRAME_HOSTS_SHORT].offset_bytes);
	for (unsigned int i = 0; i < SHM_DETAILS; i++)
		poke_u32(&offline.rows_detail[i].row, ROW_INVALID);
	for (unsigned int i = 0; i < SHM_DETAIL_POOLS; i++)
		poke_u32(&offline.rows_detail[SHM_DETAILS + i].row,
			 row_of((struct row_key){i / DIR_COUNT, i % DIR_COUNT, 0}));
	snap_detail_init(&offline.details);
	assert_int_equal(shm_reader_install_guard(), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	snap_detail_free(&offline.details);
	free(offline.base);
	return 0;
}

static void take(void)
{
	assert_int_equal(snapshot_take_detail(&offline.reader, &offline.details), 0);
}

static uint32_t http_row(void)
{
	return row_of((struct row_key){L4_TCP, DIR_INBOUND, 80});
}

static void test_nothing_mapped(void **state)
{
	struct shm_reader none = {.base = NULL};

	(void)state;
	assert_int_equal(snapshot_take_detail(&none, &offline.details), -2 /* ENOENT */);
}

static void test_empty(void **state)
{
	(void)state;
	take();
	assert_int_equal(offline.details.detail_count, 0);
	assert_false(offline.details.talkers_valid);
	assert_int_equal(offline.details.minutes.count, 0);
	assert_int_equal(offline.details.hour.count, 0);
	assert_true(isinf(snap_stay_edge_s(SHM_STAY_BUCKETS - 1)));
	assert_true(fabs(snap_stay_edge_s(0) - 0.0625) < 1e-12);
	assert_true(fabs(snap_stay_edge_s(11) - 128) < 1e-12);
}

static void test_detail(void **state)
{
	struct shm_detail *detail = &offline.rows_detail[7];
	const struct snap_row_detail *copy;

	(void)state;
	poke_u32(&detail->row, http_row());
	poke_u64(&detail->ends[SHM_END_CLOSED], 10);
	poke_u64(&detail->ends[SHM_END_UNSEEN], 2);
	poke_u64(&detail->states[ST_TCP_TIME_WAIT].buckets[11], 3);
	poke_u64(&detail->states[ST_TCP_TIME_WAIT].buckets[12], 7);
	poke_u64(&detail->states[ST_TCP_TIME_WAIT].sum_ms, 1500000);
	take();
	assert_int_equal(offline.details.detail_count, 1);
	copy = &offline.details.details[0];
	assert_int_equal(copy->key.port, 80);
	assert_false(copy->pool);
	assert_int_equal(copy->ended, 12);
	assert_int_equal(copy->states[ST_TCP_TIME_WAIT].count, 10);
	assert_true(fabs(copy->states[ST_TCP_TIME_WAIT].sum_s - 1500) < 1e-6);
	/* A sum that its buckets do not allow: 3 x 128 + 7 x 256 at the most. */
	poke_u64(&detail->states[ST_TCP_TIME_WAIT].sum_ms, UINT64_MAX);
	take();
	assert_true(offline.details.details[0].states[ST_TCP_TIME_WAIT].sum_s <= 3 * 128 + 7 * 256);
	poke_u64(&detail->states[ST_TCP_TIME_WAIT].sum_ms, 0);
	take();
	assert_true(offline.details.details[0].states[ST_TCP_TIME_WAIT].sum_s >= 3 * 64 + 7 * 128);
	/* Changing hands. */
	poke_u32(&detail->generation, 3);
	take();
	assert_int_equal(offline.details.detail_count, 0);
	/* Of no row. */
	poke_u32(&detail->generation, 4);
	poke_u32(&detail->row, ROW_COUNT);
	take();
	assert_int_equal(offline.details.detail_count, 0);
}

static void test_pool(void **state)
{
	struct shm_detail *pool =
		&offline.rows_detail[SHM_DETAILS + L4_UDP * DIR_COUNT + DIR_OUTBOUND];

	(void)state;
	poke_u64(&pool->ends[SHM_END_EXPIRED], 5);
	take();
	assert_int_equal(offline.details.detail_count, 1);
	assert_true(offline.details.details[0].pool);
	assert_int_equal(offline.details.details[0].key.l4proto, L4_UDP);
	assert_int_equal(offline.details.details[0].key.direction, DIR_OUTBOUND);
	/* A pool that says it is another one is none. */
	poke_u32(&pool->row, http_row());
	take();
	assert_int_equal(offline.details.detail_count, 0);
}

static void put_talker(struct shm_talker *talker, uint32_t key, uint32_t entries, uint32_t error)
{
	poke_u64(&talker->address[0], UINT64_MAX);
	poke_u64(&talker->address[1], UINT64_MAX);
	poke_u32(&talker->key, key);
	poke_u32(&talker->entries, entries);
	poke_u32(&talker->error_entries, error);
	poke_u32(&talker->more_entries, UINT32_MAX);
}

static void test_talkers(void **state)
{
	struct shm_talker_list *source = &offline.talkers->list[SHM_TALKER_SOURCE];
	struct shm_talker_list *service = &offline.talkers->list[SHM_TALKER_SERVICE];
	const struct snap_talker_list *copy = &offline.details.talkers[SHM_TALKER_SOURCE];

	(void)state;
	poke_u64(&offline.talkers->taken_boot_ns, 1);
	poke_u32(&source->count, 1000000);
	put_talker(&source->talker[0], AF_INET | 99 << 8 | 80 << 16, 5, 9);
	put_talker(&source->talker[1], 77, 6, 0);
	put_talker(&source->talker[2], AF_INET6, 9, 2);
	poke_u32(&service->count, 2);
	put_talker(&service->talker[0], AF_INET | L4_COUNT << 8 | 80 << 16, 5, 0);
	put_talker(&service->talker[1], AF_INET | L4_UDP << 8 | 53u << 16, 5, 0);
	take();
	assert_true(offline.details.talkers_valid);
	/* Largest first; no more than there is room; no family, no talker. */
	assert_int_equal(copy->count, 2);
	assert_true(copy->talkers[0].ipv6);
	assert_int_equal(copy->talkers[0].address[15], 255);
	assert_int_equal(copy->talkers[1].address[3], 255);
	assert_int_equal(copy->talkers[1].address[4], 0);
	assert_int_equal(copy->talkers[1].error_entries, 5);
	assert_int_equal(copy->talkers[1].more_entries, UINT32_MAX - 5);
	assert_int_equal(copy->talkers[1].port, 0);
	copy = &offline.details.talkers[SHM_TALKER_SERVICE];
	assert_int_equal(copy->count, 1);
	assert_int_equal(copy->talkers[0].l4proto, L4_UDP);
	assert_int_equal(copy->talkers[0].port, 53);
	/* A writer that died in there. */
	seq_write_begin(&offline.talkers->seq);
	take();
	assert_false(offline.details.talkers_valid);
	assert_int_equal(copy->count, 0);
}

static void put_frame(struct shm_table_log *frames, uint64_t i)
{
	struct shm_frame *frame = &frames->frames[i % SHM_FRAMES];

	memset((void *)frame, 0xff, sizeof(*frame));
	poke_u64(&frame->real_ns, i);
	poke_u32(&frame->count_entries, (uint32_t)i);
	poke_u32(&frame->rows[3].row, http_row());
	poke_u32(&frame->rows[3].new_entries, 8);
	poke_u32(&frame->cells[5].cell,
		 cell_of((struct row_key){L4_TCP, DIR_INBOUND, 80}, ST_TCP_CLOSE));
	poke_u32(&frame->cells[5].entries, 4);
	publish_u64(&frames->head, i + 1);
}

static void test_frames(void **state)
{
	const struct snap_table_log *copy = &offline.details.minutes;

	(void)state;
	for (uint64_t i = 0; i < 10; i++)
		put_frame(offline.minutes, i);
	take();
	assert_int_equal(copy->count, 10);
	assert_int_equal(copy->frames[0].count_entries, 0);
	assert_int_equal(copy->frames[9].row_count, 1);
	assert_int_equal(copy->frames[9].rows[0].key.port, 80);
	assert_int_equal(copy->frames[9].rows[0].new_entries, 8);
	assert_int_equal(copy->frames[9].cell_count, 1);
	assert_int_equal(copy->frames[9].cells[0].state, ST_TCP_CLOSE);
	assert_int_equal(copy->frames[9].host_count, 0);
	for (uint64_t i = 10; i < 500; i++)
		put_frame(offline.minutes, i);
	take();
	/* The slot the writer may be in is left out. */
	assert_int_equal(copy->count, SHM_FRAMES - 1);
	assert_int_equal(copy->frames[copy->count - 1].real_ns, 499);
	for (size_t i = 1; i < copy->count; i++)
		assert_int_equal(copy->frames[i].real_ns, copy->frames[i - 1].real_ns + 1);
	/* A head that cannot be. */
	publish_u64(&offline.minutes->head, UINT64_MAX);
	take();
	assert_true(copy->count <= SHM_FRAMES);
}

static void put_frame_hosts(uint64_t i, uint64_t real_ns)
{
	struct shm_frame_hosts *to = &offline.hosts->frames[i % SHM_FRAMES];

	poke_u64(&to->real_ns, real_ns);
	poke_u64(&to->hosts[0].address[0], i);
	poke_u32(&to->hosts[0].key, AF_INET);
	poke_u32(&to->hosts[0].entries, (uint32_t)i + 1);
	publish_u64(&offline.hosts->head, i + 1);
}

/* A frame's hosts are those of its time, also where one ring is ahead of the other, and
 * none where the hosts file could not be read. */
static void test_frame_hosts(void **state)
{
	const struct snap_table_log *copy = &offline.details.minutes;

	(void)state;
	for (uint64_t i = 0; i < 200; i++)
		put_frame(offline.minutes, i);
	take();
	assert_int_equal(copy->frames[50].host_count, 0);
	for (uint64_t i = 0; i < 201; i++)
		put_frame_hosts(i, i);
	put_frame_hosts(201, 77777);
	take();
	for (size_t i = 2; i < copy->count; i++) {
		assert_int_equal(copy->frames[i].host_count, 1);
		assert_int_equal(copy->frames[i].hosts[0].entries, copy->frames[i].real_ns + 1);
	}
	/* Gone over by the hosts' writer, which is two ahead. */
	assert_int_equal(copy->frames[0].real_ns, 105);
	assert_int_equal(copy->frames[0].host_count, 0);
}

/* Random bytes everywhere: nothing that is copied is out of range. */
static void random_segment(uint64_t seed)
{
	struct rng rng = rng_seeded(seed);
	uint64_t *words[] = {(void *)offline.rows_detail, (void *)offline.talkers,
			     (void *)offline.minutes, (void *)offline.hour, (void *)offline.hosts};
	static const unsigned int ids[] = {SHM_SECTION_DETAILS, SHM_SECTION_TALKERS,
					   SHM_SECTION_FRAMES_SHORT, SHM_SECTION_FRAMES_LONG,
					   SHM_SECTION_FRAME_HOSTS_SHORT};
	const struct snap_detail *details = &offline.details;

	for (unsigned int s = 0; s < 5; s++)
		for (uint64_t i = 0; i < shm_section_bytes(ids[s]) / 8; i++)
			words[s][i] =
				rng_percent(&rng, 50) ? rng_next(&rng) & 0xfffff : rng_next(&rng);
	poke_u64(&offline.talkers->seq, rng_next(&rng) & ~UINT64_C(1));
	take();
	for (size_t i = 0; i < details->detail_count; i++) {
		const struct snap_row_detail *detail = &details->details[i];

		assert_seeded(seed, row_of(detail->key) != ROW_INVALID);
		for (unsigned int s = 0; s < STATE_SLOTS_MAX; s++)
			assert_seeded(seed, detail->states[s].sum_s >= 0 &&
						    !isnan(detail->states[s].sum_s));
	}
	for (unsigned int kind = 0; kind < SHM_TALKER_KINDS; kind++) {
		const struct snap_talker_list *list = &details->talkers[kind];

		assert_seeded(seed, list->count <= SHM_TALKERS);
		for (uint32_t i = 0; i < list->count; i++)
			assert_seeded(seed,
				      list->talkers[i].error_entries <= list->talkers[i].entries &&
					      list->talkers[i].l4proto < L4_COUNT);
	}
	assert_seeded(seed,
		      details->minutes.count <= SHM_FRAMES && details->hour.count <= SHM_FRAMES);
	for (size_t i = 0; i < details->minutes.count; i++)
		for (uint32_t j = 0; j < details->minutes.frames[i].cell_count; j++)
			assert_seeded(seed, row_of(details->minutes.frames[i].cells[j].key) !=
						    ROW_INVALID);
}

static void test_random(void **state)
{
	(void)state;
	unit_seeds("segments", 8, random_segment);
}

/* A writer that hands details over all the time: no copy is of two rows. */
static void *hand_over(void *arg)
{
	struct shm_detail *detail = &offline.rows_detail[0];
	_Atomic uint32_t *stop = arg;

	for (uint32_t i = 1; !peek_u32(stop); i++) {
		hand_over_begin(&detail->generation);
		poke_u32(&detail->row, row_of((struct row_key){L4_TCP, DIR_INBOUND, i % 60000}));
		for (unsigned int b = 0; b < SHM_STAY_BUCKETS; b++)
			poke_u64(&detail->states[3].buckets[b], i % 60000);
		poke_u64(&detail->ends[0], i % 60000);
		hand_over_end(&detail->generation);
	}
	return NULL;
}

static void test_torn_details(void **state)
{
	_Atomic uint32_t stop = 0;
	unsigned int seen = 0;
	pthread_t writer;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, hand_over, &stop), 0);
	for (unsigned int i = 0; i < 3000; i++) {
		const struct snap_row_detail *detail;

		/* The first copy makes the room for rows. */
		take();
		detail = offline.details.details;
		if (!offline.details.detail_count || !detail->key.port)
			continue;
		seen++;
		if (detail->ends[0] != detail->key.port ||
		    detail->states[3].count != SHM_STAY_BUCKETS * (uint64_t)detail->key.port) {
			poke_u32(&stop, 1);
			fail_msg("torn");
		}
	}
	poke_u32(&stop, 1);
	pthread_join(writer, NULL);
	print_message("[ %u copies were whole ]\n", seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_mapped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(test_detail, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pool, setup, teardown),
		cmocka_unit_test_setup_teardown(test_talkers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(test_frame_hosts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_random, setup, teardown),
		cmocka_unit_test_setup_teardown(test_torn_details, setup, teardown),
	};

	return cmocka_run_group_tests_name("story", tests, NULL, NULL);
}
