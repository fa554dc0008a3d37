// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writer and readers of the segment as threads over one mapping, for
 * ThreadSanitizer, which works by address: two mappings of the file would hide
 * every race. The writer keeps sums that a torn snapshot would break.
 *
 *	tsan_segment [SECONDS]
 *
 * Ends with 0 when every snapshot agreed with itself, 66 from the sanitizer.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/mirror/ports.h"
#include "lib/shm/reader.h"
#include "lib/shm/seqlock.h"
#include "lib/shm/snapshot.h"
#include "lib/mirror/histogram.h"
#include "lib/shm/writer.h"

#define READERS 2
#define PORTS	40u

static struct segment segment;
static struct histogram hist;
static struct ports ports;
static struct shm_reader reader;
static atomic_bool quit;
static atomic_uint failures;

static void fail(const char *what)
{
	fprintf(stderr, "tsan_segment: %s\n", what);
	atomic_fetch_add(&failures, 1);
}

static void set(_Atomic int64_t *field, uint64_t value)
{
	atomic_store_explicit(field, (int64_t)value, memory_order_relaxed);
}

static void append_sample(bool minutes, uint64_t n)
{
	struct shm_history *history = segment_history(&segment, minutes);
	uint64_t head = peek_u64(&history->head);
	struct shm_sample *sample =
		&history->samples[head % (minutes ? SHM_HISTORY_MINUTES : SHM_HISTORY_SECONDS)];

	poke_u64(&sample->real_ns, head + 1);
	poke_u32(&sample->count_entries, (uint32_t)(head + 1));
	poke_u32(&sample->mirror_entries, (uint32_t)(head + 1));
	poke_u32(&sample->top[0].row, (uint32_t)(n % ROW_COUNT));
	poke_u32(&sample->top[0].entries, 1);
	publish_u64(&history->head, head + 1);
}

static void write_forecast(uint64_t n)
{
	struct shm_forecast *to = segment_forecast(&segment);
	struct shm_pasts *pasts = segment_pasts(&segment);
	struct shm_past *past = &pasts->pasts[n % SHM_PASTS];

	seq_write_begin(&to->seq);
	poke_u64(&to->computed_boot_ns, n + 1);
	poke_u32(&to->limit_entries, 1000);
	poke_u32(&to->limit_kind, SHM_LIMIT_MAX);
	poke_u32(&to->verdict, SHM_VERDICT_STEADY);
	poke_u32(&to->settles_at_entries, (uint32_t)(n + 1));
	for (unsigned int i = 0; i < SHM_HORIZONS; i++)
		poke_u32(&to->horizon[i].horizon_s, snap_horizons_s[i]);
	for (unsigned int i = 0; i < SHM_FULL_HORIZONS; i++)
		poke_u32(&to->chance[i].horizon_s, snap_full_horizons_s[i]);
	poke_u32(&to->horizon[3].hi95_entries, (uint32_t)(n + 1));
	seq_write_end(&to->seq);
	poke_u64(&past->real_ns, n + 1);
	poke_u32(&past->p50_entries[3], (uint32_t)(n + 1));
	publish_u64(&pasts->head, n + 1);
}

/* All that the agent does to the segment, at once and without a pause. */
static void *write_all(void *arg)
{
	struct shm_live *live = segment_live(&segment);
	uint64_t n = 0;

	(void)arg;
	while (!atomic_load(&quit)) {
		struct row_key key = {L4_TCP, DIR_INBOUND, (uint16_t)(1 + n % PORTS)};
		uint32_t syn = histogram_place(&hist, key, ST_TCP_SYN_SENT);
		uint32_t wait = histogram_place(&hist, key, ST_TCP_TIME_WAIT);

		histogram_enter(&hist, syn);
		histogram_count_new(&hist, syn);
		histogram_leave(&hist, syn);
		histogram_enter(&hist, wait);
		if (n % 3 == 0) {
			histogram_count_destroyed(&hist, wait, n % 5000);
			histogram_leave(&hist, wait);
		}
		seq_write_begin(&live->seq);
		set(&live->heartbeat_boot_ns, n);
		set(&live->count_entries, n);
		set(&live->max_entries, 2 * n);
		set(&live->refused_decrements, 3 * n);
		seq_write_end(&live->seq);
		if (n % 64 == 0)
			ports_second(&ports, n * NS_PER_S);
		append_sample(n % 2, n);
		write_forecast(n);
		n++;
	}
	return NULL;
}

