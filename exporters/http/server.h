// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * HTTP over TCP, TLS and unix sockets. The only user of libmicrohttpd, which is
 * given accepted sockets and does nothing else by itself: who is accepted, who
 * has to go, and for how long a client may take is decided in connections.c.
 *
 * What libmicrohttpd 0.9.75 gets wrong is kept away from it: requests that
 * announce a body, in whatever way, and those of another method or with a
 * malformed header are refused in the first callback, before it could read on, and
 * their connection is closed. So nothing can be smuggled in behind a header.
 *
 * One thread: server_run() serves until SIGINT or SIGTERM; SIGHUP and changed
 * files reload the web configuration.
 */
#ifndef CONNTIDE_HTTP_SERVER_H
#define CONNTIDE_HTTP_SERVER_H

#include <stddef.h>

#include "exporters/http/app.h"
#include "exporters/http/listen.h"

struct server_options {
	const char *config_path; /* NULL: none */
	size_t max_connections;
	size_t max_requests; /* replies under way at once; 0: no limit */
};

struct server;

/*
 * Loads the web configuration (a broken one is an error here) and prepares to serve
 * `app` on `listeners`; both outlive the server. NULL after a message.
 */
struct server *server_start(const struct server_options *options, struct app *app,
			    struct listeners *listeners);

/* 0 after a signal, or -errno. */
int server_run(struct server *server);

void server_stop(struct server *server);

#endif
