// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/http/connections: who has to go, and when. */
#include "tests/unit/unit.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exporters/http/connections.h"

#define SECOND UINT64_C(1000000000)

static const struct conn_limits limits = {4, 2, 10 * SECOND, 30 * SECOND, 120 * SECOND};
static int pairs[16][2];
static unsigned int used;

static int reset(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < used; i++) {
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
	used = 0;
	return 0;
}

static struct conn *add(struct connections *connections, uint8_t who, uint64_t now)
{
	uint8_t peer[16] = {who};
	struct conn *conn;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[used]), 0);
	connections_make_room(connections, who == 0, peer);
	conn = connections_add(connections, pairs[used][0], who == 0, peer, NULL, now);
	used++;
	assert_non_null(conn);
	return conn;
}

static bool is_shut(const struct conn *conn)
{
	char byte;

	return recv(conn->fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void drain(struct connections *connections)
{
	while (connections->oldest)
		connections_remove(connections, connections->oldest);
	assert_int_equal(connections->count, 0);
	assert_int_equal(connections->count_of[0] + connections->count_of[1], 0);
	assert_int_equal(connections->busy, 0);
}

static void test_the_idlest_goes(void **state)
{
	struct connections all;
	struct conn *conn[5];

	(void)state;
	connections_init(&all, &limits);
	for (unsigned int i = 0; i < 4; i++)
		conn[i] = add(&all, (uint8_t)(i + 1), i);
	connections_set_phase(&all, conn[0], CONN_BUSY, 5);
	connections_set_phase(&all, conn[1], CONN_IDLE, 5);
	conn[4] = add(&all, 9, 6);
	/* Of those that never asked, the oldest: the third. */
	assert_true(is_shut(conn[2]));
	assert_false(is_shut(conn[0]) || is_shut(conn[1]) || is_shut(conn[3]) || is_shut(conn[4]));
	assert_int_equal(all.count_of[0], 4);
	connections_set_phase(&all, conn[3], CONN_BUSY, 7);
	connections_set_phase(&all, conn[4], CONN_BUSY, 7);
	add(&all, 10, 8);
	assert_true(is_shut(conn[1]));
	assert_int_equal(all.evicted, 2);
	drain(&all);
}

static void test_one_peer_cannot_take_all(void **state)
{
	struct connections all;
	struct conn *conn[4];

	(void)state;
	connections_init(&all, &limits);
	conn[0] = add(&all, 1, 0);
	for (unsigned int i = 1; i < 4; i++)
		conn[i] = add(&all, 2, i);
	assert_true(is_shut(conn[1]));
	assert_false(is_shut(conn[0]) || is_shut(conn[2]) || is_shut(conn[3]));
	drain(&all);
}

static void test_unix_sockets_have_room_of_their_own(void **state)
{
	struct connections all;
	struct conn *local;

	(void)state;
	connections_init(&all, &limits);
	local = add(&all, 0, 0);
	for (unsigned int i = 0; i < 8; i++)
		add(&all, (uint8_t)(i + 1), i);
	assert_false(is_shut(local));
	assert_int_equal(all.count_of[0], 4);
	assert_int_equal(all.count_of[1], 1);
	drain(&all);
}

static void test_budgets_are_totals(void **state)
{
	struct connections all;
	struct conn *fresh, *idle, *busy;

	(void)state;
	connections_init(&all, &limits);
	fresh = add(&all, 1, 0);
	idle = add(&all, 2, 0);
	busy = add(&all, 3, 0);
	connections_set_phase(&all, idle, CONN_IDLE, 0);
	connections_set_phase(&all, busy, CONN_BUSY, 0);
	assert_int_equal(connections_expire(&all, 9 * SECOND), SECOND);
	assert_false(is_shut(fresh));
	assert_int_equal(connections_expire(&all, 10 * SECOND), 20 * SECOND);
	assert_true(is_shut(fresh));
	connections_expire(&all, 30 * SECOND);
	assert_true(is_shut(busy) && !is_shut(idle));
	connections_expire(&all, 120 * SECOND);
	assert_true(is_shut(idle));
	assert_int_equal(all.timed_out, 3);
	/* Shut down is not closed: nothing more happens to it. */
	connections_set_phase(&all, fresh, CONN_BUSY, 121 * SECOND);
	assert_int_equal(connections_expire(&all, 1000 * SECOND), UINT64_MAX);
	drain(&all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_the_idlest_goes, reset),
		cmocka_unit_test_teardown(test_one_peer_cannot_take_all, reset),
		cmocka_unit_test_teardown(test_unix_sockets_have_room_of_their_own, reset),
		cmocka_unit_test_teardown(test_budgets_are_totals, reset),
	};

	return cmocka_run_group_tests_name("http/connections", tests, NULL, NULL);
}
