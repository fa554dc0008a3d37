// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The only user of libmicrohttpd, which is handed accepted sockets and decides nothing:
 * connections.c and serve.c decide whom to accept, whom to end, and how long a client may take.
 *
 * Requests that libmicrohttpd 0.9.75 mishandles never reach it: those that announce a body in any
 * way, of another method, or with a malformed header are refused in the first callback, before it
 * reads on, and their connection is closed. So no request can be smuggled in behind a header.
 */
#ifndef CONNTIDE_HTTP_SERVER_H
#define CONNTIDE_HTTP_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "exporters/http/connections.h"
#include "exporters/http/routes/app.h"
#include "exporters/http/toolkit/gate.h"
#include "exporters/http/toolkit/web.h"

/* What all endpoints work with. One thread. */
struct server_core {
	struct app *app;
	struct connections connections;
	struct http_stats stats;
	struct gate gate; /* and the web configuration in force */
};

#define ENDPOINT_MAGIC 0x656e6470u

/* One libmicrohttpd daemon without a socket of its own. It is its callbacks'
 * argument: it must not be moved while it runs. */
struct endpoint {
	uint32_t magic;
	struct server_core *core;
	struct MHD_Daemon *daemon; /* NULL: does not run */
	struct web *web;	   /* what it speaks TLS with; NULL when local */
	uint64_t retired_ns;	   /* 0: in use; after a reload: since when it drains */
	int epoll_fd;
	bool is_local; /* unix sockets: never TLS */
};

/* 0 or -EIO. `web` must outlive the endpoint. */
int endpoint_start(struct endpoint *endpoint, struct server_core *core, struct web *web,
		   bool is_local);
void endpoint_stop(struct endpoint *endpoint);

/* Takes over the socket, even on failure. */
bool endpoint_add(struct endpoint *endpoint, int fd, const struct sockaddr *peer, socklen_t bytes);

/* To be called when epoll_fd is readable and after endpoint_wait_ms(). */
void endpoint_run(struct endpoint *endpoint);
unsigned long long endpoint_wait_ms(const struct endpoint *endpoint, unsigned long long most_ms);

#endif
