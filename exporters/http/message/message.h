// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A request and a reply as the routes see them, free of any server library.
 *
 * Ownership: everything in a request belongs to the server and lives while it is
 * handled; a reply's body is the server's to free.
 */
#ifndef CONNTIDE_HTTP_MESSAGE_MESSAGE_H
#define CONNTIDE_HTTP_MESSAGE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "exporters/http/message/query.h"
#include "exporters/render/text.h"

/*
 * --web.show-hosts: who sees addresses of hosts besides authenticated clients and unix
 * sockets. Loopback cannot be told from a proxy on this machine, which stands for anybody.
 */
enum show_hosts { SHOW_HOSTS_NONE, SHOW_HOSTS_LOOPBACK, SHOW_HOSTS_ALL };

struct request {
	const struct query *query;
	const char *accept; /* these: NULL when not sent */
	const char *accept_encoding;
	const char *if_none_match;
	bool sees_hosts; /* may see their addresses: see enum show_hosts */
};

#define RESPONSE_HEADERS_MAX 12u

struct response_header {
	const char *name; /* static */
	char value[256];
};

struct response {
	unsigned int status;
	char content_type[128];
	struct text body;
	struct response_header headers[RESPONSE_HEADERS_MAX];
	size_t header_count;
	bool close;	 /* end the connection afterwards */
	bool changeless; /* never compressed, no ETag: health, errors */
};

enum refusal {
	REFUSED_BODY,
	REFUSED_METHOD,
	REFUSED_TARGET, /* address malformed or too long */
	REFUSED_AUTH,
	REFUSED_GUESSES, /* too many failed logins */
	REFUSED_RATE,	 /* rate_limit of the web configuration */
	REFUSED_BUSY,	 /* --web.max-requests */
	REFUSED_HOSTS,	 /* addresses asked for from elsewhere */
	REFUSED_EVICTED, /* made room for a newcomer */
	REFUSED_TIMEOUT, /* too slow */
	REFUSED_ACCEPT,	 /* could not be accepted: descriptors, memory */
	REFUSED_COUNT
};

/* What the server knows about itself and /metrics shows. */
struct http_stats {
	uint64_t refused[REFUSED_COUNT];
	uint64_t connections;
	bool config_ok;
	uint64_t config_real_ns; /* 0 without a file */
};

const char *refusal_name(enum refusal reason);

void response_init(struct response *response);
void response_header(struct response *response, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void response_type(struct response *response, unsigned int status, const char *content_type);

/* Throws away what was there and makes it an error after RFC 9457. `parameter` may be NULL. */
void response_problem(struct response *response, unsigned int status, const char *parameter,
		      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* "Not Found" for 404, as libmicrohttpd puts it into the status line; never NULL. */
const char *http_status_text(unsigned int status);

#endif
