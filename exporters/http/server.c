// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/http/routes/routes.h"
#include "exporters/http/toolkit/listen.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#define EXCHANGE_MAGIC 0x78636867u
#define MEMORY_BYTES   ((size_t)32 * 1024) /* of one connection: header and reply's head */
#define CLOSING_ROOM   128u		   /* ended ones that are not closed yet */

/* What belongs to one request. */
struct exchange {
	uint32_t magic;
	bool seen; /* the first callback has been called */
	struct gate_request gate;
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

static bool sees_hosts(const struct endpoint *endpoint, struct MHD_Connection *connection,
		       const struct conn *conn, const struct gate_view *view)
{
	const union MHD_ConnectionInfo *info;
	enum show_hosts show = endpoint->core->app->options.show_hosts;

	if (show == SHOW_HOSTS_ALL || conn->is_unix || endpoint->core->gate.web->config.user_count)
		return true; /* with users configured, this client has logged in */
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (info && endpoint->web && endpoint->web->config.tls &&
	    tls_client_verified(info->tls_session, &endpoint->web->tls))
		return true;
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	return show == SHOW_HOSTS_LOOPBACK && info && listen_is_loopback(info->client_addr) &&
	       gate_is_direct(view);
}

/* Connected under an earlier configuration, whose TLS accepted it. Users and passwords are always
 * those now in force. */
static bool is_outdated(const struct endpoint *endpoint)
{
	return endpoint->retired_ns &&
	       (endpoint->web->config.tls || endpoint->core->gate.web->config.tls);
}

static void add_common_headers(const struct server_core *core, struct MHD_Response *reply)
{
	static const char *const common[][2] = {
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "no-referrer"},
		{"Content-Security-Policy",
		 "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; "
		 "img-src 'self'; base-uri 'none'; "
		 "form-action 'none'; frame-ancestors 'none'"}};
	const struct web_config *config = &core->gate.web->config;

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

static enum MHD_Result send_response(const struct server_core *core,
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
	add_common_headers(core, reply);
	if (response->close)
		MHD_add_response_header(reply, "Connection", "close");
	result = MHD_queue_response(connection, response->status, reply);
	MHD_destroy_response(reply);
	return result;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload_data,
				  size_t *upload_bytes, void **context)
{
	struct endpoint *endpoint;
	struct exchange *exchange;
	struct gate_view view = {.malformed = false};
	struct conn *conn = conn_of(connection);
	struct server_core *core;
	enum gate_verdict verdict;
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
	core = endpoint->core;
	MHD_get_connection_values(connection, MHD_HEADER_KIND, see_header, &view);
	/* If the answer comes before a body could be read, libmicrohttpd closes the connection.
	 * Only requests without a body wait for the second call, and keep it open. */
	if (!exchange->seen && gate_is_plain(method, &view)) {
		exchange->seen = true;
		return MHD_YES;
	}
	response_init(&response);
	exchange->gate.method = method;
	verdict = gate_admit(&core->gate, &exchange->gate, &view, clock_boot_ns(), &response);
	/* Without a response libmicrohttpd calls again each time it runs. */
	if (verdict == GATE_WAIT)
		return MHD_YES;
	if (!connections_begin(&core->connections, conn, clock_boot_ns()) && verdict == GATE_ADMIT)
		gate_refuse_busy(&core->gate, &response);
	else if (verdict == GATE_ADMIT && is_outdated(endpoint))
		gate_refuse_retired(&response);
	else if (verdict == GATE_ADMIT) {
		request = (struct request){.query = &exchange->query,
					   .accept = view.accept,
					   .accept_encoding = view.accept_encoding,
					   .if_none_match = view.if_none_match,
					   .sees_hosts =
						   sees_hosts(endpoint, connection, conn, &view)};
		routes_handle(core->app, &request, &response);
		core->stats.refused[REFUSED_HOSTS] += response.status == 403;
	}
	if (endpoint->retired_ns)
		response.close = true;
	return send_response(core, connection, &response);
}

static void *on_target(void *cls, const char *target, struct MHD_Connection *connection)
{
	struct exchange *exchange = malloc(sizeof(*exchange));
	struct conn *conn = conn_of(connection);
	struct endpoint *endpoint;

	OBJECT_TAKE(endpoint, cls, ENDPOINT_MAGIC);
	/* The budget of a first header runs from the start; it is not renewed here. */
	if (conn && conn->phase == CONN_IDLE)
		connections_set_phase(&endpoint->core->connections, conn, CONN_FRESH,
				      clock_boot_ns());
	if (!exchange)
		return NULL;
	exchange->magic = EXCHANGE_MAGIC;
	exchange->seen = false;
	exchange->gate = (struct gate_request){.query = &exchange->query};
	exchange->gate.query_error = query_parse(target, &exchange->query);
	return exchange;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode how)
{
	struct conn *conn = conn_of(connection);
	struct endpoint *endpoint;
	char byte;

	(void)how;
	OBJECT_TAKE(endpoint, cls, ENDPOINT_MAGIC);
	free(*context);
	*context = NULL;
	if (!conn)
		return;
	connections_set_phase(&endpoint->core->connections, conn, CONN_IDLE, clock_boot_ns());
	/* With edge-triggered epoll(7) libmicrohttpd misses an end that comes together with the
	 * request. */
	if (recv(conn->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		connections_end(&endpoint->core->connections, conn);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **socket_context,
			  enum MHD_ConnectionNotificationCode what)
{
	const union MHD_ConnectionInfo *info;
	struct endpoint *endpoint;
	struct server_core *core;
	struct conn *conn;
	uint8_t peer[16];
	int fd;

	OBJECT_TAKE(endpoint, cls, ENDPOINT_MAGIC);
	core = endpoint->core;
	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*socket_context) {
			OBJECT_TAKE(conn, *socket_context, CONN_MAGIC);
			connections_remove(&core->connections, conn);
		}
		*socket_context = NULL;
		return;
	}
	fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	listen_peer_bytes(info->client_addr, peer);
	*socket_context = connections_add(&core->connections, fd, endpoint->is_local, peer,
					  endpoint, clock_boot_ns());
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (info && endpoint->web && endpoint->web->config.tls)
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

int endpoint_start(struct endpoint *endpoint, struct server_core *core, struct web *web,
		   bool is_local)
{
	struct MHD_OptionItem tls[5] = {{MHD_OPTION_END, 0, NULL}};
	bool speaks_tls = web->config.tls && !is_local;
	const union MHD_DaemonInfo *info;
	size_t n = 0;

	endpoint->magic = ENDPOINT_MAGIC;
	endpoint->core = core;
	endpoint->is_local = is_local;
	/* Without TLS it needs none, and it outlives the one it was started with. */
	endpoint->web = is_local ? NULL : web;
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
		(unsigned int)(core->connections.limits.all + CLOSING_ROOM),
		MHD_OPTION_URI_LOG_CALLBACK, on_target, endpoint, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, endpoint, MHD_OPTION_NOTIFY_CONNECTION, on_connection, endpoint,
		MHD_OPTION_END);
	if (!endpoint->daemon)
		return -EIO;
	info = MHD_get_daemon_info(endpoint->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	endpoint->epoll_fd = info ? info->epoll_fd : -1;
	return endpoint->epoll_fd < 0 ? -EIO : 0;
}

void endpoint_stop(struct endpoint *endpoint)
{
	if (endpoint->daemon)
		MHD_stop_daemon(endpoint->daemon);
	endpoint->daemon = NULL;
}

bool endpoint_add(struct endpoint *endpoint, int fd, const struct sockaddr *peer, socklen_t bytes)
{
	return MHD_add_connection(endpoint->daemon, fd, peer, bytes) == MHD_YES;
}

void endpoint_run(struct endpoint *endpoint)
{
	MHD_run(endpoint->daemon);
}

unsigned long long endpoint_wait_ms(const struct endpoint *endpoint, unsigned long long most_ms)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(endpoint->daemon, &ms) == MHD_YES && ms < most_ms)
		return ms;
	return most_ms;
}
