// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every open connection, and which one must go. libmicrohttpd leaves clients hanging at its
 * connection limit, and each byte restarts its timeout. Here a newcomer is always let in and the
 * least useful connection goes, and a connection has a total time budget for its header, for its
 * reply and between requests.
 *
 * Replies under way at once are limited, and one peer may have only a share of them. At the limit
 * the slowest reader goes if it reads less than CONN_SLOW_BYTES_PER_S; if all are faster, the
 * newcomer is refused. A peer of zeros is this machine, which may be a proxy for many: its share
 * is not limited.
 *
 * Nothing is closed here: connections are ended with shutdown(2), and libmicrohttpd closes them
 * as if the client had left. Pure except for that; the
 * clock is an argument. One thread.
 */
#ifndef CONNTIDE_HTTP_CONNECTIONS_H
#define CONNTIDE_HTTP_CONNECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum conn_phase {
	CONN_FRESH, /* no whole request yet */
	CONN_IDLE,  /* between requests */
	CONN_BUSY,  /* a reply is under way */
	CONN_DOOMED /* shut down, not yet closed */
};

#define CONN_MAGIC 0x636f6e6eu

/* A reply is measured over this long at least, and slow below this. */
#define CONN_MEASURE_NS	      UINT64_C(200000000)
#define CONN_SLOW_BYTES_PER_S 16384.0

struct conn {
	uint32_t magic;
	enum conn_phase phase;
	uint64_t phase_since_ns;
	int fd;
	bool is_unix;
	uint8_t peer[16];     /* see listen_peer_bytes() */
	uint64_t sent_bytes;  /* of the reply, as last measured... */
	uint64_t measured_ns; /* ...then */
	double bytes_per_s;   /* between the last two measurements; negative: not known yet */
	const void *group;    /* who serves it; compared only */
	struct conn *older;
	struct conn *newer;
};

struct conn_limits {
	size_t all;	 /* of connections over TCP; as many again over unix sockets */
	size_t per_peer; /* from one address */
	size_t busy;	 /* replies under way at once; 0: no limit */
	size_t busy_per_peer;
	uint64_t (*sent_bytes)(int fd); /* that the other side has read; NULL: not known */
	uint64_t header_ns;
	uint64_t reply_ns;
	uint64_t idle_ns;
};

struct connections {
	struct conn_limits limits;
	struct conn *oldest;
	struct conn *newest;
	size_t count;
	size_t count_of[2]; /* [is_unix], doomed ones not counted */
	size_t busy;
	uint64_t evicted;
	uint64_t timed_out;
};

void connections_init(struct connections *connections, const struct conn_limits *limits);

/*
 * Makes room for a newcomer from `peer`: shuts down the least useful connection of
 * the same peer if it has too many, and of all if there are too many. To be called
 * before the new one is added.
 */
void connections_make_room(struct connections *connections, bool is_unix, const uint8_t peer[16]);

/* NULL when memory runs out. */
struct conn *connections_add(struct connections *connections, int fd, bool is_unix,
			     const uint8_t peer[16], const void *group, uint64_t now_ns);
void connections_remove(struct connections *connections, struct conn *conn);
void connections_set_phase(struct connections *connections, struct conn *conn,
			   enum conn_phase phase, uint64_t now_ns);

/* Makes it CONN_BUSY. False: too many are busy, and none is slow enough to end instead. */
bool connections_begin(struct connections *connections, struct conn *conn, uint64_t now_ns);

/* Shuts it down: the client has left. */
void connections_end(struct connections *connections, struct conn *conn);

/* How many a group has, and the end of those that are between requests. */
size_t connections_of(const struct connections *connections, const void *group);
void connections_drop_idle(struct connections *connections, const void *group);

/* Shuts down all whose budget is used up; ns until the next one's is, or UINT64_MAX. */
uint64_t connections_expire(struct connections *connections, uint64_t now_ns);

#endif
