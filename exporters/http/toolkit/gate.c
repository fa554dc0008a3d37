// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/toolkit/gate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

static bool is_token(const char *name)
{
	for (const char *at = name; *at; at++)
		if (*at <= ' ' || *at > '~' || strchr("\"(),/:;<=>?@[\\]{}", *at))
			return false;
	return *name != '\0';
}

void gate_see_header(struct gate_view *view, const char *name, const char *value)
{
	const char **to = !strcasecmp(name, "accept")		 ? &view->accept
			  : !strcasecmp(name, "accept-encoding") ? &view->accept_encoding
			  : !strcasecmp(name, "if-none-match")	 ? &view->if_none_match
			  : !strcasecmp(name, "authorization")	 ? &view->authorization
			  : !strcasecmp(name, "host")		 ? &view->host
								 : NULL;

	view->malformed |= !is_token(name);
	view->has_body |=
		!strcasecmp(name, "content-length") || !strcasecmp(name, "transfer-encoding");
	view->forwarded |= !strcasecmp(name, "forwarded") || !strcasecmp(name, "via") ||
			   !strncasecmp(name, "x-forwarded-", 12) || !strcasecmp(name, "x-real-ip");
	if (to && !*to)
		*to = value;
	else if (to == &view->host)
		view->malformed = true;
}

/* Nothing, or ":" and digits. */
static bool is_port_end(const char *text)
{
	return !*text || (*text == ':' && text[1 + strspn(text + 1, "0123456789")] == '\0');
}

static bool host_is_local(const char *host)
{
	char name[INET6_ADDRSTRLEN];
	bool bracketed = host && host[0] == '[';
	struct in6_addr address;
	size_t bytes;

	if (!host)
		return true;
	host += bracketed;
	bytes = strcspn(host, bracketed ? "]" : ":");
	if (bytes >= sizeof(name) || !is_port_end(host + bytes + (bracketed && host[bytes])))
		return false;
	memcpy(name, host, bytes);
	name[bytes] = '\0';
	if (bracketed)
		return host[bytes] && inet_pton(AF_INET6, name, &address) == 1;
	return !strcasecmp(name, "localhost") || inet_pton(AF_INET, name, &address) == 1;
}

bool gate_is_direct(const struct gate_view *view)
{
	return !view->forwarded && host_is_local(view->host);
}

static bool is_read(const char *method)
{
	return !strcmp(method, "GET") || !strcmp(method, "HEAD");
}

bool gate_is_plain(const char *method, const struct gate_view *view)
{
	return is_read(method) && !view->has_body && !view->malformed;
}

/* The form of the request: what fails here ends the connection, because nobody
 * can know where the next request would begin. */
static enum refusal check_form(const char *method, const struct query *query, int query_error,
			       const struct gate_view *view, struct response *response)
{
	if (view->has_body) {
		response_problem(response, 413, NULL, "Requests with a body are not taken here.");
		return REFUSED_BODY;
	}
	if (view->malformed) {
		response_problem(response, 400, NULL, "A header is malformed.");
		return REFUSED_TARGET;
	}
	if (!is_read(method)) {
		response_problem(response, 405, NULL, "Only GET and HEAD are understood here.");
		response_header(response, "Allow", "GET, HEAD");
		return REFUSED_METHOD;
	}
	if (query_error) {
		response_problem(response, query_error == -E2BIG ? 414 : 400, NULL,
				 "The request is refused: %s.", query->error);
		return REFUSED_TARGET;
	}
	return REFUSED_COUNT;
}

static enum refusal check_rate(struct gate *gate, struct gate_request *request, uint64_t now_ns,
			       struct response *response)
{
	if (!request->rate_taken && !web_rate_allows(gate->web, now_ns)) {
		response_problem(response, 429, NULL, "Too many requests; see rate_limit.");
		response_header(response, "Retry-After", "1");
		return REFUSED_RATE;
	}
	request->rate_taken = true;
	return REFUSED_COUNT;
}

void gate_refuse_busy(struct gate *gate, struct response *response)
{
	response_problem(response, 503, NULL, "Too many requests at once.");
	response_header(response, "Retry-After", "1");
	gate->refused[REFUSED_BUSY]++;
}

void gate_refuse_retired(struct response *response)
{
	response_problem(response, 503, NULL, "The configuration has changed; connect anew.");
	response_header(response, "Retry-After", "1");
	response->close = true;
}

static enum refusal check_login(struct gate *gate, const struct gate_view *view, uint64_t now_ns,
				bool *ret_wait, struct response *response)
{
	switch (auth_check(&gate->auth, &gate->web->config, view->authorization, now_ns)) {
	case AUTH_OK:
		return REFUSED_COUNT;
	case AUTH_PENDING:
		*ret_wait = true;
		return REFUSED_COUNT;
	case AUTH_TOO_MANY:
		response_problem(response, 429, NULL, "Too many logins failed lately.");
		response_header(response, "Retry-After", "2");
		return REFUSED_GUESSES;
	case AUTH_DENIED:
		break;
	}
	response_problem(response, 401, NULL, "User name and password are needed.");
	response_header(response, "WWW-Authenticate",
			"Basic realm=\"conntide\", charset=\"UTF-8\"");
	return REFUSED_AUTH;
}

enum gate_verdict gate_admit(struct gate *gate, struct gate_request *request,
			     const struct gate_view *view, uint64_t now_ns,
			     struct response *response)
{
	enum refusal why =
		check_form(request->method, request->query, request->query_error, view, response);
	bool wait = false;

	if (why != REFUSED_COUNT)
		response->close = true;
	if (why == REFUSED_COUNT)
		why = check_rate(gate, request, now_ns, response);
	if (why == REFUSED_COUNT)
		why = check_login(gate, view, now_ns, &wait, response);
	if (why == REFUSED_COUNT)
		return wait ? GATE_WAIT : GATE_ADMIT;
	gate->refused[why]++;
	return GATE_REFUSE;
}
