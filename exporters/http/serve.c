// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/serve.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exporters/http/server.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/service.h"
#include "lib/base/signals.h"
#include "lib/health/health.h"

#define HEADER_NS     (10 * NS_PER_S)
#define REPLY_NS      (30 * NS_PER_S)
#define IDLE_NS	      (120 * NS_PER_S)
#define TICK_NS	      NS_PER_S
#define PATIENCE_NS   (5 * NS_PER_S)
#define DRAIN_NS      (5 * NS_PER_S)
#define ACCEPT_BATCH  32
#define PEER_SHARE    4u /* of all connections and replies, for one peer */
#define PENDING_MS    5u /* while a password is being checked */
#define ENDPOINTS_MAX 6u /* two in use, the others drained after a reload */

struct server {
	struct server_core core;
	struct server_options options;
	struct listeners *listeners;
	struct endpoint endpoints[ENDPOINTS_MAX];
	struct endpoint *tcp;	/* for new connections */
	struct endpoint *local; /* unix sockets */
	uint64_t ticked_ns;
	uint64_t watchdog_ns;
	char broken[512];	 /* why the configuration was last refused, as logged */
	const char *table_state; /* as last logged; up to begin with */
	uint64_t started_ns;
	int signal_fd;
	bool done;
};

static void endpoint_retire(struct server *server, struct endpoint *endpoint, uint64_t now_ns)
{
	endpoint->retired_ns = now_ns;
	/* Idle connections end at once; the others finish their reply. */
	connections_drop_idle(&server->core.connections, endpoint);
}

static void endpoint_end(struct endpoint *endpoint)
{
	endpoint_stop(endpoint);
	web_free(endpoint->web);
	endpoint->web = NULL;
	endpoint->retired_ns = 0;
}

static void sweep_retired(struct server *server, uint64_t now_ns)
{
	for (size_t i = 0; i < ENDPOINTS_MAX; i++) {
		struct endpoint *endpoint = &server->endpoints[i];

		if (!endpoint->daemon || !endpoint->retired_ns ||
		    (connections_of(&server->core.connections, endpoint) &&
		     now_ns - endpoint->retired_ns < DRAIN_NS))
			continue;
		endpoint_end(endpoint);
	}
}

/* A free one; else the one that has drained longest is stopped. */
static struct endpoint *free_endpoint(struct server *server)
{
	struct endpoint *oldest = NULL;

	for (size_t i = 0; i < ENDPOINTS_MAX; i++) {
		struct endpoint *endpoint = &server->endpoints[i];

		if (!endpoint->daemon)
			return endpoint;
		if (endpoint->retired_ns && (!oldest || endpoint->retired_ns < oldest->retired_ns))
			oldest = endpoint;
	}
	BUG_ON(!oldest); /* no more than two are in use */
	endpoint_end(oldest);
	return oldest;
}

/* The new configuration with all that hangs on it, or everything as it was. */
static int adopt(struct server *server, struct web *web)
{
	struct endpoint *endpoint = free_endpoint(server);
	struct endpoint *old = server->tcp;
	int err = endpoint_start(endpoint, &server->core, web, false);

	if (err)
		return err;
	server->tcp = endpoint;
	server->core.gate.web = web;
	auth_init(&server->core.gate.auth, server->core.gate.auth.worker);
	if (old)
		endpoint_retire(server, old, clock_boot_ns());
	return 0;
}

/* A broken configuration may become valid without a change of this file: a certificate arrives, a
 * file is written to its end. So it is tried again until it is valid. */
static void refuse_config(struct server *server, const char *why, bool asked)
{
	server->core.stats.config_ok = false;
	if (!asked && !strcmp(why, server->broken))
		return;
	snprintf(server->broken, sizeof(server->broken), "%s", why);
	log_error("web-config", "broken, the one before stays in force: %s", why);
}

/*
 * The last content of the file always takes effect: a configuration knows the signature of the
 * bytes it was made from, taken before they were read, so later writes are noticed; a refused one
 * is tried again every second.
 */
