// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lib/shm/incident*, agent/incident_write: a segment into a file and back, one broken
 * field a row, files that are none, and what is dropped when there are too many.
 */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/incident/incident_writer.h"
#include "lib/base/crc32.h"
#include "lib/incident/incident_dir.h"
#include "lib/incident/incident_pack.h"
#include "lib/kernel/timeouts.h"
#include "lib/shm/seqlock.h"
#include "lib/shm/snapshot.h"
#include "lib/mirror/histogram.h"
#include "lib/shm/writer.h"

#define S	 UINT64_C(1000000000)
#define EVERYONE ((gid_t)-1)

static char dir[64];
static struct incident_store store;
static int dir_fd; /* the store's */
static struct segment segment;
static struct histogram hist;
static struct shm_reader from;
static uint8_t file[INCIDENT_FILE_MAX];
static size_t file_bytes;

static const struct segment_identity identity = {
	.name = "unit", .netns_inode = 4026531840, .now_real_ns = 5 * S, .now_boot_ns = 3 * S};

static struct incident_head a_head(unsigned int second, int stage)
{
	struct incident_head head = {.stage = stage,
				     .began_real_ns = (1764000000 + second) * S,
				     .taken_real_ns = (1764000000 + second + stage) * S,
				     .taken_boot_ns = 10 * S,
				     .entries = 900,
				     .limit_entries = 1000,
				     .limit_kind = SHM_LIMIT_MAX,
				     .version_major = SHM_VERSION_MAJOR,
				     .top_row = ROW_INVALID,
				     .top_cell = CELL_INVALID};

	incident_id_make(head.began_real_ns, 0xabcdef01, head.id);
	for (int i = 0; i <= stage; i++)
		head.stage_real_ns[i] = (1764000000 + second + i) * S;
	return head;
}

