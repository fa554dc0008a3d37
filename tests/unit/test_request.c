// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/netlink/request: which answers are believed, and how they end. The kernel is played
 * by the other end of a pair of sockets. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/netlink/query.h"
#include "agent/netlink/request.h"
#include "lib/base/clock.h"

#define OURS 4711u

static struct request_socket request;
static int kernel_fd;
static _Alignas(8) uint8_t buf[4096], told[4096];
static size_t told_len;

static int set_up(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	request_init(&request, NETLINK_NETFILTER, -1);
	request.fd = fds[0];
	request.portid = OURS;
	kernel_fd = fds[1];
	told_len = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	request_close(&request);
	close(kernel_fd);
	return 0;
}

static void ask(void)
{
	struct nlmsghdr nlh = {.nlmsg_len = sizeof(nlh), .nlmsg_type = 0x101};

	assert_int_equal(request_send(&request, &nlh), 0);
	assert_int_equal(nlh.nlmsg_seq, request.seq);
}

static struct nlmsghdr *tell(uint16_t type, uint32_t seq, uint32_t portid, size_t payload)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)(told + told_len);

	memset(nlh, 0, NLMSG_SPACE(payload));
	nlh->nlmsg_len = (uint32_t)NLMSG_LENGTH(payload);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_MULTI;
	nlh->nlmsg_seq = seq;
	nlh->nlmsg_pid = portid;
	told_len += NLMSG_SPACE(payload);
	return nlh;
}

static void tell_number(uint16_t type, uint32_t seq, int number)
{
	memcpy(NLMSG_DATA(tell(type, seq, OURS, sizeof(number))), &number, sizeof(number));
}

static void flush(void)
{
	assert_int_equal(send(kernel_fd, told, told_len, 0), told_len);
	told_len = 0;
}

static int end_of(void)
{
	int end = request_end(told, told_len);

	told_len = 0;
	return end;
}

static void test_ends(void **state)
{
	struct nlmsghdr *nlh;

	(void)state;
	tell(0x100, 1, OURS, 20);
	assert_int_equal(end_of(), 0);
	tell(0x100, 1, OURS, 20);
	tell_number(NLMSG_DONE, 1, 0);
	assert_int_equal(end_of(), 1);
	tell_number(NLMSG_ERROR, 1, 0);
	assert_int_equal(end_of(), 1);
	tell_number(NLMSG_ERROR, 1, -EPERM);
	assert_int_equal(end_of(), -EPERM);
	nlh = tell(0x100, 1, OURS, 20);
	nlh->nlmsg_flags |= NLM_F_DUMP_INTR;
	tell_number(NLMSG_DONE, 1, 0);
	assert_int_equal(end_of(), -EINTR);
}

/* The dump ended, and not well: what it showed is not the whole table. */
static void test_error_in_done(void **state)
{
	(void)state;
	tell(0x100, 1, OURS, 20);
	tell_number(NLMSG_DONE, 1, -ENOMEM);
	assert_int_equal(end_of(), -ENOMEM);
	tell(NLMSG_DONE, 1, OURS, 0);
	assert_int_equal(end_of(), -EBADMSG);
	tell_number(NLMSG_DONE, 1, 1);
	assert_int_equal(end_of(), -EBADMSG);
}

static void test_answers_to_others(void **state)
{
	(void)state;
	ask();
	ask();
	tell(0x100, 1, OURS, 20); /* to the request before */
	flush();
	tell(0x100, 2, OURS + 1, 20); /* to another socket */
	flush();
	tell(0x100, 2, OURS, 8);
	flush();
	assert_int_equal(request_receive(&request, buf, sizeof(buf)), NLMSG_LENGTH(8));
	/* One datagram never holds answers to two. */
	tell(0x100, 2, OURS, 8);
	tell(0x100, 1, OURS, 8);
	flush();
	assert_int_equal(request_receive(&request, buf, sizeof(buf)), -EBADMSG);
	/* What is no message at all. */
	assert_int_equal(send(kernel_fd, told, 7, 0), 7);
	assert_int_equal(request_receive(&request, buf, sizeof(buf)), -EBADMSG);
	tell(0x100, 2, OURS, 100);
	flush();
	assert_int_equal(request_receive(&request, buf, 50), -EMSGSIZE);
}

/* A dump that was given up and cannot be stopped: its rest is not read as the next one's. */
static void test_given_up(void **state)
{
	struct nlmsghdr nlh = {.nlmsg_len = sizeof(nlh), .nlmsg_type = 0x101};
	struct rlimit before, none;

	(void)state;
	ask();
	tell(0x100, 1, OURS, 20);
	flush();
	request_close(&request);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(request_send(&request, &nlh), -EMFILE);
	assert_int_equal(request_receive(&request, buf, sizeof(buf)), -ENOTCONN);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	/* With a socket to be had it goes on, under another number. */
	assert_int_equal(request_open(&request), 0);
	assert_true(request.fd >= 0);
	assert_int_not_equal(request.portid, OURS);
}

static void *cancel_soon(void *arg)
{
	const uint64_t one = 1;

	assert_int_equal(write(*(int *)arg, &one, sizeof(one)), sizeof(one));
	return NULL;
}

/* An answer that does not come is not waited for once the agent is told to stop. */
static void test_cancelled(void **state)
{
	int cancel_fd = eventfd(0, EFD_CLOEXEC);
	uint64_t began_ns = clock_boot_ns();
	pthread_t thread;

	(void)state;
	request.cancel_fd = cancel_fd;
	ask();
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &cancel_fd), 0);
	assert_int_equal(request_receive(&request, buf, sizeof(buf)), -ECANCELED);
	assert_true(clock_boot_ns() - began_ns < REQUEST_TIMEOUT_S * NS_PER_S / 3);
	pthread_join(thread, NULL);
	close(cancel_fd);
}

/* The kernel's end: everybody may ask for the addresses. */
static void test_real_answer(void **state)
{
	struct query_answer answer;
	struct query *query;

	(void)state;
	assert_int_equal(query_create(&query), 0);
	query_post(query, QUERY_ADDRESSES, NULL, 0);
	while (!query_collect(query, &answer))
		usleep(1000);
	assert_int_equal(answer.err, 0);
	local_addrs_free(answer.addrs);
	free(answer.addrs);
	query_destroy(query);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_ends),     TEST(test_error_in_done), TEST(test_answers_to_others),
		TEST(test_given_up), TEST(test_cancelled),     TEST(test_real_answer),
	};

	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
