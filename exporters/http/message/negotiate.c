// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/message/negotiate.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define TOKEN_BYTES 64u
#define RANGES_MAX  64u /* of a list; the rest is not read */

struct range {
	char type[TOKEN_BYTES];
	char subtype[TOKEN_BYTES];
	char version[TOKEN_BYTES];
	char escaping[TOKEN_BYTES];
	unsigned int q; /* thousandths */
};

static const char *skip_space(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

static bool is_token(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* Copies a token, cut to fit: a cut one matches nothing that we offer. */
static const char *take_token(const char *at, char *to)
{
	size_t n = 0;

	for (; is_token(*at); at++)
		if (n < TOKEN_BYTES - 1)
			to[n++] = *at;
	to[n] = '\0';
	return at;
}

static const char *take_value(const char *at, char *to)
{
	size_t n = 0;

	if (*at != '"')
		return take_token(at, to);
	for (at++; *at && *at != '"'; at++) {
		if (*at == '\\' && at[1])
			at++;
		if (n < TOKEN_BYTES - 1)
			to[n++] = *at;
	}
	to[n] = '\0';
	return *at ? at + 1 : at;
}

/* "0.75" -> 750; a broken weight counts as 0, so that no client gets what it may
 * have meant to refuse. */
static unsigned int parse_q(const char *text)
{
	unsigned int q = 0;
	unsigned int digit = 100;

	if (text[0] != '0' && text[0] != '1')
		return 0;
	q = text[0] == '1' ? 1000 : 0;
	if (text[1] == '\0')
		return q;
	if (text[1] != '.' || strlen(text) > 5)
		return 0;
	for (text += 2; *text; text++, digit /= 10) {
		if (*text < '0' || *text > '9')
			return 0;
		q += (unsigned int)(*text - '0') * digit;
	}
	return q > 1000 ? 0 : q;
}

/* One element of the list; the cursor ends behind its comma or at the end. */
static bool next_range(const char **cursor, struct range *range)
{
	const char *at = *cursor;
	char name[TOKEN_BYTES], value[TOKEN_BYTES];
	bool weighed = false;

	while (*at == ',' || *at == ' ' || *at == '\t')
		at++;
	if (!*at)
		return false;
	memset(range, 0, sizeof(*range));
	range->q = 1000;
	at = take_token(at, range->type);
	if (*at == '/')
		at = take_token(at + 1, range->subtype);
	for (at = skip_space(at); *at == ';'; at = skip_space(at)) {
		at = take_token(skip_space(at + 1), name);
		at = skip_space(at);
		value[0] = '\0';
		if (*at == '=')
			at = take_value(skip_space(at + 1), value);
		if (!strcasecmp(name, "q")) {
			range->q = parse_q(value);
			weighed = true;
		} else if (!strcasecmp(name, "version") && !weighed) {
			strcpy(range->version, value);
		} else if (!strcasecmp(name, "escaping") && !weighed) {
			strcpy(range->escaping, value);
		}
	}
	/* Anything left before the comma is no media range: it is passed over. */
	if (*at && *at != ',')
		range->q = 0;
	while (*at && *at != ',')
		at++;
	*cursor = at;
	return true;
}

/* 0: no match; the larger, the more specific. */
static unsigned int matches(const struct range *range, const struct offer *offer)
{
	if (!strcmp(range->type, "*") && !strcmp(range->subtype, "*"))
		return 1;
	if (strcasecmp(range->type, offer->type) != 0)
		return 0;
	if (!strcmp(range->subtype, "*"))
		return 2;
	if (strcasecmp(range->subtype, offer->subtype) != 0)
		return 0;
	if (!range->version[0])
		return 3;
	return offer->version && !strcmp(range->version, offer->version) ? 4 : 0;
}

struct score {
	unsigned int q;
	unsigned int specific;
	char escaping[TOKEN_BYTES];
};

/* The most specific range that matches decides the weight of an offer. */
static struct score weigh(const char *accept, const struct offer *offer)
{
	struct score best = {0, 0, ""};
	struct range range;
	unsigned int ranges = 0;

	if (!accept || !*skip_space(accept))
		return (struct score){1000, 1, ""};
	while (ranges++ < RANGES_MAX && next_range(&accept, &range)) {
		unsigned int specific = matches(&range, offer);

		if (specific > best.specific ||
		    (specific && specific == best.specific && range.q > best.q)) {
			best.specific = specific;
			best.q = range.q;
			strcpy(best.escaping, range.escaping);
		}
	}
	return best;
}

int negotiate(const char *accept, const struct offer *offers, size_t count)
{
	struct score best = {0, 0, ""};
	int chosen = -1;

	for (size_t i = 0; i < count; i++) {
		struct score score = weigh(accept, &offers[i]);

		if (score.q > best.q ||
		    (score.q && score.q == best.q && (score.specific > 2) > (best.specific > 2))) {
			best = score;
			chosen = (int)i;
		}
	}
	return chosen;
}

static const char *known_escaping(const char *word)
{
	static const char *const known[] = {"allow-utf-8", "underscores", "dots", "values"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(word, known[i]))
			return known[i];
	return NULL;
}

enum metrics_format negotiate_metrics(const char *accept, char *content_type,
				      size_t content_type_bytes)
{
	/* Named outright, OpenMetrics goes first; for "anything", plain text. */
	static const struct offer named[] = {{"application", "openmetrics-text", "1.0.0"},
					     {"text", "plain", "0.0.4"},
					     {"text", "plain", "1.0.0"}};
	static const enum metrics_format formats[] = {METRICS_OPENMETRICS, METRICS_TEXT_004,
						      METRICS_TEXT_100};
	static const char *const types[] = {
		"application/openmetrics-text; version=1.0.0; charset=utf-8",
		"text/plain; version=0.0.4; charset=utf-8",
		"text/plain; version=1.0.0; charset=utf-8"};
	struct score text = weigh(accept, &named[1]);
	int chosen = negotiate(accept, named, 3);
	struct score score;
	const char *escaping;

	if (chosen < 0)
		chosen = 1;
	score = weigh(accept, &named[chosen]);
	if (chosen == 0 && score.specific < 3 && text.q >= score.q)
		chosen = 1;
	escaping = chosen == 1 ? NULL : known_escaping(score.escaping);
	snprintf(content_type, content_type_bytes, "%s%s%s", types[chosen],
		 escaping ? "; escaping=" : "", escaping ? escaping : "");
	return formats[chosen];
}

bool negotiate_gzip(const char *accept_encoding)
{
	unsigned int gzip = 0, any = 0, ranges = 0;
	bool named = false;
	struct range range;

	while (accept_encoding && ranges++ < RANGES_MAX && next_range(&accept_encoding, &range)) {
		if (!strcasecmp(range.type, "gzip") || !strcasecmp(range.type, "x-gzip")) {
			gzip = range.q;
			named = true;
		} else if (!strcmp(range.type, "*")) {
			any = range.q;
		}
	}
	return named ? gzip > 0 : any > 0;
}

bool etag_matches(const char *if_none_match, const char *etag)
{
	size_t bytes = strlen(etag);

	if (!if_none_match)
		return false;
	for (const char *at = skip_space(if_none_match); *at;) {
		if (*at == '*')
			return true;
		if (!strncmp(at, "W/", 2))
			at += 2;
		if (!strncmp(at, etag, bytes))
			return true;
		at = strchr(at, ',');
		if (!at)
			return false;
		at = skip_space(at + 1);
	}
	return false;
}
