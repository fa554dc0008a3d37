// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/connections.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/check.h"

void connections_init(struct connections *connections, const struct conn_limits *limits)
{
	memset(connections, 0, sizeof(*connections));
	connections->limits = *limits;
}

static void doom(struct connections *connections, struct conn *conn)
{
	if (conn->phase == CONN_DOOMED)
		return;
	if (conn->phase == CONN_BUSY)
		connections->busy--;
	connections->count_of[conn->is_unix]--;
	conn->phase = CONN_DOOMED;
	shutdown(conn->fd, SHUT_RDWR);
}

/* Lower goes first: no request yet, idle, being served. */
static int usefulness(const struct conn *conn)
{
	switch (conn->phase) {
	case CONN_FRESH:
		return 0;
	case CONN_IDLE:
		return 1;
	case CONN_BUSY:
	case CONN_DOOMED:
		break;
	}
	return 2;
}

static bool is_this_machine(const uint8_t peer[16])
{
	static const uint8_t zeros[16];

	return !memcmp(peer, zeros, sizeof(zeros));
}

/* The list is by age: the first of the least useful ones is the oldest of them. */
static void evict_one(struct connections *connections, bool is_unix, const uint8_t *peer)
{
	struct conn *worst = NULL;

	for (struct conn *at = connections->oldest; at; at = at->newer) {
		if (at->phase == CONN_DOOMED || at->is_unix != is_unix ||
		    (peer && memcmp(at->peer, peer, sizeof(at->peer)) != 0))
			continue;
		if (!worst || usefulness(at) < usefulness(worst))
			worst = at;
		if (usefulness(worst) == 0)
			break;
	}
	if (worst) {
		doom(connections, worst);
		connections->evicted++;
	}
}

static size_t count_peer(const struct connections *connections, const uint8_t peer[16])
{
	size_t n = 0;

	for (const struct conn *at = connections->oldest; at; at = at->newer)
		n += at->phase != CONN_DOOMED && !at->is_unix &&
		     !memcmp(at->peer, peer, sizeof(at->peer));
	return n;
}

void connections_make_room(struct connections *connections, bool is_unix, const uint8_t peer[16])
{
	if (!is_unix && !is_this_machine(peer) &&
	    count_peer(connections, peer) >= connections->limits.per_peer)
		evict_one(connections, is_unix, peer);
	if (connections->count_of[is_unix] >= connections->limits.all)
		evict_one(connections, is_unix, NULL);
}

struct conn *connections_add(struct connections *connections, int fd, bool is_unix,
			     const uint8_t peer[16], const void *group, uint64_t now_ns)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->magic = CONN_MAGIC;
	conn->fd = fd;
	conn->is_unix = is_unix;
	conn->phase_since_ns = now_ns;
	conn->group = group;
	memcpy(conn->peer, peer, sizeof(conn->peer));
	conn->older = connections->newest;
	if (connections->newest)
		connections->newest->newer = conn;
	else
		connections->oldest = conn;
	connections->newest = conn;
	connections->count++;
	connections->count_of[is_unix]++;
	return conn;
}

void connections_remove(struct connections *connections, struct conn *conn)
{
	if (conn->phase == CONN_BUSY)
		connections->busy--;
	if (conn->phase != CONN_DOOMED)
		connections->count_of[conn->is_unix]--;
	if (conn->older)
		conn->older->newer = conn->newer;
	else
		connections->oldest = conn->newer;
	if (conn->newer)
		conn->newer->older = conn->older;
	else
		connections->newest = conn->older;
	connections->count--;
	conn->magic = 0;
	free(conn);
}

void connections_set_phase(struct connections *connections, struct conn *conn,
			   enum conn_phase phase, uint64_t now_ns)
{
	BUG_ON(phase == CONN_DOOMED);
	if (conn->phase == CONN_DOOMED)
		return;
	connections->busy += phase == CONN_BUSY;
	connections->busy -= conn->phase == CONN_BUSY;
	conn->phase = phase;
	conn->phase_since_ns = now_ns;
}