static int set_up(void **state)
{
	const char *what;
	pid_t pid;

	(void)state;
	snprintf(dir, sizeof(dir), "%s/conntide-unit-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(dir) || segment_create(&segment, dir, &identity, &what, &pid) < 0)
		return -1;
	memset(&hist, 0, sizeof(hist));
	histogram_attach(&hist, &segment);
	segment_reader(&segment, &from);
	incident_store_init(&store, dir, "unit", EVERYONE);
	if (incident_store_open(&store) < 0)
		return -1;
	dir_fd = store.dir_fd;
	return 0;
}

static void empty(int fd)
{
	DIR *open = fdopendir(dup(fd));
	struct dirent *entry;

	rewinddir(open);
	while ((entry = readdir(open)))
		if (unlinkat(fd, entry->d_name, 0) < 0)
			unlinkat(fd, entry->d_name, AT_REMOVEDIR);
	closedir(open);
}

static int tear_down(void **state)
{
	char name[160];
	int fd = open(dir, O_RDONLY | O_DIRECTORY);

	(void)state;
	segment_close(&segment);
	empty(dir_fd);
	incident_store_close(&store);
	snprintf(name, sizeof(name), "%s/unit" INCIDENT_DIR_SUFFIX, dir);
	rmdir(name);
	empty(fd);
	close(fd);
	return rmdir(dir);
}

/* --- there and back ---------------------------------------------------------------- */

static void enter(unsigned int l4proto, unsigned int direction, uint16_t port, unsigned int state,
		  unsigned int times)
{
	struct row_key key = {(uint8_t)l4proto, (uint8_t)direction, port};
	uint32_t cell = histogram_place(&hist, key, state);

	for (unsigned int i = 0; i < times; i++) {
		histogram_enter(&hist, cell);
		histogram_count_new(&hist, cell);
	}
}

static void scribble(void *at, uint64_t bytes, uint64_t seed)
{
	struct rng rng = rng_seeded(seed);
	_Atomic uint64_t *words = at;

	/* With gaps of every length, as there are. The lock stays free. */
	for (uint64_t i = 1; i < bytes / 8; i++)
		if (rng_percent(&rng, 40))
			poke_u64(&words[i], rng_next(&rng));
}

static void live(int64_t count, int64_t mirror)
{
	struct shm_live *to = segment_live(&segment);

	seq_write_begin(&to->seq);
	atomic_store(&to->heartbeat_boot_ns, (int64_t)(9 * S));
	atomic_store(&to->mode, SHM_MODE_FULL);
	atomic_store(&to->count_entries, count);
	atomic_store(&to->max_entries, 1000);
	atomic_store(&to->mirror_entries, mirror);
	atomic_store(&to->residual_entries, count - mirror);
	atomic_store(&to->rate_mark_boot_ns_0, (int64_t)(1 * S));
	atomic_store(&to->rate_mark_boot_ns_1, (int64_t)(5 * S));
	atomic_store(&to->stat_drop, 77);
	seq_write_end(&to->seq);
}

static void add_seconds(unsigned int count)
{
	struct shm_history *history = segment_history(&segment, false);

	for (unsigned int i = 0; i < count; i++) {
		uint64_t head = peek_u64(&history->head);
		struct shm_sample *sample = &history->samples[head % SHM_HISTORY_SECONDS];

		poke_u64(&sample->real_ns, (head + 1) * S);
		poke_u32(&sample->count_entries, (uint32_t)head);
		poke_u32(&sample->top[0].row, 443);
		poke_u32(&sample->top[0].entries, 5);
		publish_u64(&history->head, head + 1);
	}
}

static void fill(void)
{
	struct shm_table_log *frames = segment_frames(&segment, false);

	enter(L4_TCP, DIR_OUTBOUND, 8080, ST_TCP_TIME_WAIT, 300);
	enter(L4_TCP, DIR_OUTBOUND, 8080, ST_TCP_ESTABLISHED, 20);
	enter(L4_TCP, DIR_INBOUND, 0, ST_TCP_SYN_SENT, 3);
	enter(L4_UDP, DIR_FORWARDED, 53, ST_GENERIC_REPLIED, 100);
	enter(L4_ICMP, DIR_LOOPBACK, 0, ST_GENERIC_UNREPLIED, 1);
	live(430, 424);
	add_seconds(SHM_HISTORY_SECONDS + 100);
	scribble(segment_talkers(&segment), sizeof(struct shm_talkers), 1);
	scribble(segment_forecast(&segment), sizeof(struct shm_forecast), 2);
	scribble(segment_timeouts(&segment), TIMEOUT_COUNT * 4 / 8 * 8, 3);
	for (unsigned int i = 0; i < 5; i++)
		scribble(&frames->frames[i], sizeof(struct shm_frame), 4 + i);
	publish_u64(&frames->head, 5);
	poke_u32(&segment_details(&segment)[3].row,
		 row_of((struct row_key){L4_TCP, DIR_OUTBOUND, 8080}));
	scribble(&segment_details(&segment)[3].ends, sizeof(struct shm_detail) - 16, 9);
}

static void pack(int stage)
{
	struct incident_head head = a_head(0, stage);

	assert_int_equal(incident_pack(&from, &head, file, &file_bytes), 0);
}

static void assert_same_section(const struct incident_image *image, enum shm_section_id id,
				uint64_t offset, uint64_t bytes)
{
	const char *was = shm_reader_section(&from, id),
		   *is = shm_reader_section(&image->reader, id);

	if (memcmp(was + offset, is + offset, bytes) != 0)
		fail_msg("section %d differs", id);
}

static void test_there_and_back(void **state)
{
	struct incident_image image;
	struct snapshot was, is;
	struct snap_history history;

	(void)state;
	fill();
	pack(INCIDENT_DROPS);
	snapshot_init(&was);
	snapshot_init(&is);
	snap_history_init(&history);
	boot_id_read(from.boot_id);
	assert_int_equal(snapshot_take(&from, 10 * S, 99 * S, &was), 0);
	assert_int_equal(incident_image_open(&image, file, file_bytes), 0);
	assert_int_equal(incident_snapshot(&image, &is), 0);
	assert_int_equal(is.agent, SNAP_AGENT_UP);
	assert_int_equal(is.age_ns, S);
	assert_memory_equal(&is.live, &was.live, sizeof(is.live));
	assert_int_equal(is.row_count, was.row_count);
	assert_int_equal(is.row_count, 4);
	for (size_t i = 0; i < is.row_count; i++) {
		assert_memory_equal(&is.rows[i].key, &was.rows[i].key, sizeof(is.rows[i].key));
		assert_memory_equal(is.rows[i].states, was.rows[i].states,
				    sizeof(is.rows[i].states));
		assert_int_equal(is.rows[i].new_entries, was.rows[i].new_entries);
		assert_true(is.rows[i].new_per_s > 0);
		assert_memory_equal(&is.rows[i].new_per_s, &was.rows[i].new_per_s, sizeof(double));
		assert_int_equal(is.rows[i].slot, -1);
	}
	assert_string_equal(is.netns_name, "unit");
	assert_int_equal(is.instance_id, was.instance_id);
	assert_int_equal(snapshot_take_history(&image.reader, false, &history), 0);
	assert_int_equal(history.sample_count, INCIDENT_SECONDS);
	assert_int_equal(history.samples[INCIDENT_SECONDS - 1].count_entries,
			 SHM_HISTORY_SECONDS + 99);
	assert_int_equal(history.samples[0].top[0].key.port, 443);
	assert_same_section(&image, SHM_SECTION_TALKERS, 0, sizeof(struct shm_talkers));
	assert_same_section(&image, SHM_SECTION_FORECAST, 0, sizeof(struct shm_forecast));
	assert_same_section(&image, SHM_SECTION_TIMEOUTS, 0, TIMEOUT_COUNT * 4);
	assert_same_section(&image, SHM_SECTION_FRAMES_SHORT, 0, 16 + 5 * sizeof(struct shm_frame));
	assert_same_section(&image, SHM_SECTION_FRAMES_LONG, 0, 16);
	assert_same_section(&image, SHM_SECTION_DETAILS, 0, shm_section_bytes(SHM_SECTION_DETAILS));
	incident_image_close(&image);
	snap_history_free(&history);
	snapshot_free(&was);
	snapshot_free(&is);
}

static void test_culprit(void **state)
{
	struct incident_head head;
	struct row_key key;
	unsigned int which;

	(void)state;
	pack(INCIDENT_HIGH);
	assert_int_equal(incident_check_head(file, file_bytes, file_bytes, &head), 0);
	assert_int_equal(head.top_cell, CELL_INVALID);
	assert_int_equal(head.top_row, ROW_INVALID);
	fill();
	pack(INCIDENT_HIGH);
	assert_int_equal(incident_check_head(file, file_bytes, file_bytes, &head), 0);
	assert_true(cell_key_of(head.top_cell, &key, &which));
	assert_int_equal(key.port, 8080);
	assert_int_equal(which, ST_TCP_TIME_WAIT);
	assert_int_equal(head.top_cell_entries, 300);
	assert_int_equal(head.top_row_entries, 320);
	assert_int_equal(head.rows_active, 4);
	assert_int_equal(head.entries_kept, 424);
	assert_int_equal(head.left_out, 0);
}

/* A scan over all ports: bounded, the largest are kept, and the sum is that of all. */
static void test_more_rows_than_are_kept(void **state)
{
	const uint32_t rows = 20000;
	struct incident_image image;
	struct snapshot is;
	uint64_t kept = 0;

	(void)state;
	for (uint32_t port = 1; port <= rows; port++)
		enter(L4_TCP, DIR_FORWARDED, port, ST_TCP_SYN_SENT, port % 7 + 1);
	enter(L4_TCP, DIR_FORWARDED, 9, ST_TCP_SYN_SENT, 1000);
	live(90000, 80000);
	pack(INCIDENT_CRITICAL);
	assert_true(file_bytes < INCIDENT_FILE_MAX / 2);
	assert_int_equal(incident_image_open(&image, file, file_bytes), 0);
	assert_int_equal(image.head.rows_active, rows);
	assert_int_equal(image.head.rows_kept, INCIDENT_ROWS);
	snapshot_init(&is);
	assert_int_equal(incident_snapshot(&image, &is), 0);
	assert_int_equal(is.row_count, INCIDENT_ROWS);
	for (size_t i = 0; i < is.row_count; i++) {
		kept += is.rows[i].entries;
		assert_true(is.rows[i].entries >= 7);
	}
	assert_int_equal(kept, image.head.entries_kept);
	assert_int_equal(is.live.mirror_entries, 80000);
	assert_int_equal(is.live.residual_entries, 10000);
	incident_image_close(&image);
	snapshot_free(&is);
}

/* Everything there can be, none of it 0. */
static void test_size_is_bounded(void **state)
{
	static const enum shm_section_id full[] = {
		SHM_SECTION_TALKERS, SHM_SECTION_FORECAST,     SHM_SECTION_SECONDS,
		SHM_SECTION_MINUTES, SHM_SECTION_FRAMES_SHORT, SHM_SECTION_FRAMES_LONG,
		SHM_SECTION_PASTS,   SHM_SECTION_DETAILS,      SHM_SECTION_LIFETIMES};
	struct incident_image image;
	struct rng rng = rng_seeded(1);

	(void)state;
	for (uint32_t port = 1; port < 60000; port += 7)
		for (unsigned int i = 0; i < 12; i++)
			enter(L4_TCP, rng_below(&rng, 4), port, i, 1);
	for (size_t i = 0; i < UNIT_COUNT(full); i++) {
		_Atomic uint64_t *words =
			(void *)(segment.base + segment.sections[full[i]].offset_bytes);

		for (uint64_t w = 2; w < segment.sections[full[i]].size_bytes / 8; w++)
			poke_u64(&words[w], rng_next(&rng) | 1);
		publish_u64(words, 1u << 20);
	}
	for (uint32_t i = 0; i < SHM_DETAILS; i++)
		poke_u32(&segment_details(&segment)[i].row,
			 row_of((struct row_key){L4_TCP, rng_below(&rng, 4), 1 + 7 * i}));
	live(100000, 100000);
	pack(INCIDENT_DROPS);
	assert_true(file_bytes <= INCIDENT_FILE_MAX);
	assert_true(file_bytes > INCIDENT_FILE_MAX / 4);
	assert_int_equal(incident_image_open(&image, file, file_bytes), 0);
	incident_image_close(&image);
}

/* A writer that died inside a write: an error, and not for ever. */
static void test_lock_left_taken(void **state)
{
	struct incident_head head = a_head(0, INCIDENT_HIGH);

	(void)state;
	seq_write_begin(&segment_live(&segment)->seq);
	assert_int_equal(incident_pack(&from, &head, file, &file_bytes), -EAGAIN);
}

/* --- what is no incident -------------------------------------------------------------- */

static void reseal(void)
{
	struct incident_head head;

	memcpy(&head, file, sizeof(head));
	incident_seal(&head, file + sizeof(head), file_bytes - sizeof(head));
	memcpy(file, &head, sizeof(head));
}

static int open_error(size_t bytes)
{
	struct incident_image image;
	int err = incident_image_open(&image, file, bytes);

	if (!err)
		incident_image_close(&image);
	return err;
}

#define HEAD(field, value, seal, error)                                                            \
	{                                                                                          \
#field " = " #value, offsetof(struct incident_head, field),                        \
			sizeof(((struct incident_head *)0)->field), value, seal, error             \
	}

static const struct {
	const char *what;
	size_t offset, bytes;
	uint64_t value;
	bool seal;
	int error;
} broken[] = {
	HEAD(magic, 0, false, -EBADMSG),
	HEAD(format, 2, false, -EPROTO),
	HEAD(head_crc32, 1, false, -EILSEQ),
	HEAD(body_crc32, 1, false, -EILSEQ),
	HEAD(drops, 1, false, -EILSEQ),
	HEAD(stage, INCIDENT_STAGES, true, -EINVAL),
	HEAD(limit_kind, SHM_LIMIT_COUNT, true, -EINVAL),
	HEAD(rows_kept, INCIDENT_ROWS + 1, true, -EINVAL),
	HEAD(top_row, ROW_COUNT, true, -EINVAL),
	HEAD(top_row, 5, true, -EINVAL),
	HEAD(top_cell, CELL_COUNT, true, -EINVAL),
	HEAD(version_major, SHM_VERSION_MAJOR + 1, true, -EPROTO),
	{"id of another form", offsetof(struct incident_head, id), 1, '/', true, -EINVAL},
	{"id without an end", offsetof(struct incident_head, id) + 25, 1, 'x', true, -EINVAL},
	{"name that speaks to terminals", offsetof(struct incident_head, netns_name), 1, 27, true,
	 -EINVAL},
	{"version that is not text", offsetof(struct incident_head, agent_version), 1, 0x80, true,
	 -EINVAL},
	{"piece of no section", sizeof(struct incident_head), 4, SHM_SECTION_COUNT, true, -EINVAL},
	{"piece of another section", sizeof(struct incident_head), 4, SHM_SECTION_TIMEOUTS, true,
	 -EINVAL},
	{"piece longer than the file", sizeof(struct incident_head) + 4, 4, 1u << 30, true,
	 -EINVAL},
	{"piece of odd length", sizeof(struct incident_head) + 4, 4, 9, true, -EINVAL},
	{"piece at an odd place", sizeof(struct incident_head) + 8, 8, 4, true, -EINVAL},
	{"piece beyond its section", sizeof(struct incident_head) + 8, 8, 8, true, -EINVAL},
	{"piece far beyond", sizeof(struct incident_head) + 8, 8, UINT64_MAX - 7, true, -EINVAL},
	{"lock left taken", sizeof(struct incident_head) + 16, 8, 3, true, -EINVAL},
};

static void test_broken_fields(void **state)
{
	static uint8_t good[INCIDENT_FILE_MAX];

	(void)state;
	fill();
	pack(INCIDENT_DROPS);
	memcpy(good, file, file_bytes);
	assert_int_equal(open_error(file_bytes), 0);
	for (size_t i = 0; i < UNIT_COUNT(broken); i++) {
		int err;

		memcpy(file + broken[i].offset, &broken[i].value, broken[i].bytes);
		if (broken[i].seal)
			reseal();
		err = open_error(file_bytes);
		if (err != broken[i].error)
			fail_msg("%s: %d, expected %d", broken[i].what, err, broken[i].error);
		assert_true(strlen(incident_explain(err)) > 10);
		memcpy(file, good, file_bytes);
	}
}

static void test_lengths(void **state)
{
	(void)state;
	fill();
	pack(INCIDENT_DROPS);
	for (size_t bytes = 0; bytes < file_bytes; bytes += 1 + bytes / 50)
		assert_int_equal(open_error(bytes), -EMSGSIZE);
	assert_int_equal(open_error(file_bytes - 1), -EMSGSIZE);
	assert_int_equal(open_error(file_bytes + 1), -EMSGSIZE);
	/* A body that ends within a piece, with right lengths and sums. */
	file_bytes -= 8;
	reseal();
	assert_int_equal(open_error(file_bytes), -EINVAL);
	file_bytes = sizeof(struct incident_head) + 8;
	reseal();
	assert_int_equal(open_error(file_bytes), -EINVAL);
}

/* Rows cost memory: as many as were ever written, no more. */
static void test_too_many_rows(void **state)
{
	struct incident_piece piece = {SHM_SECTION_ROWMAP, 8 * 64, 0};

	(void)state;
	pack(INCIDENT_HIGH);
	memcpy(file + file_bytes, &piece, sizeof(piece));
	memset(file + file_bytes + sizeof(piece), 0xff, piece.size_bytes);
	file_bytes += sizeof(piece) + piece.size_bytes;
	reseal();
	assert_int_equal(open_error(file_bytes), -EINVAL);
}

/* A later minor version has more: what is known is read. */
static void test_newer_minor(void **state)
{
	struct incident_piece pieces[2] = {
		{SHM_SECTION_COUNT + 3, 0, 800},
		{SHM_SECTION_LIVE, 0, (sizeof(struct shm_live) + 80) & ~7ull}};
	uint16_t minor = SHM_VERSION_MINOR + 1;

	(void)state;
	pack(INCIDENT_HIGH);
	memcpy(file + file_bytes, pieces, sizeof(pieces));
	file_bytes += sizeof(pieces);
	reseal();
	assert_int_equal(open_error(file_bytes), -EINVAL);
	memcpy(file + offsetof(struct incident_head, version_minor), &minor, 2);
	reseal();
	assert_int_equal(open_error(file_bytes), 0);
}

static void test_names(void **state)
{
	static const char *const bad[] = {"",
					  ".",
					  "..",
					  "../../etc/passwd",
					  "20261123T235959Z-89abcde",
					  "20261123T235959Z-89abcdefg",
					  "20261123T235959Z-89ABCDEF",
					  "20261123t235959Z-89abcdef",
					  "20261123T235959Z_89abcdef",
					  "2026112/T235959Z-89abcdef",
					  "20261123T235959Z-89abcde/"};
	char id[INCIDENT_ID_BYTES], name[INCIDENT_NAME_BYTES], again[INCIDENT_ID_BYTES];
	unsigned int stage;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(bad); i++)
		assert_false(incident_id_good(bad[i]));
	incident_id_make(UINT64_C(1764000000000000000), 0xabcdef01, id);
	assert_string_equal(id, "20251124T160000Z-abcdef01");
	incident_id_make(UINT64_MAX, UINT32_MAX, id);
	assert_true(incident_id_good(id));
	for (unsigned int i = 0; i < INCIDENT_STAGES; i++) {
		incident_file_name(id, i, name);
		assert_true(incident_name_parse(name, again, &stage));
		assert_string_equal(again, id);
		assert_int_equal(stage, i);
		assert_int_equal(incident_stage_by_name(incident_stage_name(i)), i);
		name[strlen(name) - 1] = 'T';
		assert_false(incident_name_parse(name, again, &stage));
	}
	assert_false(incident_name_parse("20251124T160000Z-abcdef01.incident", again, &stage));
	assert_false(incident_name_parse("20251124T160000Z-abcdef01.x.incident", again, &stage));
	assert_int_equal(incident_stage_by_name("worst"), -1);
	assert_null(incident_stage_name(INCIDENT_STAGES));
	assert_int_equal(crc32_bytes(0, "123456789", 9), 0xcbf43926);
	assert_int_equal(crc32_bytes(crc32_bytes(0, "1234", 4), "56789", 5), 0xcbf43926);
}

