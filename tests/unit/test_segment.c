// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * agent/segment and lib/shm/{reader,snapshot}: publication, the lock, and a reader
 * that trusts nothing: one broken field a row, files cut or left by the dead.
 */
#include "lib/base/build_info.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/shm/reader.h"
#include "lib/shm/seqlock.h"
#include "lib/shm/snap_detail.h"
#include "lib/shm/snapshot.h"
#include "lib/mirror/histogram.h"
#include "lib/shm/writer.h"

#define S UINT64_C(1000000000)

static char dir[64];
static char path[128];
static char hosts_path[128];
static struct segment segment;
static struct histogram hist;
static struct shm_reader reader;
static struct snapshot snap;
static struct snap_detail details;

static const struct segment_identity identity = {
	.name = "unit", .netns_inode = 4026531840, .now_real_ns = 5 * S, .now_boot_ns = 3 * S};

static int create(struct segment *made, pid_t *ret_pid)
{
	const char *what;

	return segment_create(made, dir, &identity, &what, ret_pid);
}

static int set_up(void **state)
{
	pid_t pid;

	(void)state;
	/* tmpfs, as in production: sparse files cost nothing there. */
	snprintf(dir, sizeof(dir), "%s/conntide-unit-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(dir) || create(&segment, &pid) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/unit.table", dir);
	snprintf(hosts_path, sizeof(hosts_path), "%s/unit.hosts", dir);
	memset(&hist, 0, sizeof(hist));
	histogram_attach(&hist, &segment);
	snapshot_init(&snap);
	return shm_reader_init(&reader, dir, "unit");
}

static int tear_down(void **state)
{
	char name[160];
	static const char *const names[] = {"unit.table", "unit.table.new", "unit.lock",
					    "unit.hosts", "unit.hosts.new"};

	(void)state;
	shm_reader_close(&reader);
	snapshot_free(&snap);
	snap_detail_free(&details);
	segment_close(&segment);
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		snprintf(name, sizeof(name), "%s/%s", dir, names[i]);
		unlink(name);
	}
	return rmdir(dir);
}

static void set(_Atomic int64_t *field, int64_t value)
{
	atomic_store_explicit(field, value, memory_order_relaxed);
}

static void beat(uint64_t boot_ns, int64_t count)
{
	struct shm_live *live = segment_live(&segment);

	seq_write_begin(&live->seq);
	set(&live->heartbeat_boot_ns, (int64_t)boot_ns);
	set(&live->mode, SHM_MODE_FULL);
	set(&live->count_entries, count);
	seq_write_end(&live->seq);
}

static void publish(void)
{
	beat(10 * S, 7);
	assert_int_equal(segment_publish(&segment), 0);
	assert_int_equal(shm_reader_refresh(&reader), 0);
}

static int take(uint64_t now_boot_ns)
{
	return snapshot_take(&reader, now_boot_ns, 99 * S, &snap);
}

static mode_t mode_of_hosts(void)
{
	struct stat st;

	assert_int_equal(stat(hosts_path, &st), 0);
	return st.st_mode & 0777;
}

