// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "exporters/http/connections.h"
#include "exporters/http/gate.h"
#include "exporters/http/routes.h"
#include "exporters/http/systemd.h"
#include "exporters/http/web.h"
#include "exporters/render/judge.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define ENDPOINT_MAGIC 0x656e6470u
#define EXCHANGE_MAGIC 0x78636867u

#define HEADER_NS	(10 * NS_PER_S)
#define REPLY_NS	(30 * NS_PER_S)
#define IDLE_NS		(120 * NS_PER_S)
#define TICK_NS		NS_PER_S
#define DRAIN_NS	(5 * NS_PER_S)
#define ACCEPT_BATCH	32
#define MEMORY_BYTES	((size_t)32 * 1024) /* of one connection: header and reply's head */
#define CLOSING_ROOM	128u		    /* evicted ones on their way out */
#define PEER_SHARE	4u		    /* of all connections, for one address */
#define ENDPOINTS_MAX	6u /* two in use, the others drained after a reload */

/* One libmicrohttpd daemon without a socket of its own. */
struct endpoint {
	uint32_t magic;
	struct server *server;
	struct MHD_Daemon *daemon; /* NULL: free */
	struct web *web;	   /* what it speaks TLS with; owned while retired */
	uint64_t retired_ns;
	int epoll_fd;
};

struct server {
	struct server_options options;
	struct app *app;
	struct listeners *listeners;
	struct connections connections;
	struct http_stats stats;
	struct gate gate; /* and the web configuration in force */
	struct endpoint endpoints[ENDPOINTS_MAX];
	struct endpoint *tcp;	/* the one newcomers are given to */
	struct endpoint *local; /* unix sockets: never TLS */
	uint64_t signature; /* of the files last looked at */
	uint64_t ticked_ns;
	uint64_t watchdog_ns;
	const char *table_state; /* as last logged */
	int signal_fd;
	bool done;
};

/* What belongs to one request. */
struct exchange {
	uint32_t magic;
	int parse_error;
	bool seen; /* the first callback is behind us */
	struct query query;
};

static struct conn *conn_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct conn *conn;

	if (!info || !info->socket_context)
		return NULL;
	OBJECT_TAKE(conn, info->socket_context, CONN_MAGIC);
	return conn;
}

static enum MHD_Result see_header(void *cls, enum MHD_ValueKind kind, const char *name,
				  const char *value)
{
	(void)kind;
	gate_see_header(cls, name, value ? value : "");
	return MHD_YES;
}

static bool is_trusted(const struct endpoint *endpoint, struct MHD_Connection *connection,
		       const struct conn *conn, const struct gate_view *view)
{
	const union MHD_ConnectionInfo *info;

	if (conn->is_unix || endpoint->server->gate.web->config.user_count)
		return true; /* with users, who comes this far has logged in */
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (info && endpoint->web->config.tls &&
	    tls_client_verified(info->tls_session, &endpoint->web->tls))
		return true;
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	return info && listen_is_loopback(info->client_addr) && gate_is_direct(view);
}

static void add_common_headers(const struct server *server, struct MHD_Response *reply)
{
	static const char *const common[][2] = {
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "no-referrer"},
		{"Content-Security-Policy",
		 "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
		 "form-action 'none'; frame-ancestors 'none'"}};
	const struct web_config *config = &server->gate.web->config;

	for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
		bool overridden = false;

		for (size_t k = 0; k < config->header_count; k++)
			overridden |= !strcmp(common[i][0], config->headers[k].name);
		if (!overridden)
			MHD_add_response_header(reply, common[i][0], common[i][1]);
	}
	for (size_t k = 0; k < config->header_count; k++)
		MHD_add_response_header(reply, config->headers[k].name, config->headers[k].value);
}

static enum MHD_Result send_response(const struct server *server,
				     struct MHD_Connection *connection, struct response *response)
{
	struct MHD_Response *reply;
	enum MHD_Result result;
	size_t bytes;
	char *body = text_steal(&response->body, &bytes);