/* --- the directory ----------------------------------------------------------------------- */

static struct incident_limits limits = {.max_count = 8, .max_bytes = 1u << 30, .readers = EVERYONE};

static void keep(unsigned int second, int stage)
{
	struct incident_head head = a_head(second, stage);
	struct incident_written kept;

	incident_seal(&head, NULL, 0);
	assert_int_equal(incident_write_file(dir_fd, &head, &head, sizeof(head), EVERYONE), 0);
	assert_int_equal(incident_trim(dir_fd, &limits, head.id, &kept), 0);
}

static bool has(unsigned int second)
{
	struct incident_list list;
	struct incident_head head = a_head(second, 0);
	bool found;

	assert_int_equal(incident_list_read(&list, dir_fd), 0);
	found = incident_find(&list, head.id) != NULL;
	incident_list_free(&list);
	return found;
}

static void test_list(void **state)
{
	struct incident_list list;
	const struct incident_item *item;
	uint8_t boot_id[16] = {0};

	(void)state;
	keep(10, INCIDENT_HIGH);
	keep(10, INCIDENT_DROPS);
	keep(10, INCIDENT_RECOVERED);
	keep(20, INCIDENT_HIGH);
	keep(30, INCIDENT_CRITICAL);
	assert_int_equal(incident_list_read(&list, dir_fd), 0);
	assert_int_equal(list.count, 3);
	assert_int_equal(list.bad_count, 0);
	assert_int_equal(list.size_bytes, 5 * sizeof(struct incident_head));
	item = &list.items[2];
	assert_int_equal(item->stages,
			 1u << INCIDENT_HIGH | 1u << INCIDENT_DROPS | 1u << INCIDENT_RECOVERED);
	assert_int_equal(item->last.stage, INCIDENT_RECOVERED);
	assert_int_equal(item->worst.stage, INCIDENT_DROPS);
	assert_int_equal(item->size_bytes, 3 * sizeof(struct incident_head));
	assert_string_equal(incident_state(item, boot_id), "over");
	assert_string_equal(incident_state(&list.items[1], boot_id), "cut-off");
	assert_string_equal(incident_state(&list.items[0], boot_id), "open");
	boot_id[3] = 1;
	assert_string_equal(incident_state(&list.items[0], boot_id), "cut-off");
	incident_list_free(&list);
}