static void test_nothing_by_name_before_publication(void **state)
{
	struct stat st, hosts;

	(void)state;
	assert_int_equal(shm_reader_refresh(&reader), -ENOENT);
	assert_int_equal(stat(path, &st), -1);
	publish();
	assert_int_equal(stat(path, &st), 0);
	/* Private until the readers are named. */
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(mode_of_hosts(), 0600);
	assert_int_equal(segment_set_readers(&segment, (gid_t)-1), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	/* Without a group to trust, nobody: addresses are not everybody's. */
	assert_int_equal(mode_of_hosts(), 0600);
	assert_int_equal(segment_set_readers(&segment, getgid()), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(mode_of_hosts(), 0640);
	/* Sparse: far less than its size. */
	assert_true((uint64_t)st.st_blocks * 512 < 8u << 20);
	assert_int_equal(stat(hosts_path, &hosts), 0);
	assert_int_equal(segment_bytes(&segment), (st.st_blocks + hosts.st_blocks) * 512);
}

static void test_snapshot_shows_what_was_written(void **state)
{
	struct row_key key = {L4_TCP, DIR_INBOUND, 443};
	uint32_t cell = histogram_place(&hist, key, ST_TCP_TIME_WAIT);

	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		histogram_enter(&hist, cell);
		histogram_count_new(&hist, cell);
	}
	histogram_count_destroyed(&hist, cell, 2000);
	publish();
	assert_int_equal(take(10 * S + S / 2), 0);
	assert_int_equal(snap.agent, SNAP_AGENT_UP);
	assert_int_equal(snap.age_ns, S / 2);
	assert_int_equal(snap.row_count, 1);
	assert_memory_equal(&snap.rows[0].key, &key, sizeof(key));
	assert_int_equal(snap.rows[0].entries, 5);
	assert_int_equal(snap.rows[0].states[ST_TCP_TIME_WAIT], 5);
	assert_int_equal(snap.rows[0].new_entries, 5);
	assert_int_equal(snap.rows[0].slot, -1);
	assert_true(snap.rows[0].mean_lifetime_s == 2.0);
	assert_true(isnan(snap.rows[0].new_per_s));
	assert_int_equal(snap.other[L4_TCP][DIR_INBOUND].new_entries, 5);
	assert_int_equal(snap.live.count_entries, 7);
	/* It agrees with itself, whatever the agent says. */
	assert_int_equal(snap.live.mirror_entries, 5);
	assert_int_equal(snap.live.residual_entries, 2);
	assert_int_equal(snap.netns_inode, 4026531840);
	assert_string_equal(snap.netns_name, "unit");
	assert_string_equal(snap.agent_version, build_version);
	assert_int_equal(snap.agent_pid, getpid());
}

static void test_many_rows(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3000; i++) {
		struct row_key key = {L4_UDP, DIR_FORWARDED, (uint16_t)(i * 21)};

		histogram_enter(&hist, histogram_place(&hist, key, ST_GENERIC_ASSURED));
	}
	publish();
	assert_int_equal(take(10 * S), 0);
	assert_int_equal(snap.row_count, 3000);
	assert_int_equal(snap.live.mirror_entries, 3000);
}

static void test_second_agent_is_refused(void **state)
{
	struct segment second;
	char name[160];
	pid_t pid = 0;

	(void)state;
	assert_int_equal(create(&second, &pid), -EBUSY);
	assert_int_equal(pid, getpid());
	/* It took nothing away from the first. */
	snprintf(name, sizeof(name), "%s.new", path);
	assert_int_equal(access(name, F_OK), 0);
	publish();
	assert_int_equal(create(&second, &pid), -EBUSY);
	assert_int_equal(take(10 * S), 0);
	/* The lock goes with its holder, however it ends. */
	segment_stopped(&segment, 6 * S);
	segment_close(&segment);
	assert_int_equal(create(&segment, &pid), 0);
}

/* A new agent puts a new file in place; the reader changes over, by inode. */
static void test_reader_follows_a_restart(void **state)
{
	uint64_t first;
	pid_t pid;

	(void)state;
	publish();
	assert_int_equal(take(10 * S), 0);
	first = snap.instance_id;
	segment_stopped(&segment, 6 * S);
	segment_close(&segment);
	assert_int_equal(shm_reader_refresh(&reader), 0);
	assert_int_equal(take(10 * S), 0);
	assert_int_equal(snap.agent, SNAP_AGENT_STOPPED);
	assert_int_equal(snap.stopped_real_ns, 6 * S);
	assert_int_equal(create(&segment, &pid), 0);
	assert_int_equal(shm_reader_refresh(&reader), 0);
	assert_int_equal(take(10 * S), 0);
	assert_true(snap.instance_id == first);
	publish();
	assert_int_equal(take(10 * S), 0);
	assert_true(snap.instance_id != first);
	assert_int_equal(snap.agent, SNAP_AGENT_UP);
	/* The name is gone: what is mapped stays in use. */
	unlink(path);
	assert_int_equal(shm_reader_refresh(&reader), 0);
	assert_int_equal(take(10 * S), 0);
}