static void measure(const struct connections *connections, struct conn *conn, uint64_t now_ns)
{
	uint64_t sent =
		connections->limits.sent_bytes ? connections->limits.sent_bytes(conn->fd) : 0;
	uint64_t elapsed_ns = now_ns > conn->measured_ns ? now_ns - conn->measured_ns : 0;

	if (elapsed_ns < CONN_MEASURE_NS)
		return;
	conn->bytes_per_s = (double)(sent - conn->sent_bytes) * 1e9 / (double)elapsed_ns;
	conn->sent_bytes = sent;
	conn->measured_ns = now_ns;
}

/* Ends the reply that is read slowest, among this peer's or among all but `newcomer`'s; of
 * several the oldest. False: none is slow, or none has been measured yet. */
static bool end_slowest(struct connections *connections, const struct conn *newcomer, bool of_peer,
			uint64_t now_ns)
{
	struct conn *worst = NULL;

	for (struct conn *at = connections->oldest; at; at = at->newer) {
		if (at == newcomer || at->phase != CONN_BUSY ||
		    (of_peer && memcmp(at->peer, newcomer->peer, sizeof(at->peer)) != 0))
			continue;
		measure(connections, at, now_ns);
		if (at->bytes_per_s < 0 || at->bytes_per_s >= CONN_SLOW_BYTES_PER_S)
			continue;
		if (!worst || at->bytes_per_s < worst->bytes_per_s)
			worst = at;
	}
	if (!worst)
		return false;
	doom(connections, worst);
	connections->evicted++;
	return true;
}

static size_t busy_of_peer(const struct connections *connections, const struct conn *conn)
{
	size_t n = 0;

	for (const struct conn *at = connections->oldest; at; at = at->newer)
		n += at->phase == CONN_BUSY && !memcmp(at->peer, conn->peer, sizeof(at->peer));
	return n;
}

bool connections_begin(struct connections *connections, struct conn *conn, uint64_t now_ns)
{
	const struct conn_limits *limits = &connections->limits;

	connections_set_phase(connections, conn, CONN_BUSY, now_ns);
	conn->sent_bytes = limits->sent_bytes ? limits->sent_bytes(conn->fd) : 0;
	conn->measured_ns = now_ns;
	conn->bytes_per_s = -1;
	if (!limits->busy)
		return true;
	if (!is_this_machine(conn->peer) &&
	    busy_of_peer(connections, conn) > limits->busy_per_peer &&
	    !end_slowest(connections, conn, true, now_ns))
		return false;
	return connections->busy <= limits->busy || end_slowest(connections, conn, false, now_ns);
}

void connections_end(struct connections *connections, struct conn *conn)
{
	doom(connections, conn);
}

size_t connections_of(const struct connections *connections, const void *group)
{
	size_t n = 0;

	for (const struct conn *at = connections->oldest; at; at = at->newer)
		n += at->group == group;
	return n;
}

void connections_drop_idle(struct connections *connections, const void *group)
{
	for (struct conn *at = connections->oldest; at; at = at->newer)
		if (at->group == group && at->phase == CONN_IDLE)
			doom(connections, at);
}

static uint64_t budget(const struct conn_limits *limits, enum conn_phase phase)
{
	switch (phase) {
	case CONN_FRESH:
		return limits->header_ns;
	case CONN_IDLE:
		return limits->idle_ns;
	case CONN_BUSY:
		return limits->reply_ns;
	case CONN_DOOMED:
		break;
	}
	return UINT64_MAX;
}

uint64_t connections_expire(struct connections *connections, uint64_t now_ns)
{
	uint64_t next = UINT64_MAX;

	for (struct conn *at = connections->oldest; at; at = at->newer) {
		uint64_t limit = budget(&connections->limits, at->phase);
		uint64_t used = now_ns > at->phase_since_ns ? now_ns - at->phase_since_ns : 0;

		if (limit == UINT64_MAX)
			continue;
		if (at->phase == CONN_BUSY)
			measure(connections, at, now_ns);
		if (used >= limit) {
			doom(connections, at);
			connections->timed_out++;
		} else if (limit - used < next) {
			next = limit - used;
		}
	}
	return next;
}
