// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/shm/writer: the segment's files, lock and directory when others lay hands on them. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mirror/histogram.h"
#include "lib/shm/reader.h"
#include "lib/shm/seqlock.h"
#include "lib/shm/snapshot.h"
#include "lib/shm/writer.h"

#define S UINT64_C(1000000000)

static const struct segment_identity identity = {.name = "unit", .now_real_ns = S};
static char dir[64];
static struct segment segment;
static struct histogram hist;
static struct shm_reader reader;
static struct snapshot snap;

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
	memset(&hist, 0, sizeof(hist));
	histogram_attach(&hist, &segment);
	snapshot_init(&snap);
	return shm_reader_init(&reader, dir, "unit");
}

static int tear_down(void **state)
{
	static const char *const names[] = {"table", "table.new", "lock", "hosts", "hosts.new"};
	char name[160];

	(void)state;
	shm_reader_close(&reader);
	snapshot_free(&snap);
	segment_close(&segment);
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		snprintf(name, sizeof(name), "%s/unit.%s", dir, names[i]);
		unlink(name);
	}
	return rmdir(dir);
}

static void publish(void)
{
	struct shm_live *live = segment_live(&segment);

	atomic_store_explicit(&live->heartbeat_boot_ns, 10 * S, memory_order_relaxed);
	assert_int_equal(segment_publish(&segment), 0);
	assert_int_equal(shm_reader_refresh(&reader), 0);
}

static int take(uint64_t now_ns)
{
	return snapshot_take(&reader, now_ns, S, &snap);
}

static void remove_file(const char *what)
{
	char name[160];

	snprintf(name, sizeof(name), "%s/unit.%s", dir, what);
	assert_int_equal(unlink(name), 0);
}

/* A lock that any local user takes on an earlier version's file stops nobody. */
static void test_lock_of_a_stranger(void **state)
{
	char name[160];
	struct stat st;
	int foreign;
	pid_t pid;

	(void)state;
	snprintf(name, sizeof(name), "%s/unit.lock", dir);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	segment_close(&segment);
	assert_int_equal(chmod(name, 0644), 0);
	foreign = open(name, O_RDONLY);
	assert_int_equal(flock(foreign, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(create(&segment, &pid), 0);
	close(foreign);
}

/* Removed by somebody while the agent runs: there again, with what it knew. */
static void test_removed_files_come_back(void **state)
{
	struct row_key key = {L4_TCP, DIR_INBOUND, 80};
	static const char *const files[] = {"table", "hosts", "lock"};
	uint64_t first;
	pid_t pid;

	(void)state;
	histogram_enter(&hist, histogram_place(&hist, key, ST_TCP_ESTABLISHED));
	publish();
	assert_int_equal(take(10 * S), 0);
	first = snap.instance_id;
	assert_int_equal(segment_keep(&segment, &pid), 0);
	for (size_t i = 0; i < UNIT_COUNT(files); i++) {
		remove_file(files[i]);
		assert_int_equal(segment_keep(&segment, &pid), 1);
		assert_int_equal(segment_keep(&segment, &pid), 0);
		/* It is the same agent, and goes on writing. */
		histogram_enter(&hist, histogram_place(&hist, key, ST_TCP_ESTABLISHED));
		assert_int_equal(shm_reader_refresh(&reader), 0);
		assert_int_equal(take(10 * S), 0);
		assert_true(snap.instance_id == first);
		assert_int_equal(snap.live.mirror_entries, 2 + i);
	}
}

static void test_removed_directory_comes_back(void **state)
{
	pid_t pid;

	(void)state;
	publish();
	remove_file("table");
	remove_file("hosts");
	remove_file("lock");
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(segment_keep(&segment, &pid), 1);
	assert_int_equal(shm_reader_refresh(&reader), 0);
	assert_int_equal(take(10 * S), 0);
	/* What cannot be made again is told. */
	remove_file("table");
	remove_file("hosts");
	remove_file("lock");
	assert_int_equal(rmdir(dir), 0);
	close(open(dir, O_CREAT | O_WRONLY, 0600));
	assert_true(segment_keep(&segment, &pid) < 0);
	unlink(dir);
	assert_int_equal(mkdir(dir, 0755), 0);
}

/* Another agent has taken the name after the files were removed: it is left alone. */
static void test_another_agent_has_the_name(void **state)
{
	struct segment second;
	pid_t pid;

	(void)state;
	publish();
	remove_file("lock");
	assert_int_equal(create(&second, &pid), 0);
	assert_int_equal(segment_keep(&segment, &pid), -EBUSY);
	assert_int_equal(pid, getpid());
	segment_close(&second);
}

/* For a user that may not write the directory the files have their names before they are
 * ready, and cannot be made again. */
static void test_handed_over(void **state)
{
	struct stat st;
	char name[160];

	(void)state;
	if (geteuid() != 0)
		skip();
	snprintf(name, sizeof(name), "%s/unit.table", dir);
	assert_int_equal(segment_hand_over(&segment, 61183, 61183), 0);
	assert_int_equal(stat(name, &st), 0);
	assert_int_equal(st.st_uid, 61183);
	assert_int_equal(shm_reader_refresh(&reader), -EAGAIN);
	publish();
	assert_int_equal(take(10 * S), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_lock_of_a_stranger),
		TEST(test_removed_files_come_back),
		TEST(test_removed_directory_comes_back),
		TEST(test_another_agent_has_the_name),
		TEST(test_handed_over),
	};

	return cmocka_run_group_tests_name("segment_files", tests, NULL, NULL);
}