static void test_unreadable_successor(void **state)
{
	int fd;

	(void)state;
	publish();
	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0 && write(fd, "not a table", 11) == 11);
	close(fd);
	assert_int_equal(shm_reader_refresh(&reader), 0);
	assert_int_equal(take(10 * S), 0);
	/* A reader that starts now has nothing older. */
	shm_reader_close(&reader);
	assert_int_equal(shm_reader_refresh(&reader), -EMSGSIZE);
}

static void test_ages_and_ends(void **state)
{
	struct shm_live *live = segment_live(&segment);

	(void)state;
	publish();
	assert_int_equal(take(10 * S + SNAP_SILENT_NS), 0);
	assert_int_equal(snap.agent, SNAP_AGENT_UP);
	assert_int_equal(take(10 * S + SNAP_SILENT_NS + 1), 0);
	assert_int_equal(snap.agent, SNAP_AGENT_SILENT);
	/* A clock a little behind the writer's is no age. */
	assert_int_equal(take(9 * S), 0);
	assert_int_equal(snap.age_ns, 0);
	/* One far behind is another clock: of its age nothing is known. */
	assert_int_equal(take(10 * S - SNAP_SILENT_NS), 0);
	assert_int_equal(snap.agent, SNAP_AGENT_UP);
	assert_int_equal(take(10 * S - SNAP_SILENT_NS - 1), 0);
	assert_int_equal(snap.agent, SNAP_AGENT_SILENT);
	assert_true(snap.clock_ahead && snap.age_ns == UINT64_MAX);
	set(&live->heartbeat_boot_ns, INT64_MIN);
	assert_int_equal(take(10 * S), 0);
	assert_int_equal(snap.agent, SNAP_AGENT_SILENT);
	set(&live->heartbeat_boot_ns, 10 * S);
	set(&live->mode, SHM_MODE_STARTING);
	assert_int_equal(take(10 * S), 0);
	assert_false(snap.clock_ahead);
	assert_int_equal(snap.agent, SNAP_AGENT_STARTING);
	((struct shm_header *)(void *)segment.base)->boot_id[3] ^= 1;
	assert_int_equal(take(10 * S), 0);
	assert_int_equal(snap.agent, SNAP_AGENT_REBOOTED);
	assert_true(snap.age_ns == UINT64_MAX);
}

/* A writer killed inside a write leaves the counter odd: -EAGAIN, soon. */
static void test_writer_killed_inside_a_write(void **state)
{
	struct timespec from, to;
	pid_t child;
	int status;

	(void)state;
	publish();
	assert_int_equal(take(10 * S), 0);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		seq_write_begin(&segment_live(&segment)->seq);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	clock_gettime(CLOCK_MONOTONIC, &from);
	assert_int_equal(take(10 * S), -EAGAIN);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true(to.tv_sec - from.tv_sec < 5);
	/* The older numbers are still there, and the next writer ends it. */
	assert_int_equal(snap.live.count_entries, 7);
	beat(11 * S, 8);
	assert_int_equal(take(11 * S), 0);
	assert_int_equal(snap.live.count_entries, 8);
	seq_write_begin(&segment_slots(&segment)->seq);
	assert_int_equal(take(11 * S), -EAGAIN);
	seq_write_end(&segment_slots(&segment)->seq);
	assert_int_equal(take(11 * S), 0);
}

/* SIGBUS becomes an error code. */
static void test_file_cut_while_mapped(void **state)
{
	struct snap_history history;

	(void)state;
	/* cmocka has its own handlers around each test and set-up. */
	assert_int_equal(shm_reader_install_guard(), 0);
	publish();
	snap_history_init(&history);
	assert_int_equal(ftruncate(segment.fd, SHM_PAGE_BYTES), 0);
	assert_int_equal(take(10 * S), -EFAULT);
	assert_int_equal(take(10 * S), -EFAULT);
	assert_int_equal(snapshot_take_history(&reader, false, &history), -EFAULT);
	assert_int_equal(shm_reader_refresh(&reader), -EMSGSIZE);
	assert_int_equal(take(10 * S), -ENOENT);
	snap_history_free(&history);
}