static void put(const char *name, const void *data, size_t bytes)
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, bytes), bytes);
	close(fd);
}

/* Cut, foreign, renamed, linked, of the wrong kind: named with a reason, and the good ones
 * are served. */
static void test_strangers(void **state)
{
	static const char *const names[] = {"20260101T000000Z-00000001.high.incident",
					    "20260101T000000Z-00000002.high.incident",
					    "20260101T000000Z-00000003.high.incident",
					    "20260101T000000Z-00000004.high.incident",
					    "20260101T000000Z-00000005.high.incident",
					    "x\033[2J.incident"};
	struct incident_head head = a_head(10, INCIDENT_HIGH);
	struct incident_list list;
	struct incident_image image;

	(void)state;
	keep(10, INCIDENT_HIGH);
	incident_seal(&head, NULL, 0);
	put(names[0], "", 0);
	put(names[1], &head, sizeof(head)); /* another's */
	put(names[2], &head, 100);
	assert_int_equal(mkfifoat(dir_fd, names[3], 0644), 0);
	assert_int_equal(symlinkat("/etc/passwd", dir_fd, names[4]), 0);
	put(names[5], "x", 1);
	put("README", "x", 1);
	assert_int_equal(incident_list_read(&list, dir_fd), 0);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.bad_count, UNIT_COUNT(names));
	for (size_t i = 0; i < list.bad_count; i++) {
		assert_null(strchr(list.bad[i].name, '\033'));
		assert_true(strlen(incident_explain(list.bad[i].error)) > 10);
	}
	assert_int_equal(incident_load(&image, dir_fd, "20260101T000000Z-00000001", 0), -EMSGSIZE);
	assert_int_equal(incident_load(&image, dir_fd, "20260101T000000Z-00000002", 0), -EINVAL);
	assert_int_equal(incident_load(&image, dir_fd, "20260101T000000Z-00000004", 0), -EBADMSG);
	assert_int_equal(incident_load(&image, dir_fd, "20260101T000000Z-00000005", 0), -ELOOP);
	assert_int_equal(incident_load(&image, dir_fd, "../x", 0), -ENOENT);
	assert_int_equal(incident_load(&image, dir_fd, head.id, 1), -ENOENT);
	incident_list_free(&list);
}

