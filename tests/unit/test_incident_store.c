// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/incident/incident_store: whose the directory is, and what replaces it. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/incident/incident_store.h"

#define EVERYONE ((gid_t)-1)

static char dir[64], path[128], away[128];
static struct incident_store store;

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/conntide-unit-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/unit.incidents", dir);
	snprintf(away, sizeof(away), "%s/away", dir);
	incident_store_init(&store, dir, "unit", EVERYONE);
	return incident_store_open(&store);
}

static void empty(void)
{
	unlinkat(store.dir_fd, "lock", 0);
	unlinkat(store.dir_fd, "mark", 0);
}

static int tear_down(void **state)
{
	(void)state;
	empty();
	incident_store_close(&store);
	rmdir(path);
	return rmdir(dir);
}

static int open_other(void)
{
	struct incident_store other;
	int err;

	incident_store_init(&other, dir, "unit", EVERYONE);
	err = incident_store_open(&other);
	incident_store_close(&other);
	return err;
}

static void mark(void)
{
	int fd = openat(store.dir_fd, "mark", O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static bool marked(const char *what)
{
	char name[160];

	snprintf(name, sizeof(name), "%s/mark", what);
	return access(name, F_OK) == 0;
}

/* Whoever may read the directory can hold a lock on it: that is not the lock. */
static void test_lock_of_a_reader(void **state)
{
	struct stat st;
	int foreign = openat(store.dir_fd, ".", O_RDONLY | O_DIRECTORY);

	(void)state;
	incident_store_close(&store);
	assert_int_equal(flock(foreign, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(incident_store_open(&store), 0);
	assert_int_equal(fstat(store.lock_fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(open_other(), -EBUSY);
	close(foreign);
}

/* Moved away, restored from elsewhere, removed: what comes next is kept where the path leads. */
static void test_directory_replaced(void **state)
{
	int before = store.dir_fd;

	(void)state;
	assert_int_equal(incident_store_open(&store), 0);
	assert_int_equal(store.dir_fd, before);
	assert_int_equal(rename(path, away), 0);
	assert_int_equal(incident_store_open(&store), 0);
	mark();
	assert_true(marked(path) && !marked(away));
	/* It is locked as the first was. */
	assert_int_equal(open_other(), -EBUSY);
	empty();
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rename(away, path), 0);
	assert_int_equal(incident_store_open(&store), 0);
	mark();
	assert_true(marked(path));
}

/* The whole state directory: made again where that is possible, told where it is not. */
static void test_state_directory_removed(void **state)
{
	(void)state;
	empty();
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(incident_store_open(&store), 0);
	mark();
	assert_true(marked(path));
	empty();
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(dir), 0);
	close(open(dir, O_WRONLY | O_CREAT, 0600));
	assert_true(incident_store_open(&store) < 0);
	unlink(dir);
	/* Possible again: at the next try. */
	assert_int_equal(incident_store_open(&store), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_lock_of_a_reader),
		TEST(test_directory_replaced),
		TEST(test_state_directory_removed),
	};

	return cmocka_run_group_tests_name("incident_store", tests, NULL, NULL);
}