static void check_snapshot(const struct snapshot *snap, uint64_t *last)
{
	int64_t n = snap->live.count_entries;
	int64_t sum = 0;

	if (snap->live.heartbeat_boot_ns != n || snap->live.max_entries != 2 * n ||
	    snap->live.refused_decrements != 3 * n)
		fail("a torn live block");
	if ((uint64_t)n < *last)
		fail("a live block older than the one before");
	*last = (uint64_t)n;
	for (size_t i = 0; i < snap->row_count; i++) {
		const struct snap_row *row = &snap->rows[i];

		sum += row->entries;
		if (row->key.l4proto != L4_TCP || row->key.port > PORTS)
			fail("a row that nobody made");
		if (row->slot >= 0 && row->slot_new_entries > row->new_entries)
			fail("a slot with more than its row");
	}
	if (sum != snap->live.mirror_entries)
		fail("cells and their sum");
	if (snap->forecast.valid &&
	    (snap->forecast.settles_at_entries != (uint32_t)snap->forecast.computed_boot_ns ||
	     snap->forecast.horizon[3].hi95_entries != snap->forecast.settles_at_entries))
		fail("a torn forecast");
}

static void check_pasts(const struct snap_pasts *pasts)
{
	for (size_t i = 0; i < pasts->count; i++)
		if (pasts->pasts[i].real_ns != pasts->pasts[0].real_ns + i ||
		    pasts->pasts[i].p50_entries[3] != (uint32_t)pasts->pasts[i].real_ns)
			fail("a torn past");
}

static void check_history(const struct snap_history *history)
{
	for (size_t i = 0; i < history->sample_count; i++) {
		const struct snap_sample *sample = &history->samples[i];

		if (sample->real_ns != history->samples[0].real_ns + i ||
		    sample->count_entries != (uint32_t)sample->real_ns ||
		    sample->mirror_entries != sample->count_entries)
			fail("a torn sample");
	}
}

static void *read_all(void *arg)
{
	struct snapshot snap;
	struct snap_history history;
	struct snap_pasts pasts;
	uint64_t *taken = arg, last = 0;

	snapshot_init(&snap);
	snap_history_init(&history);
	snap_pasts_init(&pasts);
	while (!atomic_load(&quit) && atomic_load(&failures) < 10) {
		int err = snapshot_take(&reader, 1, 1, &snap);

		if (err && err != -EAGAIN)
			fail("snapshot_take");
		if (!err) {
			check_snapshot(&snap, &last);
			++*taken;
		}
		if (snapshot_take_history(&reader, *taken % 2, &history) == 0)
			check_history(&history);
		if (snapshot_take_pasts(&reader, &pasts) == 0)
			check_pasts(&pasts);
	}
	snapshot_free(&snap);
	snap_history_free(&history);
	snap_pasts_free(&pasts);
	return NULL;
}

static int set_up(const char *dir)
{
	const struct segment_identity identity = {.name = "tsan"};
	const char *what;
	pid_t pid;
	int err = segment_create(&segment, dir, &identity, &what, &pid);

	if (!err)
		err = segment_publish(&segment);
	if (!err)
		err = shm_reader_init(&reader, dir, "tsan");
	if (err)
		return err;
	histogram_attach(&hist, &segment);
	ports_init(&ports, &hist, segment_slots(&segment), segment_rates(&segment),
		   segment_live(&segment), 8);
	/* The readers' mapping is the writer's own. */
	reader.base = segment.base;
	reader.size_bytes = segment.size_bytes;
	for (unsigned int i = 0; i < SHM_SECTION_COUNT; i++)
		reader.sections[i] = segment.sections[i].offset_bytes;
	return 0;
}

static void clean_up(const char *dir)
{
	static const char *const names[] = {"tsan.table", "tsan.lock"};
	char path[96];

	segment_close(&segment);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

int main(int argc, char **argv)
{
	char dir[64];
	pthread_t writer, readers[READERS];
	uint64_t taken[READERS] = {0}, all = 0;

	snprintf(dir, sizeof(dir), "%s/conntide-tsan-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(dir) || set_up(dir) < 0) {
		perror("tsan_segment: set-up");
		return 1;
	}
	pthread_create(&writer, NULL, write_all, NULL);
	for (unsigned int i = 0; i < READERS; i++)
		pthread_create(&readers[i], NULL, read_all, &taken[i]);
	sleep(argc > 1 ? (unsigned int)atoi(argv[1]) : 4);
	atomic_store(&quit, true);
	pthread_join(writer, NULL);
	for (unsigned int i = 0; i < READERS; i++) {
		pthread_join(readers[i], NULL);
		all += taken[i];
	}
	clean_up(dir);
	if (all == 0)
		fail("no reader got a snapshot");
	printf("tsan_segment: %llu snapshots by %d readers, %u failures\n", (unsigned long long)all,
	       READERS, atomic_load(&failures));
	return atomic_load(&failures) ? 1 : 0;
}
