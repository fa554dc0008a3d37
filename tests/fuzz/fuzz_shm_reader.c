// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A segment file with anything in it: opened, snapshotted, its history taken. An
 * error or a snapshot that agrees with itself; no crash, no endless loop.
 *
 * One good file stays in shared memory; an input is a list of changes to it, each a
 * place (section, offset) and eight bytes, undone afterwards. The last byte may cut
 * the file.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporters/advice/advice.h"
#include "exporters/render/nat.h"
#include "exporters/render/talkers.h"
#include "lib/base/check.h"
#include "lib/shm/layout.h"
#include "lib/shm/reader.h"
#include "lib/shm/snapshot.h"

#define CHANGE_BYTES	  12u /* where: 1 section, 3 offset; 8 what */
#define CHANGES_MAX	  64u
#define SECTION_OF_HEADER SHM_SECTION_COUNT

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];
static uint8_t *base;
static uint64_t total;
static int file = -1;
static int hosts_file = -1;
static int cut_file;
static struct shm_section sections[SHM_SECTION_COUNT];
static struct snapshot snap;
static struct snap_history history;
static struct snap_pasts pasts;
static struct snap_detail details;
static struct text out;

static void remove_files(void)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/fuzz.table", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/fuzz.hosts", dir);
	unlink(path);
	rmdir(dir);
}

/* One that is valid, so that a change to it is more than noticed. */
static void fill_forecast(struct shm_forecast *forecast)
{
	atomic_store(&forecast->computed_boot_ns, 1);
	atomic_store(&forecast->limit_entries, 1000);
	atomic_store(&forecast->limit_kind, SHM_LIMIT_MAX);
	atomic_store(&forecast->verdict, SHM_VERDICT_STEADY);
	atomic_store(&forecast->reason_count, 2);
	for (unsigned int i = 0; i < SHM_HORIZONS; i++)
		atomic_store(&forecast->horizon[i].horizon_s, snap_horizons_s[i]);
	for (unsigned int i = 0; i < SHM_FULL_HORIZONS; i++)
		atomic_store(&forecast->chance[i].horizon_s, snap_full_horizons_s[i]);
}

static void fill_header(void)
{
	struct shm_header *header = (void *)base;
	struct shm_hosts_header *hosts = (void *)(base + shm_hosts_offset());
	_Atomic uint64_t *rowmap = (void *)(base + sections[SHM_SECTION_ROWMAP].offset_bytes);

	header->magic = SHM_MAGIC;
	header->version_major = SHM_VERSION_MAJOR;
	header->version_minor = SHM_VERSION_MINOR;
	header->header_bytes = sizeof(*header);
	header->total_bytes = total;
	header->hosts_offset_bytes = shm_hosts_offset();
	*hosts = (struct shm_hosts_header){.magic = SHM_MAGIC,
					   .version_major = SHM_VERSION_MAJOR,
					   .version_minor = SHM_VERSION_MINOR,
					   .header_bytes = sizeof(*hosts),
					   .total_bytes = total - shm_hosts_offset()};
	header->section_count = SHM_SECTION_COUNT;
	memcpy(header->sections, sections, sizeof(sections));
	atomic_store(&header->ready, SHM_MAGIC);
	fill_forecast((void *)(base + sections[SHM_SECTION_FORECAST].offset_bytes));
	/* Some rows, so that there is something to walk. */
	for (unsigned int i = 0; i < 8; i++)
		atomic_store(&rowmap[i * 512], UINT64_C(0x8000000000000001));
}

