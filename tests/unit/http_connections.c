// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/http/connections: who has to go, and when. */
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exporters/http/connections.h"
#include "exporters/http/toolkit/listen.h"

#define SECOND UINT64_C(1000000000)

static const struct conn_limits limits = {.all = 4,
					  .per_peer = 2,
					  .header_ns = 10 * SECOND,
					  .reply_ns = 30 * SECOND,
					  .idle_ns = 120 * SECOND};
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

/* --- replies under way at once -------------------------------------------------- */

static uint64_t taken[1024]; /* by descriptor */

static uint64_t taken_of(int fd)
{
	return taken[fd];
}

static void init_busy(struct connections *all, size_t busy, size_t busy_per_peer)
{
	struct conn_limits more = limits;

	more.all = more.per_peer = 100;
	more.busy = busy;
	more.busy_per_peer = busy_per_peer;
	more.sent_bytes = taken_of;
	memset(taken, 0, sizeof(taken));
	connections_init(all, &more);
}

static struct conn *add_peer(struct connections *all, const uint8_t peer[16], uint64_t now)
{
	struct conn *conn;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[used]), 0);
	conn = connections_add(all, pairs[used][0], false, peer, NULL, now);
	used++;
	assert_non_null(conn);
	return conn;
}

/* Who does not read makes room for who does; the slower of two goes first. */
static void test_the_slowest_reader_goes(void **state)
{
	static const uint8_t here[16];
	struct connections all;
	struct conn *conn[4], *late;
	uint64_t now = SECOND;

	(void)state;
	init_busy(&all, 4, 2);
	for (unsigned int i = 0; i < 4; i++) {
		conn[i] = add_peer(&all, here, now);
		/* This machine has no share: a proxy is many. */
		assert_true(connections_begin(&all, conn[i], now));
	}
	late = add_peer(&all, here, now);
	/* Nothing is known of them yet: none of them goes. */
	assert_false(connections_begin(&all, late, now + SECOND / 100));
	connections_set_phase(&all, late, CONN_IDLE, now + SECOND / 100);
	now += SECOND;
	taken[conn[0]->fd] = 10 << 20;
	taken[conn[1]->fd] = 3;
	taken[conn[2]->fd] = 2;
	taken[conn[3]->fd] = 1 << 20;
	assert_true(connections_begin(&all, late, now));
	assert_true(is_shut(conn[2]));
	assert_int_equal(all.busy, 4);
	assert_int_equal(all.evicted, 1);
	connections_set_phase(&all, late, CONN_IDLE, now);
	late = add_peer(&all, here, now);
	assert_true(connections_begin(&all, late, now));
	late = add_peer(&all, here, now);
	assert_true(connections_begin(&all, late, now));
	assert_true(is_shut(conn[1]));
	/* Those that read are left alone. */
	late = add_peer(&all, here, now);
	assert_false(connections_begin(&all, late, now));
	assert_true(conn[0]->phase == CONN_BUSY && conn[3]->phase == CONN_BUSY);
	drain(&all);
}

/* 41 connections of one peer that do not read: it has its share, the others theirs. */
static void test_a_peer_has_a_share(void **state)
{
	static const uint8_t many[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [15] = 1};
	static const uint8_t other[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [15] = 2};
	struct connections all;
	struct conn *conn;
	unsigned int admitted = 0;

	(void)state;
	init_busy(&all, 8, 3);
	for (unsigned int i = 0; i < 10; i++) {
		conn = add_peer(&all, many, SECOND);
		admitted += connections_begin(&all, conn, SECOND);
		if (admitted <= i) /* its refusal goes out at once */
			connections_set_phase(&all, conn, CONN_IDLE, SECOND);
	}
	assert_int_equal(admitted, 3);
	conn = add_peer(&all, other, SECOND);
	assert_true(connections_begin(&all, conn, SECOND));
	assert_int_equal(all.evicted, 0);
	/* Its own slow readers make room for its own. */
	conn = add_peer(&all, many, SECOND);
	assert_true(connections_begin(&all, conn, 3 * SECOND));
	assert_int_equal(all.evicted, 1);
	drain(&all);
}

static void test_who_is_one_peer(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{"2001:db8::1", "2001:db8::ffff:2", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		{"127.0.0.1", "::1", true},
		{"127.0.0.1", "::ffff:127.9.9.9", true},
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		const char *const texts[] = {rows[i].a, rows[i].b};
		uint8_t bytes[2][16];

		for (unsigned int k = 0; k < 2; k++) {
			struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
			struct sockaddr_in in = {.sin_family = AF_INET};

			if (inet_pton(AF_INET6, texts[k], &in6.sin6_addr) == 1)
				listen_peer_bytes((struct sockaddr *)&in6, bytes[k]);
			else if (inet_pton(AF_INET, texts[k], &in.sin_addr) == 1)
				listen_peer_bytes((struct sockaddr *)&in, bytes[k]);
		}
		if (!memcmp(bytes[0], bytes[1], 16) != rows[i].same)
			fail_msg("%s %s", rows[i].a, rows[i].b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_the_idlest_goes, reset),
		cmocka_unit_test_teardown(test_one_peer_cannot_take_all, reset),
		cmocka_unit_test_teardown(test_unix_sockets_have_room_of_their_own, reset),
		cmocka_unit_test_teardown(test_budgets_are_totals, reset),
		cmocka_unit_test_teardown(test_the_slowest_reader_goes, reset),
		cmocka_unit_test_teardown(test_a_peer_has_a_share, reset),
		cmocka_unit_test(test_who_is_one_peer),
	};

	return cmocka_run_group_tests_name("http/connections", tests, NULL, NULL);
}
