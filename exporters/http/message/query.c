// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/message/query.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/base/num.h"
#include "lib/base/utf8.h"

static const char *decode(char *text, bool plus_is_space)
{
	char *to = text;

	for (const char *from = text; *from; from++, to++) {
		unsigned char c = (unsigned char)*from;

		if (c == '%') {
			int high = num_hex_digit(from[1]);
			int low = high < 0 ? -1 : num_hex_digit(from[2]);

			if (low < 0)
				return "a % in the address is not followed by two hexadecimal "
				       "digits";
			c = (unsigned char)(high << 4 | low);
			from += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		if (c < 0x20 || c == 0x7f)
			return "the address holds a control character";
		*to = (char)c;
	}
	*to = '\0';
	return utf8_valid(text) ? NULL : "the address is not UTF-8";
}

static bool has_dot_segment(const char *path)
{
	for (const char *at = path; at; at = strchr(at + 1, '/'))
		if (!strcmp(at, "/.") || !strncmp(at, "/./", 3) || !strcmp(at, "/..") ||
		    !strncmp(at, "/../", 4))
			return true;
	return false;
}

static const char *take_param(struct query *query, char *text)
{
	char *value = strchr(text, '=');
	const char *error;

	if (query->param_count == QUERY_PARAMS_MAX)
		return "too many parameters";
	if (value)
		*value++ = '\0';
	else
		value = text + strlen(text);
	error = decode(text, true);
	if (!error)
		error = decode(value, true);
	if (error)
		return error;
	if (!*text)
		return "a parameter has no name";
	if (query_value(query, text))
		return "a parameter is given twice";
	query->params[query->param_count++] = (struct query_param){text, value};
	return NULL;
}

static const char *parse(struct query *query)
{
	char *path = query->storage;
	char *params = strpbrk(path, "?#");
	const char *error;

	if (params && *params == '#')
		return "a fragment (#) does not belong into a request";
	if (params)
		*params++ = '\0';
	error = decode(path, false);
	if (error)
		return error;
	if (has_dot_segment(path))
		return "\".\" and \"..\" are not resolved here";
	query->path = path;
	while (params && *params) {
		char *next = strchr(params, '&');

		if (next)
			*next++ = '\0';
		if (*params) {
			error = take_param(query, params);
			if (error)
				return error;
		}
		params = next;
	}
	return NULL;
}

int query_parse(const char *target, struct query *query)
{
	size_t bytes = strlen(target);

	query->path = "/";
	query->param_count = 0;
	query->error = NULL;
	if (bytes >= sizeof(query->storage)) {
		query->error = "the address is longer than 2047 bytes";
		return -E2BIG;
	}
	/* The absolute form, which every server must understand (RFC 9112, 3.2.2). */
	if (!strncmp(target, "http://", 7) || !strncmp(target, "https://", 8)) {
		const char *path = strpbrk(strchr(target, ':') + 3, "/?#");

		target = path ? path : "/";
	}
	if (target[0] != '/') {
		query->error = "the address does not begin with a slash";
		return -EINVAL;
	}
	memcpy(query->storage, target, strlen(target) + 1);
	query->error = parse(query);
	return query->error ? -EINVAL : 0;
}

const char *query_value(const struct query *query, const char *name)
{
	for (size_t i = 0; i < query->param_count; i++)
		if (!strcmp(query->params[i].name, name))
			return query->params[i].value;
	return NULL;
}