static int map_new(const char *path, uint64_t offset, uint64_t bytes)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	BUG_ON(fd < 0 || ftruncate(fd, (off_t)bytes) < 0);
	BUG_ON(mmap(base + offset, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
	       MAP_FAILED);
	return fd;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char path[96];

	(void)argc;
	(void)argv;
	snprintf(dir, sizeof(dir), "%s/conntide-fuzz-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	BUG_ON(!mkdtemp(dir));
	atexit(remove_files);
	snprintf(path, sizeof(path), "%s/fuzz.table", dir);
	total = shm_layout(sections);
	base = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	BUG_ON(base == MAP_FAILED);
	file = map_new(path, 0, shm_hosts_offset());
	snprintf(path, sizeof(path), "%s/fuzz.hosts", dir);
	hosts_file = map_new(path, shm_hosts_offset(), total - shm_hosts_offset());
	fill_header();
	snapshot_init(&snap);
	snap_history_init(&history);
	snap_pasts_init(&pasts);
	snap_detail_init(&details);
	text_init(&out);
	return shm_reader_install_guard();
}

/* A forecast that is shown can be shown: its words mean something, its amounts are in order. */
static void check_forecast(const struct snap_forecast *forecast)
{
	if (!forecast->valid)
		return;
	BUG_ON(forecast->verdict >= SHM_VERDICT_COUNT || forecast->limit_kind >= SHM_LIMIT_COUNT);
	BUG_ON(forecast->reason_count > SHM_REASONS);
	BUG_ON(forecast->full_early_ms > forecast->full_likely_ms);
	BUG_ON(forecast->full_likely_ms > forecast->full_late_ms);
	for (unsigned int i = 0; i < SHM_HORIZONS; i++) {
		const struct snap_horizon *horizon = &forecast->horizon[i];

		BUG_ON(horizon->lo95_entries > horizon->lo80_entries);
		BUG_ON(horizon->lo80_entries > horizon->p50_entries);
		BUG_ON(horizon->p50_entries > horizon->hi80_entries);
		BUG_ON(horizon->hi80_entries > horizon->hi95_entries);
		BUG_ON(horizon->held > horizon->compared);
	}
	for (unsigned int i = 0; i < SHM_FULL_HORIZONS; i++)
		BUG_ON(forecast->chance[i].drop_ppm > forecast->chance[i].full_ppm ||
		       forecast->chance[i].full_ppm > SNAP_PPM);
	for (unsigned int i = 0; i < forecast->reason_count; i++)
		BUG_ON(forecast->reason[i].key.l4proto >= L4_COUNT ||
		       forecast->reason[i].key.direction >= DIR_COUNT);
}

/* Where change `data` goes; sparse sections only in their first MiB, to stay fast. */
static uint8_t *place(const uint8_t *data)
{
	unsigned int id = data[0] % (SHM_SECTION_COUNT + 1u);
	uint32_t at = (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
	uint64_t from = id == SECTION_OF_HEADER ? 0 : sections[id].offset_bytes;
	uint64_t room =
		id == SECTION_OF_HEADER ? sizeof(struct shm_header) : sections[id].size_bytes;

	room = room > (1u << 20) ? 1u << 20 : room;
	return base + from + at % (room - 7);
}

/* A lock left taken costs the reader 50 ms each time: seen now and then it is enough. */
static void unlock(void)
{
	static const enum shm_section_id locked[] = {
		SHM_SECTION_LIVE, SHM_SECTION_SLOTS,	SHM_SECTION_FORECAST, SHM_SECTION_TALKERS,
		SHM_SECTION_NAT,  SHM_SECTION_SETTINGS, SHM_SECTION_ZONES};

	for (size_t i = 0; i < sizeof(locked) / sizeof(locked[0]); i++)
		base[sections[locked[i]].offset_bytes] &= 0xfe;
}

/* Whatever the segment says, there is an answer, and no nonsense in it. */
static void answer(void)
{
	static struct advice advice;
	static struct why why;
	struct whatif whatif = {
		.count = 1,
		.changes = {
			{.kind = CHANGE_TIMEOUT, .timeout = TIMEOUT_TCP_TIME_WAIT, .value = 1}}};
	struct whatif_result result;
	struct model model;
	char nat[NAT_WORDS_BYTES];

	BUG_ON(model_build(&snap, &details, &model));
	BUG_ON(!(model.steady_entries >= 0));
	why_look(&snap, &details, &model, &why);
	BUG_ON(advice_make(&why, &advice) || !advice.count);
	BUG_ON(whatif_run(&whatif, &model, &result) || !(result.steady_then >= 0));
	text_clear(&out);
	why_text(&why, NULL, true, &out);
	why_json(&why, NULL, true, &out);
	advice_text(&advice, &out);
	advice_json(&advice, &out);
	whatif_text(&whatif, &result, &snap, NULL, &out);
	whatif_json(&whatif, &result, &snap, NULL, &out);
	render_talkers(&snap, &details, &(struct talkers_wanted){.kind = -1, .format = ROWS_JSON},
		       NULL, &out);
	render_nat(&snap.nat, NAT_ANY_ZONE, 0, ROWS_JSON, &out);
	nat_words(&snap.live, nat);
	BUG_ON(text_failed(&out) || strstr(out.data, "(null)"));
	whatif_free(&result);
	model_free(&model);
}

static void read_everything(off_t cut, bool answers)
{
	struct shm_reader reader;
	int64_t sum = 0;

	BUG_ON(shm_reader_init(&reader, dir, "fuzz") < 0);
	if (shm_reader_refresh(&reader) == 0) {
		/* Cut under the mapping: an error code, not a signal. */
		if (cut)
			BUG_ON(ftruncate(cut_file, cut) < 0);
		if (snapshot_take(&reader, 1, 1, &snap) == 0) {
			for (size_t i = 0; i < snap.row_count; i++)
				sum += snap.rows[i].entries;
			BUG_ON(sum != snap.live.mirror_entries);
			BUG_ON(snap.row_count > ROW_COUNT);
			check_forecast(&snap.forecast);
			if (snapshot_take_detail(&reader, &details) == 0 && answers)
				answer();
		}
		if (snapshot_take_history(&reader, false, &history) == 0)
			BUG_ON(history.sample_count > SHM_HISTORY_SECONDS);
		if (snapshot_take_history(&reader, true, &history) == 0)
			BUG_ON(history.sample_count > SHM_HISTORY_MINUTES);
		if (snapshot_take_pasts(&reader, &pasts) == 0)
			BUG_ON(pasts.count > SHM_PASTS);
	}
	shm_reader_close(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *places[CHANGES_MAX], before[CHANGES_MAX][8];
	unsigned int n = 0;
	uint8_t mood = size ? data[size / 2] : 0;
	off_t cut = size % CHANGE_BYTES == 1 ? 1 + (off_t)data[size - 1] * 65536 : 0;

	cut_file = cut && data[size - 1] & 1 ? hosts_file : file;
	if (cut_file == hosts_file)
		cut = cut / 256 + 1;

	for (; size >= CHANGE_BYTES && n < CHANGES_MAX;
	     n++, data += CHANGE_BYTES, size -= CHANGE_BYTES) {
		places[n] = place(data);
		memcpy(before[n], places[n], 8);
		memcpy(places[n], data + 4, 8);
	}
	if (mood % 64)
		unlock();
	read_everything(cut, mood % 8 == 1);
	if (cut) {
		BUG_ON(ftruncate(file, (off_t)shm_hosts_offset()) < 0);
		BUG_ON(ftruncate(hosts_file, (off_t)(total - shm_hosts_offset())) < 0);
	}
	while (n-- > 0)
		memcpy(places[n], before[n], 8);
	if (cut)
		fill_header();
	return 0;
}