static void reload(struct server *server, bool asked)
{
	const char *path = server->options.config_path;
	struct web *web;
	char why[512];

	if (!path)
		return;
	if (!asked && server->core.stats.config_ok &&
	    web_signature(path, server->core.gate.web) == server->core.gate.web->signature)
		return;
	web = web_load(path, why, sizeof(why));
	if (web && adopt(server, web) < 0) {
		snprintf(why, sizeof(why), "the server refuses it");
		web_free(web);
		web = NULL;
	}
	if (!web) {
		refuse_config(server, why, asked);
		return;
	}
	server->core.stats.config_ok = true;
	server->broken[0] = '\0';
	server->core.stats.config_real_ns = clock_real_ns();
	log_info("web-config", "loaded %s", path);
	if (web->config.tls && web->tls.expires_s < (int64_t)(clock_real_ns() / NS_PER_S))
		log_warn("web-config", "the certificate in %s has expired", web->config.cert_file);
}

static void accept_some(struct server *server, const struct listener *listener)
{
	struct endpoint *endpoint = listener->is_unix ? server->local : server->tcp;

	for (int i = 0; i < ACCEPT_BATCH; i++) {
		struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
		socklen_t bytes = sizeof(peer);
		int fd = accept4(listener->fd, (struct sockaddr *)&peer, &bytes,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		uint8_t key[16];

		if (fd < 0) {
			if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
				server->core.stats.refused[REFUSED_ACCEPT]++;
			return;
		}
		listen_peer_bytes((struct sockaddr *)&peer, key);
		connections_make_room(&server->core.connections, listener->is_unix, key);
		if (listener->is_unix)
			bytes = sizeof(sa_family_t);
		if (!endpoint_add(endpoint, fd, (struct sockaddr *)&peer, bytes))
			server->core.stats.refused[REFUSED_ACCEPT]++;
	}
}

static void take_signals(struct server *server)
{
	int signo;

	while ((signo = signals_take(server->signal_fd)) != 0) {
		if (signo == SIGHUP)
			reload(server, true);
		else
			server->done = true;
	}
}

/* Reads every second even without requests: the pages stay mapped, and the log says when the
 * agent goes away. An agent that starts together with us gets some time. */
static void watch_table(struct server *server, uint64_t now_ns)
{
	struct source *source = &server->core.app->source;
	const struct snapshot *snap = source_snapshot(source, now_ns, clock_real_ns());
	const char *state = snap ? health_state(snap) : source_missing_state(source);

	if (now_ns - server->started_ns < PATIENCE_NS || !strcmp(server->table_state, state))
		return;
	log_info("table", "%s: %s", state, snap ? health_reason(snap) : source->why);
	server->table_state = state;
}

/* Once a second, and whenever a budget may be used up. */
static void tick(struct server *server, uint64_t now_ns)
{
	connections_expire(&server->core.connections, now_ns);
	server->core.stats.refused[REFUSED_EVICTED] = server->core.connections.evicted;
	server->core.stats.refused[REFUSED_TIMEOUT] = server->core.connections.timed_out;
	server->core.stats.connections = server->core.connections.count;
	if (now_ns - server->ticked_ns < TICK_NS)
		return;
	server->ticked_ns = now_ns;
	/* In this order: libmicrohttpd may still hold connections that were not counted yet. */
	sweep_retired(server, now_ns);
	reload(server, false);
	watch_table(server, now_ns);
	if (service_watchdog_ns() && now_ns - server->watchdog_ns > service_watchdog_ns() / 2) {
		server->watchdog_ns = now_ns;
		service_notify("WATCHDOG=1");
	}
}

static int wait_ms(struct server *server)
{
	unsigned long long shortest_ms = TICK_NS / NS_PER_MS;

	/* libmicrohttpd would poll connections whose password is being checked without a pause. */
	if (auth_collect(&server->core.gate.auth))
		return PENDING_MS;
	for (size_t i = 0; i < ENDPOINTS_MAX; i++)
		if (server->endpoints[i].daemon)
			shortest_ms = endpoint_wait_ms(&server->endpoints[i], shortest_ms);
	return (int)shortest_ms;
}

static int serve_once(struct server *server)
{
	struct pollfd pfds[1 + LISTEN_MAX + ENDPOINTS_MAX];
	size_t listeners = server->listeners->count;
	nfds_t n = 0;

	pfds[n++] = (struct pollfd){.fd = server->signal_fd, .events = POLLIN};
	for (size_t i = 0; i < listeners; i++)
		pfds[n++] = (struct pollfd){.fd = server->listeners->list[i].fd, .events = POLLIN};
	for (size_t i = 0; i < ENDPOINTS_MAX; i++)
		if (server->endpoints[i].daemon)
			pfds[n++] = (struct pollfd){.fd = server->endpoints[i].epoll_fd,
						    .events = POLLIN};
	if (poll(pfds, n, wait_ms(server)) < 0 && errno != EINTR)
		return -errno;
	if (pfds[0].revents)
		take_signals(server);
	for (size_t i = 0; i < listeners; i++)
		if (pfds[1 + i].revents)
			accept_some(server, &server->listeners->list[i]);
	for (size_t i = 0; i < ENDPOINTS_MAX; i++)
		if (server->endpoints[i].daemon)
			endpoint_run(&server->endpoints[i]);
	tick(server, clock_boot_ns());
	return 0;
}

/* Unix sockets do not report this; there the oldest goes. */
static uint64_t sent_bytes(int fd)
{
	struct tcp_info info;
	socklen_t bytes = sizeof(info);

	memset(&info, 0, sizeof(info));
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) < 0 ? 0 : info.tcpi_bytes_acked;
}

