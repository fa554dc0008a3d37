// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A web configuration in force: the file, its certificates, and the limits that
 * follow from them. A new one is loaded beside the old one and takes its place
 * only when everything in it is sound.
 */
#ifndef CONNTIDE_HTTP_TOOLKIT_WEB_H
#define CONNTIDE_HTTP_TOOLKIT_WEB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exporters/http/toolkit/tls.h"
#include "exporters/http/toolkit/web_config.h"

struct web {
	struct web_config config;
	struct tls tls;
	uint64_t signature; /* of what it was made from, taken before that was read */
	double tokens;	    /* of rate_limit */
	uint64_t tokens_at_ns;
};

/* NULL with a sentence in `why`. `path` NULL: no TLS, no users. */
struct web *web_load(const char *path, char *why, size_t why_bytes);
void web_free(struct web *web);

/* A number that changes when the configuration file or a file it names does, in whatever
 * way: by name, by size, by time or by content. */
uint64_t web_signature(const char *path, const struct web *web);

/* False when rate_limit says that this request is one too many. */
bool web_rate_allows(struct web *web, uint64_t now_ns);

#endif