static int touch(void *arg)
{
	return *(volatile char *)arg;
}

/* A SIGBUS of somebody else's still kills. */
static void test_other_sigbus_keeps_its_effect(void **state)
{
	int status;
	pid_t child;

	(void)state;
	publish();
	assert_int_equal(ftruncate(segment.fd, SHM_PAGE_BYTES), 0);
	child = fork();
	if (child == 0) {
		shm_reader_install_guard();
		/* Guarded first, so that a guard left armed would show. */
		if (shm_guarded(touch, segment.base + 4 * SHM_PAGE_BYTES) != -EFAULT)
			_exit(1);
		touch(segment.base + 4 * SHM_PAGE_BYTES);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!UNIT_SANITIZED)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	else
		assert_true(!WIFEXITED(status) || WEXITSTATUS(status) > 1);
}

/* --- one broken field a row ----------------------------------------------------- */

struct broken {
	const char *what;
	size_t offset;
	uint8_t bytes;
	uint64_t value;
	int error;
};

#define AT(field) offsetof(struct shm_header, field), sizeof(((struct shm_header *)0)->field)
#define SECTION(i, field)                                                                          \
	offsetof(struct shm_header, sections) + (i) * sizeof(struct shm_section) +                 \
		offsetof(struct shm_section, field),                                               \
		sizeof(((struct shm_section *)0)->field)

static const struct broken table[] = {
	{"magic", AT(magic), 0, -EBADMSG},
	{"magic of another", AT(magic), 0x464c457f, -EBADMSG},
	{"older major", AT(version_major), SHM_VERSION_MAJOR - 1, -EPROTO},
	{"newer major", AT(version_major), SHM_VERSION_MAJOR + 1, -EPROTO},
	{"newer minor", AT(version_minor), SHM_VERSION_MINOR + 1, 0},
	{"total 0", AT(total_bytes), 0, -EMSGSIZE},
	{"total too large", AT(total_bytes), UINT64_MAX, -EMSGSIZE},
	{"not ready", AT(ready), 0, -EAGAIN},
	{"ready otherwise", AT(ready), 1, -EAGAIN},
	{"no sections", AT(section_count), 0, -EMSGSIZE},
	{"too many sections", AT(section_count), 1000, -EMSGSIZE},
	{"cells at 0", SECTION(SHM_SECTION_CELLS, offset_bytes), 0, -EMSGSIZE},
	{"cells odd", SECTION(SHM_SECTION_CELLS, offset_bytes), 8193, -EMSGSIZE},
	{"cells beyond", SECTION(SHM_SECTION_CELLS, offset_bytes), UINT64_MAX - 7, -EMSGSIZE},
	{"cells short", SECTION(SHM_SECTION_CELLS, size_bytes), 8, -EMSGSIZE},
	{"cells huge", SECTION(SHM_SECTION_CELLS, size_bytes), UINT64_MAX, -EMSGSIZE},
	{"rows narrow", SECTION(SHM_SECTION_ROWS, element_bytes), 8, -EMSGSIZE},
	{"rows wide", SECTION(SHM_SECTION_ROWS, element_bytes), 64, -EPROTO},
	{"last section wraps", SECTION(SHM_SECTION_MINUTES, offset_bytes), UINT64_MAX & ~7,
	 -EMSGSIZE},
	{"live beyond", SECTION(SHM_SECTION_LIVE, offset_bytes), UINT64_C(1) << 40, -EMSGSIZE},
};

static void test_one_broken_field_a_row(void **state)
{
	char sentence[512];

	(void)state;
	publish();
	for (size_t i = 0; i < UNIT_COUNT(table); i++) {
		uint8_t before[8];
		const struct broken *row = &table[i];
		int err;

		assert_int_equal(pread(segment.fd, before, row->bytes, (off_t)row->offset),
				 row->bytes);
		assert_int_equal(pwrite(segment.fd, &row->value, row->bytes, (off_t)row->offset),
				 row->bytes);
		shm_reader_close(&reader);
		err = shm_reader_refresh(&reader);
		if (err != row->error)
			fail_msg("%s: %d, expected %d", row->what, err, row->error);
		if (err == 0)
			assert_int_equal(take(10 * S), 0);
		else
			assert_null(reader.base);
		assert_non_null(
			strstr(shm_reader_explain(&reader, err, sentence, sizeof(sentence)), path));
		assert_int_equal(pwrite(segment.fd, before, row->bytes, (off_t)row->offset),
				 row->bytes);
	}
	shm_reader_close(&reader);
	assert_int_equal(shm_reader_refresh(&reader), 0);
}