	reply = MHD_create_response_from_buffer(body ? bytes : 0, body ? body : (void *)response,
						body ? MHD_RESPMEM_MUST_FREE
						     : MHD_RESPMEM_MUST_COPY);
	if (!reply) {
		free(body);
		return MHD_NO;
	}
	if (response->content_type[0])
		MHD_add_response_header(reply, "Content-Type", response->content_type);
	for (size_t i = 0; i < response->header_count; i++)
		MHD_add_response_header(reply, response->headers[i].name,
					response->headers[i].value);
	add_common_headers(server, reply);
	if (response->close)
		MHD_add_response_header(reply, "Connection", "close");
	result = MHD_queue_response(connection, response->status, reply);
	MHD_destroy_response(reply);
	return result;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version,
				  const char *upload_data, size_t *upload_bytes, void **context)
{
	struct endpoint *endpoint;
	struct exchange *exchange;
	struct gate_view view = {.malformed = false};
	struct conn *conn = conn_of(connection);
	struct server *server;
	struct request request;
	struct response response;

	(void)url;
	(void)version;
	(void)upload_data;
	(void)upload_bytes;
	OBJECT_TAKE(endpoint, cls, ENDPOINT_MAGIC);
	if (!*context || !conn)
		return MHD_NO; /* memory ran out before */
	OBJECT_TAKE(exchange, *context, EXCHANGE_MAGIC);
	server = endpoint->server;
	connections_set_phase(&server->connections, conn, CONN_BUSY, clock_boot_ns());
	MHD_get_connection_values(connection, MHD_HEADER_KIND, see_header, &view);
	/* Answered before a body could be read, libmicrohttpd closes the connection.
	 * Only what announces none may wait for the second call, and keeps it. */
	if (!exchange->seen && gate_is_plain(method, &view)) {
		exchange->seen = true;
		return MHD_YES;
	}
	response_init(&response);
	if (gate_admit(&server->gate, method, &exchange->query, exchange->parse_error, &view,
		       server->connections.busy, clock_boot_ns(), &response)) {
		request = (struct request){
			.query = &exchange->query,
			.accept = view.accept,
			.accept_encoding = view.accept_encoding,
			.if_none_match = view.if_none_match,
			.trusted = is_trusted(endpoint, connection, conn, &view)};
		routes_handle(server->app, &request, &response);
		server->stats.refused[REFUSED_HOSTS] += response.status == 403;
	}
	if (endpoint->retired_ns)
		response.close = true;
	return send_response(server, connection, &response);
}

static void *on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
	struct exchange *exchange = malloc(sizeof(*exchange));
	struct conn *conn = conn_of(connection);
	struct endpoint *endpoint;

	OBJECT_TAKE(endpoint, cls, ENDPOINT_MAGIC);
	/* The budget of a first header runs from the start; it is not renewed here. */
	if (conn && conn->phase == CONN_IDLE)
		connections_set_phase(&endpoint->server->connections, conn, CONN_FRESH,
				      clock_boot_ns());
	if (!exchange)
		return NULL;
	exchange->magic = EXCHANGE_MAGIC;
	exchange->seen = false;
	exchange->parse_error = query_parse(target, &exchange->query);
	return exchange;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode how)
{
	struct conn *conn = conn_of(connection);
	struct endpoint *endpoint;

	(void)how;
	OBJECT_TAKE(endpoint, cls, ENDPOINT_MAGIC);
	free(*context);
	*context = NULL;
	if (conn)
		connections_set_phase(&endpoint->server->connections, conn, CONN_IDLE,
				      clock_boot_ns());
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *info;
	struct endpoint *endpoint;
	struct server *server;
	struct conn *conn;
	uint8_t peer[16];
	int fd;

	OBJECT_TAKE(endpoint, cls, ENDPOINT_MAGIC);
	server = endpoint->server;
	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*socket_context) {
			OBJECT_TAKE(conn, *socket_context, CONN_MAGIC);
			connections_remove(&server->connections, conn);
		}
		*socket_context = NULL;
		return;
	}
	fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	listen_peer_bytes(info->client_addr, peer);
	*socket_context = connections_add(&server->connections, fd, endpoint == server->local,
					  peer, endpoint, clock_boot_ns());
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (info && endpoint->web->config.tls)
		tls_prepare_session(info->tls_session, &endpoint->web->tls);
}

__attribute__((format(printf, 2, 0))) static void on_log(void *cls, const char *fmt, va_list args)
{
	char line[256];

	(void)cls;
	if (!log_wants(LOG_DEBUG))
		return;
	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\r\n")] = '\0';
	log_debug("http", "libmicrohttpd: %s", line);
}

