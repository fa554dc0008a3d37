// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * exporters/http/toolkit/listen: what a unix socket is like from the moment it has a name,
 * and what is said where nothing can be listened on.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "exporters/http/toolkit/listen.h"

static char dir[64];
static char path[96];
static char victim[96];
static mode_t mode_at_once;
static bool swapped;

/* In place of libc's: the moment after bind(2) is the one somebody else waits for. */
int bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
	int result = (int)syscall(SYS_bind, fd, address, bytes);
	struct stat st;

	if (result < 0 || address->sa_family != AF_UNIX)
		return result;
	if (lstat(path, &st) == 0)
		mode_at_once = st.st_mode & 07777;
	if (swapped && (unlink(path) < 0 || symlink(victim, path) < 0))
		return -1;
	return result;
}

static int set_up(void **state)
{
	FILE *file;

	(void)state;
	strcpy(dir, "/tmp/conntide-unit-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/http.sock", dir);
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	file = fopen(victim, "w");
	if (!file || fchmod(fileno(file), 0600) < 0)
		return -1;
	fclose(file);
	swapped = false;
	mode_at_once = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	unlink(victim);
	return rmdir(dir);
}

static int add(struct listeners *listeners, const char *file)
{
	char address[160];

	memset(listeners, 0, sizeof(*listeners));
	snprintf(address, sizeof(address), "unix:%s", file);
	return listen_add(listeners, address);
}

static mode_t mode_of(const char *file)
{
	struct stat st;

	assert_int_equal(lstat(file, &st), 0);
	return st.st_mode & 07777;
}

static void test_mode_from_the_start(void **state)
{
	struct listeners listeners;
	mode_t mask = umask(0);
	char before[256], after[256];

	(void)state;
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(add(&listeners, path), 0);
	assert_int_equal(mode_at_once, 0660);
	assert_int_equal(mode_of(path), 0660);
	assert_int_equal(umask(mask), 0);
	assert_non_null(getcwd(after, sizeof(after)));
	assert_string_equal(before, after);
	listen_close(&listeners);
	assert_int_equal(access(path, F_OK), -1);
}

/* Whoever may write the directory puts a link in the socket's place. */
static void test_a_link_in_its_place(void **state)
{
	struct listeners listeners;

	(void)state;
	swapped = true;
	add(&listeners, path);
	assert_int_equal(mode_of(victim), 0600);
	listen_close(&listeners);
	assert_int_equal(mode_of(victim), 0600);
}

/* What is removed in the end is in the directory it was made in. */
static void test_directory_replaced(void **state)
{
	struct listeners listeners;
	char away[96], other[96];
	FILE *file;

	(void)state;
	snprintf(away, sizeof(away), "%s.away", dir);
	snprintf(other, sizeof(other), "%s/http.sock", dir);
	assert_int_equal(add(&listeners, path), 0);
	assert_int_equal(rename(dir, away), 0);
	assert_int_equal(mkdir(dir, 0700), 0);
	file = fopen(other, "w");
	assert_non_null(file);
	fclose(file);
	listen_close(&listeners);
	assert_int_equal(access(other, F_OK), 0);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(rename(away, dir), 0);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_what_is_said(void **state)
{
	static const struct {
		const char *address;
		const char *said;
	} rows[] = {
		{"nonsense", "\"nonsense\" is not an address"},
		{"unix:relative", "is not the path of a socket"},
		{"unix:/", "is not the path of a socket"},
		{"unix:/tmp/", "is not the path of a socket"},
		{"unix:/nonexistent/x", "its directory does not exist"},
		{"unix:/proc/version", "the name is taken by something that is no socket"},
		{"unix:/"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		 "a"
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		 "at most 107 characters"},
		{"203.0.113.1:10371", "this machine has no such address"},
	};
	struct listeners listeners;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		memset(&listeners, 0, sizeof(listeners));
		assert_true(listen_add(&listeners, rows[i].address) < 0);
		if (!strstr(listeners.why, rows[i].said) ||
		    strstr(listeners.why, "Cannot assign requested address"))
			fail_msg("%s: %s", rows[i].address, listeners.why);
		assert_int_equal(listeners.count, 0);
	}
	memset(&listeners, 0, sizeof(listeners));
	for (unsigned int i = 0; i < LISTEN_MAX; i++)
		assert_int_equal(listen_add(&listeners, "127.0.0.1:0"), 0);
	assert_true(listen_add(&listeners, "127.0.0.1:0") < 0);
	assert_non_null(strstr(listeners.why, "more than 16 addresses"));
	listen_close(&listeners);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_mode_from_the_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_link_in_its_place, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_directory_replaced, set_up, tear_down),
		cmocka_unit_test(test_what_is_said),
	};

	return cmocka_run_group_tests_name("listen", tests, NULL, NULL);
}