static int hosts_of(uint64_t taken_boot_ns)
{
	const struct shm_talkers *talkers;

	shm_reader_close(&reader);
	assert_int_equal(shm_reader_refresh(&reader), 0);
	talkers = shm_reader_section(&reader, SHM_SECTION_TALKERS);
	assert_int_equal(peek_u64(&talkers->taken_boot_ns), taken_boot_ns);
	/* The rest is there in any case. */
	assert_int_equal(take(10 * S), 0);
	assert_int_equal(snap.live.count_entries, 7);
	return reader.hosts_error;
}

/* Whoever may not read the hosts, or finds those of another instance, has the rest of the
 * table, no address, and a sentence. */
static void test_hosts_are_a_file_of_their_own(void **state)
{
	char sentence[512], other[160];
	struct shm_hosts_header *header = (void *)(segment.base + shm_hosts_offset());
	struct stat st;

	(void)state;
	assert_int_equal(shm_reader_install_guard(), 0);
	poke_u64(&segment_talkers(&segment)->taken_boot_ns, 99);
	publish();
	assert_int_equal(hosts_of(99), 0);
	assert_string_equal(shm_reader_hosts_explain(&reader, sentence, sizeof(sentence)), "");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, shm_hosts_offset());
	header->instance_id++;
	assert_int_equal(hosts_of(0), -ESTALE);
	header->instance_id--;
	snprintf(other, sizeof(other), "%s/unit.hosts.new", dir);
	assert_int_equal(rename(hosts_path, other), 0);
	assert_int_equal(hosts_of(0), -ENOENT);
	assert_int_equal(symlink(other, hosts_path), 0);
	assert_int_equal(hosts_of(0), -ELOOP);
	assert_int_equal(unlink(hosts_path), 0);
	assert_int_equal(mkdir(hosts_path, 0700), 0);
	assert_int_equal(hosts_of(0), -EMSGSIZE);
	assert_int_equal(rmdir(hosts_path), 0);
	assert_int_equal(rename(other, hosts_path), 0);
	assert_int_equal(hosts_of(99), 0);
	reader.hosts_error = -EACCES;
	assert_non_null(strstr(shm_reader_hosts_explain(&reader, sentence, sizeof(sentence)),
			       "unit.hosts: not allowed"));
	/* Cut while it is mapped: an error code. */
	assert_int_equal(truncate(hosts_path, 4096), 0);
	assert_int_equal(snapshot_take_detail(&reader, &details), -EFAULT);
	assert_int_equal(hosts_of(0), -EMSGSIZE);
}

/* Which reads which: same major, same or newer minor. Else a sentence that names both
 * versions and what to restart, also for a reader that had the table before. */
static void test_versions(void **state)
{
	struct shm_header *header;
	char sentence[512];

	(void)state;
	publish();
	for (unsigned int i = 0; i < 2; i++) {
		struct shm_header *next;
		pid_t pid;

		segment_close(&segment);
		assert_int_equal(create(&segment, &pid), 0);
		next = (void *)segment.base;
		next->version_major = i ? SHM_VERSION_MAJOR - 1 : SHM_VERSION_MAJOR + 1;
		snprintf(next->agent_version, sizeof(next->agent_version), "7.8%s", "\x1b[31m");
		assert_int_equal(segment_publish(&segment), 0);
		assert_int_equal(shm_reader_refresh(&reader), -EPROTO);
		assert_null(reader.base);
		shm_reader_explain(&reader, -EPROTO, sentence, sizeof(sentence));
		assert_non_null(
			strstr(sentence, i ? "an older agent (7.8," : "a newer agent (7.8,"));
		assert_non_null(strstr(sentence,
				       i ? "restart conntide-agent" : "restart conntide-exporter"));
		assert_null(strchr(sentence, 0x1b));
		next->version_major = SHM_VERSION_MAJOR;
		assert_int_equal(shm_reader_refresh(&reader), 0);
	}
	header = (void *)segment.base;
	header->version_minor = SHM_VERSION_MINOR + 1;
	shm_reader_close(&reader);
	assert_int_equal(shm_reader_refresh(&reader), 0);
}