static int endpoint_start(struct server *server, struct endpoint *endpoint, struct web *web,
			  bool is_local)
{
	struct MHD_OptionItem tls[5] = {{MHD_OPTION_END, 0, NULL}};
	bool speaks_tls = web->config.tls && !is_local;
	const union MHD_DaemonInfo *info;
	size_t n = 0;

	endpoint->magic = ENDPOINT_MAGIC;
	endpoint->server = server;
	endpoint->web = web;
	endpoint->retired_ns = 0;
	if (speaks_tls) {
		tls[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, web->tls.key_pem};
		tls[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, web->tls.cert_pem};
		tls[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0,
						   web->tls.priorities};
		if (web->tls.ca_pem)
			tls[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0,
							   web->tls.ca_pem};
		tls[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
	}
	endpoint->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG |
			(speaks_tls ? MHD_USE_TLS : 0),
		0, NULL, NULL, on_request, endpoint, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
		MHD_OPTION_ARRAY, tls, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_BYTES, MHD_OPTION_CONNECTION_LIMIT,
		(unsigned int)(server->options.max_connections + CLOSING_ROOM),
		MHD_OPTION_URI_LOG_CALLBACK, on_target, endpoint, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, endpoint, MHD_OPTION_NOTIFY_CONNECTION, on_connection, endpoint,
		MHD_OPTION_END);
	if (!endpoint->daemon)
		return -EIO;
	info = MHD_get_daemon_info(endpoint->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	endpoint->epoll_fd = info ? info->epoll_fd : -1;
	return endpoint->epoll_fd < 0 ? -EIO : 0;
}

static void endpoint_stop(struct endpoint *endpoint)
{
	if (endpoint->daemon)
		MHD_stop_daemon(endpoint->daemon);
	endpoint->daemon = NULL;
}


static void endpoint_retire(struct server *server, struct endpoint *endpoint, uint64_t now_ns)
{
	endpoint->retired_ns = now_ns;
	/* Those at rest need not wait; the others finish what they are at. */
	connections_drop_idle(&server->connections, endpoint);
}

static void sweep_retired(struct server *server, uint64_t now_ns)
{
	for (size_t i = 0; i < ENDPOINTS_MAX; i++) {
		struct endpoint *endpoint = &server->endpoints[i];

		if (!endpoint->daemon || !endpoint->retired_ns ||
		    (connections_of(&server->connections, endpoint) &&
		     now_ns - endpoint->retired_ns < DRAIN_NS))
			continue;
		endpoint_stop(endpoint);
		web_free(endpoint->web);
		endpoint->web = NULL;
	}
}

static struct endpoint *free_endpoint(struct server *server)
{
	for (size_t i = 0; i < ENDPOINTS_MAX; i++)
		if (!server->endpoints[i].daemon)
			return &server->endpoints[i];
	return NULL;
}

/* The new configuration with all that hangs on it, or everything as it was. */
static int adopt(struct server *server, struct web *web)
{
	struct endpoint *endpoint = free_endpoint(server);
	struct endpoint *old = server->tcp;
	int err = endpoint ? endpoint_start(server, endpoint, web, false) : -EBUSY;

	if (err)
		return err;
	server->tcp = endpoint;
	server->gate.web = web;
	auth_init(&server->gate.auth);
	if (old)
		endpoint_retire(server, old, clock_boot_ns());
	return 0;
}

static void reload(struct server *server, bool asked)
{
	const char *path = server->options.config_path;
	uint64_t signature;
	struct web *web;
	char why[512];

	if (!path)
		return;
	signature = web_signature(path, server->gate.web);
	if (!asked && signature == server->signature)
		return;
	server->signature = signature;
	web = web_load(path, why, sizeof(why));
	if (web && adopt(server, web) < 0) {
		snprintf(why, sizeof(why), "the server refuses it");
		web_free(web);
		web = NULL;
	}
	server->stats.config_ok = web != NULL;
	if (!web) {
		log_error("web-config", "broken, the one before stays in force: %s", why);
		return;
	}
	server->signature = web_signature(path, web);
	server->stats.config_real_ns = clock_real_ns();
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
				server->stats.refused[REFUSED_ACCEPT]++;
			return;
		}
		listen_peer_bytes((struct sockaddr *)&peer, key);
		connections_make_room(&server->connections, listener->is_unix, key);
		if (listener->is_unix)
			bytes = sizeof(sa_family_t);
		if (MHD_add_connection(endpoint->daemon, fd, (struct sockaddr *)&peer, bytes) !=
		    MHD_YES)
			server->stats.refused[REFUSED_ACCEPT]++;
	}
}