static void test_too_many(void **state)
{
	struct incident_list list;

	(void)state;
	keep(1, INCIDENT_DROPS);
	for (unsigned int i = 2; i <= 8; i++)
		keep(i, i == 4 ? INCIDENT_CRITICAL : INCIDENT_HIGH);
	assert_true(has(1) && has(2));
	/* The mildest go, the oldest first; the old one with drops stays. */
	keep(9, INCIDENT_HIGH);
	assert_false(has(2));
	for (unsigned int i = 10; i < 40; i++)
		keep(i, INCIDENT_HIGH);
	assert_true(has(1) && has(4) && has(39) && has(38) && !has(33));
	assert_int_equal(incident_list_read(&list, dir_fd), 0);
	assert_int_equal(list.count, limits.max_count);
	incident_list_free(&list);
}

static void test_too_large(void **state)
{
	const struct incident_limits small = {
		.max_count = 8, .max_bytes = 3 * sizeof(struct incident_head), .readers = EVERYONE};
	struct incident_written kept;
	struct incident_head head = a_head(6, 0);

	(void)state;
	for (unsigned int i = 1; i <= 6; i++)
		keep(i, i == 2 ? INCIDENT_DROPS : INCIDENT_HIGH);
	put("20260101T000000Z-00000001.high.incident", "damaged", 7);
	put("mine", "not an incident", 15);
	assert_int_equal(incident_trim(dir_fd, &small, head.id, &kept), 0);
	assert_int_equal(kept.kept, 3);
	assert_true(kept.kept_bytes <= small.max_bytes);
	assert_true(has(2) && has(5) && has(6));
	assert_int_equal(faccessat(dir_fd, "mine", F_OK, 0), 0);
	assert_int_equal(faccessat(dir_fd, "20260101T000000Z-00000001.high.incident", F_OK, 0), -1);
}