static void test_truncated_at_many_lengths(void **state)
{
	static const off_t lengths[] = {0, 1, 8, 535, 536, 4096, 8192, 1 << 20, 40 << 20};

	(void)state;
	publish();
	for (size_t i = UNIT_COUNT(lengths); i-- > 0;) {
		shm_reader_close(&reader);
		assert_int_equal(ftruncate(segment.fd, lengths[i]), 0);
		assert_int_equal(shm_reader_refresh(&reader), -EMSGSIZE);
	}
}

static void test_things_that_are_no_files(void **state)
{
	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(shm_reader_refresh(&reader), -EMSGSIZE);
	rmdir(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(shm_reader_refresh(&reader), -EMSGSIZE);
	unlink(path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_int_equal(shm_reader_refresh(&reader), -ELOOP);
	unlink(path);
}

/* Anything may stand in it: an error or a snapshot, no crash, no endless loop. */
static void scribble(uint64_t seed)
{
	struct rng rng = rng_seeded(seed);
	struct snap_history history;

	snap_history_init(&history);
	for (unsigned int i = 0; i < 200; i++) {
		uint64_t junk = rng_percent(&rng, 50) ? rng_next(&rng) : UINT64_MAX;
		unsigned int id = rng_below(&rng, SHM_SECTION_COUNT);
		off_t at = rng_percent(&rng, 20) ? (off_t)rng_below(&rng, 536)
						 : (off_t)(segment.sections[id].offset_bytes +
							   rng_below(&rng, 4096));

		assert_int_equal(pwrite(segment.fd, &junk, sizeof(junk), at), sizeof(junk));
	}
	shm_reader_refresh(&reader);
	take(10 * S);
	snapshot_take_history(&reader, rng_percent(&rng, 50), &history);
	shm_reader_close(&reader);
	shm_reader_refresh(&reader);
	snap_history_free(&history);
}

static void test_scribbled(void **state)
{
	(void)state;
	publish();
	unit_seeds("scribbled", 30, scribble);
	/* The agent reads nothing back: it goes on as if nothing had been. */
	struct row_key key = {L4_TCP, DIR_INBOUND, 443};

	histogram_enter(&hist, histogram_place(&hist, key, ST_TCP_TIME_WAIT));
	beat(11 * S, 8);
}

static void append(bool minutes, uint64_t n)
{
	struct shm_history *history = segment_history(&segment, minutes);
	uint64_t slots = minutes ? SHM_HISTORY_MINUTES : SHM_HISTORY_SECONDS;
	uint64_t head = peek_u64(&history->head);

	for (; n > 0; n--, head++) {
		struct shm_sample *sample = &history->samples[head % slots];

		poke_u64(&sample->real_ns, head + 1);
		poke_u32(&sample->count_entries, (uint32_t)head);
		poke_u32(&sample->top[0].row, ROW_INVALID);
		publish_u64(&history->head, head + 1);
	}
}

static void test_history(void **state)
{
	struct snap_history history;

	(void)state;
	snap_history_init(&history);
	publish();
	assert_int_equal(snapshot_take_history(&reader, false, &history), 0);
	assert_int_equal(history.sample_count, 0);
	assert_int_equal(history.interval_ns, S);
	append(false, 10);
	assert_int_equal(snapshot_take_history(&reader, false, &history), 0);
	assert_int_equal(history.sample_count, 10);
	assert_int_equal(history.samples[9].count_entries, 9);
	assert_int_equal(history.samples[0].top[0].entries, 0);
	/* Over the edge: the oldest are gone, and the slot that may be written. */
	append(false, 2 * SHM_HISTORY_SECONDS);
	assert_int_equal(snapshot_take_history(&reader, false, &history), 0);
	assert_int_equal(history.sample_count, SHM_HISTORY_SECONDS - 1);
	for (size_t i = 0; i < history.sample_count; i++)
		assert_int_equal(history.samples[i].real_ns, history.samples[0].real_ns + i);
	assert_int_equal(history.samples[history.sample_count - 1].real_ns,
			 10 + 2 * SHM_HISTORY_SECONDS);
	append(true, 5);
	assert_int_equal(snapshot_take_history(&reader, true, &history), 0);
	assert_int_equal(history.sample_count, 5);
	assert_int_equal(history.interval_ns, 60 * S);
	/* A head that cannot be. */
	publish_u64(&segment_history(&segment, true)->head, UINT64_MAX);
	assert_int_equal(snapshot_take_history(&reader, true, &history), 0);
	assert_true(history.sample_count <= SHM_HISTORY_MINUTES);
	snap_history_free(&history);
}

static void test_bad_directories(void **state)
{
	struct segment other;
	const char *what = NULL;
	char name[512];
	pid_t pid;

	(void)state;
	assert_int_equal(segment_create(&other, "/nonexistent/below", &identity, &what, &pid),
			 -ENOENT);
	assert_non_null(what);
	assert_true(segment_create(&other, "/proc/self", &identity, &what, &pid) < 0);
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	name[0] = '/';
	assert_true(segment_create(&other, name, &identity, &what, &pid) < 0);
	assert_int_equal(shm_reader_init(&reader, name, "unit"), -ENAMETOOLONG);
	reader.base = NULL;
}

/* A set-up given up after the file was made leaves none behind. */
static void test_no_temporary_file_is_left(void **state)
{
	char name[160];
	pid_t pid;

	(void)state;
	snprintf(name, sizeof(name), "%s.new", path);
	assert_int_equal(access(name, F_OK), 0);
	segment_close(&segment);
	assert_int_equal(access(name, F_OK), -1);
	assert_int_equal(create(&segment, &pid), 0);
	publish();
	segment_close(&segment);
	assert_int_equal(access(name, F_OK), -1);
	assert_int_equal(access(path, F_OK), 0);
}

static void test_boot_id_parse(void **state)
{
	static const char *const bad[] = {"",
					  "0",
					  "0123456789abcdef0123456789abcde",
					  "g123456789abcdef0123456789abcdef",
					  "\xff\xff",
					  "0123-4567 89abcdef0123456789abcdef"};
	uint8_t id[16], again[16];

	(void)state;
	assert_int_equal(boot_id_parse("01234567-89ab-cdef-0123-456789ABCDEF\n", id), 0);
	assert_int_equal(boot_id_parse("0123456789abcdef0123456789abcdef", again), 0);
	assert_memory_equal(id, again, sizeof(id));
	assert_int_equal(id[0], 0x01);
	assert_int_equal(id[15], 0xef);
	for (size_t i = 0; i < UNIT_COUNT(bad); i++)
		assert_int_equal(boot_id_parse(bad[i], id), -EINVAL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_by_name_before_publication),
		TEST(test_snapshot_shows_what_was_written),
		TEST(test_many_rows),
		TEST(test_second_agent_is_refused),
		TEST(test_reader_follows_a_restart),
		TEST(test_unreadable_successor),
		TEST(test_ages_and_ends),
		TEST(test_writer_killed_inside_a_write),
		TEST(test_file_cut_while_mapped),
		TEST(test_other_sigbus_keeps_its_effect),
		TEST(test_one_broken_field_a_row),
		TEST(test_hosts_are_a_file_of_their_own),
		TEST(test_versions),
		TEST(test_truncated_at_many_lengths),
		TEST(test_things_that_are_no_files),
		TEST(test_scribbled),
		TEST(test_history),
		TEST(test_bad_directories),
		TEST(test_no_temporary_file_is_left),
		TEST(test_boot_id_parse),
	};

	return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
