// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is decided about a request before anybody looks at what it asks for: its
 * form, its sender's credentials, and whether there is time for it.
 */
#ifndef CONNTIDE_HTTP_TOOLKIT_GATE_H
#define CONNTIDE_HTTP_TOOLKIT_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exporters/http/message/message.h"
#include "exporters/http/message/query.h"
#include "exporters/http/toolkit/auth.h"
#include "exporters/http/toolkit/web.h"

struct gate {
	struct web *web; /* in force */
	struct auth auth;
	uint64_t *refused; /* [REFUSED_COUNT] */
};

/* The headers that matter here; values belong to the server, NULL when not sent. */
struct gate_view {
	const char *accept;
	const char *accept_encoding;
	const char *if_none_match;
	const char *authorization;
	const char *host;
	bool has_body;	/* announces one, in whatever way */
	bool forwarded; /* came through a proxy */
	bool malformed; /* a header name that is none, or two hosts */
};

void gate_see_header(struct gate_view *view, const char *name, const char *value);

/* Sent by a program on this host itself: not passed on by a proxy, and not by a
 * browser that a page elsewhere sent here under a name of its own (DNS rebinding: only
 * "localhost", address literals as inet_pton(3) takes them, and no Host at all are not
 * such names). A proxy that says nothing of itself cannot be told: see enum show_hosts. */
bool gate_is_direct(const struct gate_view *view);

/* GET or HEAD, no body, nothing malformed: the next request begins where this ends. */
bool gate_is_plain(const char *method, const struct gate_view *view);

/* What is known of one request, from one call of gate_admit() to the next. */
struct gate_request {
	const char *method;
	const struct query *query;
	int query_error;
	bool rate_taken; /* rate_limit has counted it; false to begin with */
};

enum gate_verdict {
	GATE_ADMIT,
	GATE_REFUSE, /* the refusal is in *response */
	GATE_WAIT    /* its password is being checked: ask again, *response is untouched */
};

enum gate_verdict gate_admit(struct gate *gate, struct gate_request *request,
			     const struct gate_view *view, uint64_t now_ns,
			     struct response *response);

/* Too many replies at once, or the configuration it was accepted under is gone: a 503 that
 * says so, and when to come back. */
void gate_refuse_busy(struct gate *gate, struct response *response);
void gate_refuse_retired(struct response *response);

#endif