static int open_store(const char *state_dir, const char *name)
{
	struct incident_store other;
	int err;

	incident_store_init(&other, state_dir, name, EVERYONE);
	err = incident_store_open(&other);
	incident_store_close(&other);
	return err;
}

/* A second agent on the same directory is refused; leftovers of a crash are not in the way. */
static void test_one_writer(void **state)
{
	(void)state;
	assert_int_equal(open_store(dir, "unit"), -EBUSY);
	assert_int_equal(open_store(dir, "../x"), -EINVAL);
	assert_int_equal(open_store("/nowhere/at/all", "unit"), -ENOENT);
	put("writing.new", "half a fi", 9);
	keep(1, INCIDENT_HIGH);
	assert_true(has(1));
	assert_int_equal(faccessat(dir_fd, "writing.new", F_OK, 0), -1);
}

static void test_writer(void **state)
{
	struct incident_head head = a_head(50, INCIDENT_DROPS);
	struct incident_written written;
	struct incident_writer *writer;
	struct incident_image image;
	struct incident_store its = store;
	int waited = 0;

	(void)state;
	fill();
	its.dir_fd = dup(store.dir_fd);
	its.lock_fd = dup(store.lock_fd);
	assert_int_equal(incident_writer_probe(&its), 0);
	assert_int_equal(incident_writer_create(&writer, &its, &from, &limits), 0);
	assert_false(incident_writer_collect(writer, &written));
	assert_true(incident_writer_post(writer, &head));
	/* One at a time: until the answer was taken. */
	assert_false(incident_writer_post(writer, &head));
	while (!incident_writer_collect(writer, &written) && waited++ < 3000)
		nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	assert_int_equal(written.err, 0);
	assert_int_equal(written.stage, INCIDENT_DROPS);
	assert_int_equal(written.kept, 1);
	assert_int_equal(incident_load(&image, dir_fd, head.id, INCIDENT_DROPS), 0);
	assert_int_equal(image.head.top_row_entries, 320);
	incident_image_close(&image);
	/* What was posted is finished before the end. */
	head = a_head(60, INCIDENT_HIGH);
	assert_true(incident_writer_post(writer, &head));
	incident_writer_destroy(writer);
	assert_true(has(60));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_there_and_back),
		TEST(test_culprit),
		TEST(test_more_rows_than_are_kept),
		TEST(test_size_is_bounded),
		TEST(test_lock_left_taken),
		TEST(test_broken_fields),
		TEST(test_lengths),
		TEST(test_too_many_rows),
		TEST(test_newer_minor),
		cmocka_unit_test(test_names),
		TEST(test_list),
		TEST(test_strangers),
		TEST(test_too_many),
		TEST(test_too_large),
		TEST(test_one_writer),
		TEST(test_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
