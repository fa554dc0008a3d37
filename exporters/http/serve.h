// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loop of the exporter: accepts, hands to the endpoints of server.c, ends what
 * takes too long, reloads the web configuration when a file of it changes or on
 * SIGHUP, and watches the table. One thread, and one that checks passwords.
 */
#ifndef CONNTIDE_HTTP_SERVE_H
#define CONNTIDE_HTTP_SERVE_H

#include <stddef.h>

#include "exporters/http/routes/app.h"
#include "exporters/http/toolkit/listen.h"

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

/* Starts the thread that checks passwords. Call it after privileges are dropped, which is done
 * thread by thread, and before the system call filter. 0 or -errno. */
int server_start_threads(struct server *server);

/* 0 after SIGINT or SIGTERM, or -errno. */
int server_run(struct server *server);

void server_stop(struct server *server);

#endif
