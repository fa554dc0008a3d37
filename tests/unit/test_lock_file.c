// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/base/lock_file: who must not write must not be able to lock. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/lock_file.h"

#define NAME "unit.lock"

static char dir[64];
static int dir_fd;

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/conntide-unit-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlinkat(dir_fd, NAME, 0);
	unlinkat(dir_fd, "other", 0);
	close(dir_fd);
	return rmdir(dir);
}

static void test_one_at_a_time(void **state)
{
	pid_t pid;
	int first = lock_file_take(dir_fd, NAME, &pid);

	(void)state;
	assert_true(first >= 0);
	assert_int_equal(lock_file_take(dir_fd, NAME, &pid), -EBUSY);
	assert_int_equal(pid, getpid());
	assert_true(lock_file_holds(first, dir_fd, NAME));
	close(first);
	first = lock_file_take(dir_fd, NAME, &pid);
	assert_true(first >= 0);
	close(first);
}

static void test_is_its_owners_alone(void **state)
{
	mode_t before = umask(0);
	struct stat st;
	pid_t pid;
	int fd = lock_file_take(dir_fd, NAME, &pid);

	(void)state;
	umask(before);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	close(fd);
}

/* A lock on a file that anybody may open keeps nobody out. */
static void test_lock_of_a_stranger(void **state)
{
	pid_t pid;
	int foreign = openat(dir_fd, NAME, O_RDWR | O_CREAT | O_CLOEXEC, 0644), ours;

	(void)state;
	assert_int_equal(flock(foreign, LOCK_SH | LOCK_NB), 0);
	ours = lock_file_take(dir_fd, NAME, &pid);
	assert_true(ours >= 0);
	assert_true(lock_file_holds(ours, dir_fd, NAME));
	assert_false(lock_file_holds(foreign, dir_fd, NAME));
	assert_int_equal(lock_file_take(dir_fd, NAME, &pid), -EBUSY);
	close(ours);
	close(foreign);
}

static void test_no_file(void **state)
{
	pid_t pid;
	int fd;

	(void)state;
	assert_int_equal(symlinkat("other", dir_fd, NAME), 0);
	assert_int_equal(lock_file_take(dir_fd, NAME, &pid), -ELOOP);
	assert_int_equal(faccessat(dir_fd, "other", F_OK, 0), -1);
	unlinkat(dir_fd, NAME, 0);
	assert_int_equal(mkfifoat(dir_fd, NAME, 0600), 0);
	fd = lock_file_take(dir_fd, NAME, &pid);
	assert_true(fd >= 0);
	/* Replaced under its holder. */
	unlinkat(dir_fd, NAME, 0);
	assert_false(lock_file_holds(fd, dir_fd, NAME));
	close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_one_at_a_time),
		TEST(test_is_its_owners_alone),
		TEST(test_lock_of_a_stranger),
		TEST(test_no_file),
	};

	return cmocka_run_group_tests_name("lock_file", tests, NULL, NULL);
}