static void take_signals(struct server *server)
{
	struct signalfd_siginfo info;

	while (read(server->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			reload(server, true);
		else
			server->done = true;
	}
}

/* Looked at every second also when nobody asks: the pages stay mapped, and the log
 * says when the agent went away. */
static void watch_table(struct server *server, uint64_t now_ns)
{
	struct source *source = &server->app->source;
	const struct snapshot *snap = source_snapshot(source, now_ns, clock_real_ns());
	const char *state = snap ? judge_state(snap) : source_missing_state(source);

	if (server->table_state && strcmp(server->table_state, state) != 0)
		log_info("table", "%s: %s", state, snap ? judge_reason(snap) : source->why);
	server->table_state = state;
}

/* Once a second, and whenever a budget may be used up. */
static void tick(struct server *server, uint64_t now_ns)
{
	connections_expire(&server->connections, now_ns);
	server->stats.refused[REFUSED_EVICTED] = server->connections.evicted;
	server->stats.refused[REFUSED_TIMEOUT] = server->connections.timed_out;
	server->stats.connections = server->connections.count;
	if (now_ns - server->ticked_ns < TICK_NS)
		return;
	server->ticked_ns = now_ns;
	/* In this order: libmicrohttpd may still hold newcomers that nobody has counted. */
	sweep_retired(server, now_ns);
	reload(server, false);
	watch_table(server, now_ns);
	if (notify_watchdog_ns() && now_ns - server->watchdog_ns > notify_watchdog_ns() / 2) {
		server->watchdog_ns = now_ns;
		notify_send("WATCHDOG=1");
	}
}

static int wait_ms(struct server *server)
{
	unsigned long long shortest_ms = TICK_NS / NS_PER_MS;

	for (size_t i = 0; i < ENDPOINTS_MAX; i++) {
		MHD_UNSIGNED_LONG_LONG ms;

		if (server->endpoints[i].daemon &&
		    MHD_get_timeout(server->endpoints[i].daemon, &ms) == MHD_YES &&
		    ms < shortest_ms)
			shortest_ms = ms;
	}
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
			MHD_run(server->endpoints[i].daemon);
	tick(server, clock_boot_ns());
	return 0;
}

struct server *server_start(const struct server_options *options, struct app *app,
			    struct listeners *listeners)
{
	struct server *server = calloc(1, sizeof(*server));
	struct conn_limits limits = {.all = options->max_connections,
				     .per_peer = options->max_connections / PEER_SHARE + 1,
				     .header_ns = HEADER_NS,
				     .reply_ns = REPLY_NS,
				     .idle_ns = IDLE_NS};
	struct web *web;
	char why[512];

	if (!server)
		return NULL;
	server->options = *options;
	server->app = app;
	server->listeners = listeners;
	server->signal_fd = -1;
	app->stats = &server->stats;
	server->gate.refused = server->stats.refused;
	server->gate.max_requests = options->max_requests;
	connections_init(&server->connections, &limits);
	web = web_load(options->config_path, why, sizeof(why));
	if (!web) {
		log_error("web-config", "%s", why);
		free(server);
		return NULL;
	}
	server->local = &server->endpoints[0];
	if (endpoint_start(server, server->local, web, true) < 0 || adopt(server, web) < 0) {
		log_error("http", "libmicrohttpd does not start; is its TLS support missing?");
		web_free(web);
		server->gate.web = NULL;
		server_stop(server);
		return NULL;
	}
	server->stats.config_ok = true;
	server->stats.config_real_ns = options->config_path ? clock_real_ns() : 0;
	if (options->config_path)
		server->signature = web_signature(options->config_path, web);
	return server;
}

int server_run(struct server *server)
{
	sigset_t signals;
	int err = 0;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	server->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
	if (server->signal_fd < 0)
		return -errno;
	watch_table(server, clock_boot_ns());
	notify_send("READY=1");
	while (!server->done && !err)
		err = serve_once(server);
	notify_send("STOPPING=1");
	return err;
}

void server_stop(struct server *server)
{
	for (size_t i = 0; i < ENDPOINTS_MAX; i++) {
		endpoint_stop(&server->endpoints[i]);
		if (server->endpoints[i].retired_ns)
			web_free(server->endpoints[i].web);
	}
	web_free(server->gate.web);
	if (server->signal_fd >= 0)
		close(server->signal_fd);
	free(server);
}
