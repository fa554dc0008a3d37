// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/netlink/sockets: options as the kernel has them, messages that are not to be
 * believed, losses. Needs no privilege: nothing is subscribed to. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/netlink/sockets.h"

static struct event_socket sock;

static int set_up(void **state)
{
	(void)state;
	return event_socket_open(&sock, 131072);
}

static int tear_down(void **state)
{
	(void)state;
	event_socket_close(&sock);
	event_socket_close(&sock); /* once more does no harm */
	return 0;
}

static int option(int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	assert_int_equal(getsockopt(sock.fd, SOL_NETLINK, name, &value, &len), 0);
	return value;
}

/* With it on, a slow reader would keep dead entries in the kernel's table. */
static void test_reliable_delivery_is_off(void **state)
{
	(void)state;
	assert_int_equal(option(NETLINK_BROADCAST_ERROR), 0);
	assert_int_equal(option(NETLINK_NO_ENOBUFS), 1);
}

static void test_buffer_is_read_back(void **state)
{
	int granted = 0;
	socklen_t len = sizeof(granted);

	(void)state;
	assert_int_equal(getsockopt(sock.fd, SOL_SOCKET, SO_RCVBUF, &granted, &len), 0);
	assert_int_equal(sock.buffer_bytes, granted);
	assert_in_range(sock.buffer_bytes, 4096, 131072);
	assert_int_equal(event_socket_resize(&sock, 65536), 0);
	assert_int_equal(sock.buffer_bytes, 65536);
}

static void test_empty_queue(void **state)
{
	(void)state;
	assert_int_equal(event_socket_receive(&sock), 0);
	assert_int_equal(event_socket_check_loss(&sock), 0);
	assert_int_equal(sock.lost, 0);
}

/* Unicast from another process's socket: counted, not believed. Only a process that
 * may (root) can send it. */
static void test_strangers_are_not_believed(void **state)
{
	struct sockaddr_nl to = {.nl_family = AF_NETLINK};
	socklen_t len = sizeof(to);
	struct nlmsghdr message = {.nlmsg_len = sizeof(message)};
	int other = request_socket_open(NETLINK_NETFILTER, 0);
	size_t got;

	(void)state;
	assert_true(other >= 0);
	assert_int_equal(getsockname(sock.fd, (struct sockaddr *)&to, &len), 0);
	if (sendto(other, &message, sizeof(message), 0, (struct sockaddr *)&to, sizeof(to)) < 0) {
		close(other);
		assert_true(errno == EPERM || errno == ECONNREFUSED);
		skip();
	}
	assert_int_equal(event_socket_receive(&sock), 1);
	assert_null(event_socket_message(&sock, 0, &got));
	assert_int_equal(sock.foreign, 1);
	assert_int_equal(event_socket_check_loss(&sock), 0);
	close(other);
}

static void test_bad_protocol(void **state)
{
	(void)state;
	assert_true(request_socket_open(999, 0) < 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_reliable_delivery_is_off),
		TEST(test_buffer_is_read_back),
		TEST(test_empty_queue),
		TEST(test_strangers_are_not_believed),
		TEST(test_bad_protocol),
	};

	return cmocka_run_group_tests_name("nlsock", tests, NULL, NULL);
}
