// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/message/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "exporters/render/json.h"
#include "lib/base/check.h"

const char *refusal_name(enum refusal reason)
{
	static const char *const names[REFUSED_COUNT] = {"body",    "method",  "target", "auth",
							 "guesses", "rate",    "busy",	 "hosts",
							 "evicted", "timeout", "accept"};

	return names[reason];
}

void response_init(struct response *response)
{
	memset(response, 0, sizeof(*response));
	text_init(&response->body);
	response->status = 200;
}

void response_header(struct response *response, const char *name, const char *fmt, ...)
{
	struct response_header *header;
	va_list args;

	BUG_ON(response->header_count == RESPONSE_HEADERS_MAX);
	header = &response->headers[response->header_count++];
	header->name = name;
	va_start(args, fmt);
	vsnprintf(header->value, sizeof(header->value), fmt, args);
	va_end(args);
}

void response_type(struct response *response, unsigned int status, const char *content_type)
{
	response->status = status;
	snprintf(response->content_type, sizeof(response->content_type), "%s", content_type);
}

void response_problem(struct response *response, unsigned int status, const char *parameter,
		      const char *fmt, ...)
{
	char detail[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(detail, sizeof(detail), fmt, args);
	va_end(args);
	text_clear(&response->body);
	response->header_count = 0;
	response->changeless = true;
	response_type(response, status, "application/problem+json");
	json_problem(status, http_status_text(status), detail, NULL, parameter, &response->body);
}
