// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Content negotiation after RFC 9110, 12.5: media ranges with parameters and
 * q-values. Nothing the client wrote is ever copied into a reply. Pure; a fuzz
 * target. Header values may be NULL, which means "anything".
 */
#ifndef CONNTIDE_HTTP_MESSAGE_NEGOTIATE_H
#define CONNTIDE_HTTP_MESSAGE_NEGOTIATE_H

#include <stdbool.h>
#include <stddef.h>

/* One thing we could send. `version`: the value of a version parameter that a
 * range must have if it has any; NULL: ranges with a version do not match. */
struct offer {
	const char *type;    /* "text" */
	const char *subtype; /* "plain" */
	const char *version;
};

/*
 * Index of the best offer, or -1 when none is acceptable. Higher q wins, then the
 * more specific range, then the earlier offer.
 */
int negotiate(const char *accept, const struct offer *offers, size_t count);

enum metrics_format { METRICS_TEXT_004, METRICS_TEXT_100, METRICS_OPENMETRICS };

/* What /metrics sends and its whole Content-Type; always something. */
enum metrics_format negotiate_metrics(const char *accept, char *content_type,
				      size_t content_type_bytes);

bool negotiate_gzip(const char *accept_encoding);

/* Is `etag` (with quotes) in an If-None-Match list? Weak comparison; "*" matches. */
bool etag_matches(const char *if_none_match, const char *etag);

#endif