int server_start_threads(struct server *server)
{
	server->core.gate.auth.worker = auth_worker_start();
	return server->core.gate.auth.worker ? 0 : -errno;
}

struct server *server_start(const struct server_options *options, struct app *app,
			    struct listeners *listeners)
{
	struct server *server = calloc(1, sizeof(*server));
	struct conn_limits limits = {.all = options->max_connections,
				     .per_peer = options->max_connections / PEER_SHARE + 1,
				     .busy = options->max_requests,
				     .busy_per_peer = options->max_requests / PEER_SHARE + 1,
				     .sent_bytes = sent_bytes,
				     .header_ns = HEADER_NS,
				     .reply_ns = REPLY_NS,
				     .idle_ns = IDLE_NS};
	struct web *web;
	char why[512];

	if (!server)
		return NULL;
	server->options = *options;
	server->core.app = app;
	server->listeners = listeners;
	server->signal_fd = signals_open();
	server->table_state = "up";
	app->stats = &server->core.stats;
	server->core.gate.refused = server->core.stats.refused;
	connections_init(&server->core.connections, &limits);
	web = server->signal_fd < 0 ? NULL : web_load(options->config_path, why, sizeof(why));
	if (!web) {
		if (server->signal_fd < 0)
			log_error("http", "no descriptor for signals: %s",
				  strerror(-server->signal_fd));
		else
			log_error("web-config", "%s", why);
		free(server);
		return NULL;
	}
	server->local = &server->endpoints[0];
	if (endpoint_start(server->local, &server->core, web, true) < 0 || adopt(server, web) < 0) {
		log_error("http", "libmicrohttpd does not start; is its TLS support missing?");
		web_free(web);
		server->core.gate.web = NULL;
		server_stop(server);
		return NULL;
	}
	server->core.stats.config_ok = true;
	server->core.stats.config_real_ns = options->config_path ? clock_real_ns() : 0;
	return server;
}

int server_run(struct server *server)
{
	int err = 0;

	server->started_ns = clock_boot_ns();
	watch_table(server, server->started_ns);
	service_notify("READY=1");
	while (!server->done && !err)
		err = serve_once(server);
	service_notify("STOPPING=1");
	return err;
}

void server_stop(struct server *server)
{
	auth_worker_stop(server->core.gate.auth.worker);
	for (size_t i = 0; i < ENDPOINTS_MAX; i++) {
		endpoint_stop(&server->endpoints[i]);
		if (server->endpoints[i].retired_ns)
			web_free(server->endpoints[i].web);
	}
	web_free(server->core.gate.web);
	if (server->signal_fd >= 0)
		close(server->signal_fd);
	free(server);
}
