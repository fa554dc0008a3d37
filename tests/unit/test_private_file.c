// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/base/private_file: recordings are their owner's, and overwrite nobody's file. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/private_file.h"
#include "agent/record/feed.h"

static char dir[64], path[96], other[96];

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/conntide-unit-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/out", dir);
	snprintf(other, sizeof(other), "%s/other", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	unlink(other);
	return rmdir(dir);
}

static void make(const char *name, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "precious", 8), 8);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static off_t size_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);
	return st.st_size;
}

static mode_t mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(name, &st), 0);
	return st.st_mode & 07777;
}

static void test_new_and_own(void **state)
{
	mode_t before = umask(0);
	bool created;
	int fd = private_file_open(path, &created);

	(void)state;
	umask(before);
	assert_true(fd >= 0 && created);
	assert_int_equal(mode_of(path), 0600);
	close(fd);
	unlink(path);
	make(path, 0644);
	fd = private_file_open(path, &created);
	assert_true(fd >= 0 && !created);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(size_of(path), 8);
	close(fd);
	fd = private_file_open("/dev/null", &created);
	assert_true(fd >= 0);
	close(fd);
}

static void test_what_is_not_ours(void **state)
{
	bool created;

	(void)state;
	make(other, 0644);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(private_file_open(path, &created), -ELOOP);
	unlink(path);
	assert_int_equal(link(other, path), 0);
	assert_int_equal(private_file_open(path, &created), -EPERM);
	unlink(path);
	if (geteuid() != 0)
		skip();
	make(path, 0666);
	assert_int_equal(chown(path, 61000, 61000), 0);
	assert_int_equal(private_file_open(path, &created), -EPERM);
	unlink(path);
	assert_int_equal(mkfifo(path, 0666), 0);
	assert_int_equal(chown(path, 61000, 61000), 0);
	assert_int_equal(private_file_open(path, &created), -EPERM);
	assert_int_equal(size_of(other), 8);
}

/* conntide-agent --record. */
static void test_recording_of_the_agent(void **state)
{
	struct recorder recorder;
	mode_t before = umask(0);

	(void)state;
	assert_int_equal(recorder_open(&recorder, path), 0);
	umask(before);
	assert_int_equal(mode_of(path), 0600);
	assert_int_equal(recorder_close(&recorder), 0);
	assert_int_equal(size_of(path), strlen(RECORDER_MAGIC));
	/* What was there before is gone. */
	unlink(path);
	make(path, 0600);
	assert_int_equal(recorder_open(&recorder, path), 0);
	assert_int_equal(recorder_close(&recorder), 0);
	assert_int_equal(size_of(path), strlen(RECORDER_MAGIC));
	unlink(path);
	make(other, 0644);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(recorder_open(&recorder, path), -ELOOP);
	assert_int_equal(size_of(other), 8);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_new_and_own),
		TEST(test_what_is_not_ours),
		TEST(test_recording_of_the_agent),
	};

	return cmocka_run_group_tests_name("private_file", tests, NULL, NULL);
}
