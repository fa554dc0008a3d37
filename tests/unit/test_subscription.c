// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/netlink/subscription: a subscription that was refused is tried again. The groups of
 * rtnetlink have the same numbers and need no privilege: a socket of its kind is the kernel
 * that agrees, one of another kind the kernel that refuses. */
#include "tests/unit/unit.h"

#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/netlink/subscription.h"

#define S UINT64_C(1000000000)

static struct event_socket events;
static struct subscription subscription;
static int agrees, refuses;

static int set_up(void **state)
{
	(void)state;
	memset(&events, 0, sizeof(events));
	agrees = request_socket_open(NETLINK_ROUTE, 0);
	refuses = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(agrees >= 0 && refuses >= 0);
	subscription_init(&subscription, &events);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	subscription_close(&subscription);
	close(agrees);
	close(refuses);
	return 0;
}

static void test_agreed(void **state)
{
	(void)state;
	events.fd = agrees;
	assert_int_equal(subscription_set(&subscription, NLSOCK_ALL, S), 0);
	assert_int_equal(events.groups, NLSOCK_ALL);
	assert_int_equal(subscription.err, 0);
	/* There is nothing to try again. */
	events.fd = refuses;
	assert_false(subscription_second(&subscription, 100 * S));
	assert_int_equal(subscription.err, 0);
}

static void test_refused_and_tried_again(void **state)
{
	(void)state;
	events.fd = refuses;
	assert_true(subscription_set(&subscription, NLSOCK_ALL, S) < 0);
	assert_true(subscription.err < 0);
	assert_int_equal(events.groups, 0);
	events.fd = agrees;
	assert_false(subscription_second(&subscription, 2 * S - 1));
	assert_true(subscription.err < 0);
	assert_true(subscription_second(&subscription, 2 * S));
	assert_int_equal(events.groups, NLSOCK_ALL);
	assert_int_equal(subscription.err, 0);
}

static void test_tried_less_and_less_often(void **state)
{
	unsigned int tries = 0;

	(void)state;
	events.fd = refuses;
	assert_true(subscription_set(&subscription, NLSOCK_ALL, 0) < 0);
	for (uint64_t s = 1; s <= 1000; s++) {
		uint64_t before_ns = subscription.retry_ns;

		assert_false(subscription_second(&subscription, s * S));
		tries += subscription.retry_ns != before_ns;
	}
	assert_in_range(tries, 1000 / 32, 1000 / 32 + 6);
}

/* Half of what was wanted is not what was wanted. */
static void test_refused_in_part(void **state)
{
	(void)state;
	events.fd = agrees;
	assert_int_equal(subscription_set(&subscription, NLSOCK_NEW | NLSOCK_DESTROY, 0), 0);
	events.fd = refuses;
	assert_true(subscription_set(&subscription, NLSOCK_ALL, 0) < 0);
	assert_int_equal(events.groups, NLSOCK_NEW | NLSOCK_DESTROY);
	assert_true(subscription.err < 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_agreed),
		TEST(test_refused_and_tried_again),
		TEST(test_tried_less_and_less_often),
		TEST(test_refused_in_part),
	};

	return cmocka_run_group_tests_name("subscription", tests, NULL, NULL);
}
