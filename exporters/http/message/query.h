// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The target of a request, as sent, taken apart: path and parameters, decoded
 * once. Everything doubtful is refused with a sentence for the client: broken
 * or missing hexadecimal digits, control characters, bytes that are not UTF-8,
 * "." and ".." segments, repeated parameters. Pure; a fuzz target.
 */
#ifndef CONNTIDE_HTTP_MESSAGE_QUERY_H
#define CONNTIDE_HTTP_MESSAGE_QUERY_H

#include <stddef.h>

#define QUERY_TARGET_BYTES 2048u
#define QUERY_PARAMS_MAX   24u

struct query_param {
	const char *name;
	const char *value; /* "" when there is none */
};

struct query {
	const char *path; /* begins with a slash */
	struct query_param params[QUERY_PARAMS_MAX];
	size_t param_count;
	const char *error; /* after a failure */
	char storage[QUERY_TARGET_BYTES];
};

/* 0; -E2BIG when the target is too long; -EINVAL otherwise. error says why. */
int query_parse(const char *target, struct query *query);

/* NULL when it was not given. */
const char *query_value(const struct query *query, const char *name);

#endif
