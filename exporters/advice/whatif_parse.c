// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "exporters/advice/whatif.h"
#include "lib/base/num.h"

#define PAGE_POINTERS 512.0 /* the kernel rounds buckets up to a page of them */

static int refuse(char why[WHATIF_WHY_BYTES], const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static int refuse(char why[WHATIF_WHY_BYTES], const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, WHATIF_WHY_BYTES, fmt, args);
	va_end(args);
	return -EINVAL;
}

const char *change_port(const struct change *change, char out[WHATIF_KEY_BYTES])
{
	const struct l4proto_info *info = l4proto_info((unsigned int)change->l4proto);
	int n = info->has_ports ? snprintf(out, WHATIF_KEY_BYTES, "%s/%d", info->name, change->port)
				: snprintf(out, WHATIF_KEY_BYTES, "%s", info->name);

	if (change->direction >= 0)
		snprintf(out + n, WHATIF_KEY_BYTES - (size_t)n, "/%s",
			 direction_name((unsigned int)change->direction));
	return out;
}

/* "%.10g" is how people write such numbers. */
const char *change_text(const struct change *change, char out[WHATIF_KEY_BYTES])
{
	char port[WHATIF_KEY_BYTES];

	switch (change->kind) {
	case CHANGE_NOTRACK:
		snprintf(out, WHATIF_KEY_BYTES, "notrack=%.40s", change_port(change, port));
		break;
	case CHANGE_KEEPALIVE:
		snprintf(out, WHATIF_KEY_BYTES, "keepalive=%.40s", change_port(change, port));
		break;
	case CHANGE_RATE:
		snprintf(out, WHATIF_KEY_BYTES, "rate.%.35s=%.10g", change_port(change, port),
			 change->value);
		break;
	case CHANGE_TIMEOUT:
		snprintf(out, WHATIF_KEY_BYTES, "timeout.%s=%.10g",
			 timeout_info((unsigned int)change->timeout)->name, change->value);
		break;
	case CHANGE_MAX:
		snprintf(out, WHATIF_KEY_BYTES, "max=%.10g", change->value);
		break;
	case CHANGE_BUCKETS:
		snprintf(out, WHATIF_KEY_BYTES, "buckets=%.10g", change->value);
		break;
	}
	return out;
}

bool whatif_is_key(const char *key)
{
	return !strcmp(key, "notrack") || !strcmp(key, "keepalive") || !strcmp(key, "max") ||
	       !strcmp(key, "buckets") || whatif_nat_is_key(key) || !strncmp(key, "timeout.", 8) ||
	       !strncmp(key, "rate.", 5);
}

static int add(struct whatif *whatif, const struct change *change, char why[WHATIF_WHY_BYTES])
{
	if (whatif->count == WHATIF_CHANGES_MAX)
		return refuse(why, "There may be %u changes at once, not more.",
			      WHATIF_CHANGES_MAX);
	whatif->changes[whatif->count++] = *change;
	return 0;
}

static bool overlap(const struct change *a, const struct change *b)
{
	return a->l4proto == b->l4proto && a->port == b->port &&
	       (a->direction < 0 || b->direction < 0 || a->direction == b->direction);
}

/* "tcp/80/inbound" of `bytes` bytes. */
static int parse_port(const char *text, size_t bytes, struct change *change,
		      char why[WHATIF_WHY_BYTES])
{
	char copy[WHATIF_KEY_BYTES];
	char *port, *direction;
	const struct l4proto_info *info;

	if (bytes == 0 || bytes >= sizeof(copy))
		return refuse(why, "A port is named like tcp/80, or tcp/80/inbound.");
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
	port = strchr(copy, '/');
	if (port)
		*port++ = '\0';
	change->l4proto = l4proto_by_name(copy);
	change->direction = -1;
	change->port = 0;
	info = change->l4proto < 0 ? NULL : l4proto_info((unsigned int)change->l4proto);
	if (!info)
		return refuse(why,
			      "\"%.20s\" is no protocol; a port is named like tcp/80, or "
			      "tcp/80/inbound.",
			      copy);
	direction = port;
	if (info->has_ports) {
		const char *end = port;
		uint64_t number;
		int err = num_take_u64(&end, 65535, &number);

		if (err == -EINVAL)
			return refuse(why, "Which port of %s? It is named like %s/80.", info->name,
				      info->name);
		if (err || (*end && *end != '/'))
			return refuse(why, "\"%.20s\" is no port: they go from 0 to 65535.", port);
		change->port = (int)number;
		direction = *end ? port + (end - port) + 1 : NULL;
	}
	if (!direction)
		return 0;
	change->direction = direction_by_name(direction);
	if (change->direction < 0)
		return refuse(why,
			      "\"%.20s\" is no direction; there are inbound, outbound, "
			      "forwarded and loopback.",
			      direction);
	return 0;
}

static int parse_number(const char *text, double least, double most, bool whole, double *ret_value,
			char why[WHATIF_WHY_BYTES])
{
	int err = whole && strchr(text, '.') ? -EINVAL : num_double(text, least, most, ret_value);

	if (err == -EINVAL || strlen(text) > 15)
		return refuse(why, "\"%.20s\" is not a %snumber from %.10g to %.10g.", text,
			      whole ? "whole " : "", least, most);
	if (err)
		return refuse(why, "%.20s is not within %.10g to %.10g.", text, least, most);
	return 0;
}

static int add_ports(struct whatif *whatif, enum change_kind kind, const char *value,
		     char why[WHATIF_WHY_BYTES])
{
	for (const char *at = value;; at++) {
		size_t bytes = strcspn(at, ",");
		struct change change = {.kind = kind};
		int err = parse_port(at, bytes, &change, why);

		if (!err && kind == CHANGE_KEEPALIVE && change.l4proto != L4_TCP)
			err = refuse(why, "Only TCP connections are kept alive.");
		if (!err && kind == CHANGE_KEEPALIVE &&
		    (change.direction == DIR_INBOUND || change.direction == DIR_FORWARDED))
			err = refuse(why, "keepalive is for connections that this host opens: "
					  "outbound or loopback.");
		for (size_t i = 0; !err && i < whatif->count; i++)
			if (whatif->changes[i].kind == kind &&
			    overlap(&whatif->changes[i], &change))
				err = refuse(why, "A port is named twice.");
		if (!err)
			err = add(whatif, &change, why);
		if (err)
			return err;
		at += bytes;
		if (!*at)
			return 0;
	}
}

static int add_timeout(struct whatif *whatif, const char *name, const char *value,
		       char why[WHATIF_WHY_BYTES])
{
	struct change change = {.kind = CHANGE_TIMEOUT, .timeout = timeout_by_name(name)};
	int err;

	if (change.timeout < 0)
		return refuse(why,
			      "There is no timeout \"%.30s\"; they are named like "
			      "tcp_time_wait, udp or icmp: as the sysctls "
			      "nf_conntrack_*, without \"timeout\".",
			      name);
	err = parse_number(value, 1, WHATIF_TIMEOUT_MAX, true, &change.value, why);
	return err ? err : add(whatif, &change, why);
}

static int add_rate(struct whatif *whatif, const char *port, const char *value,
		    char why[WHATIF_WHY_BYTES])
{
	struct change change = {.kind = CHANGE_RATE};
	int err = parse_port(port, strlen(port), &change, why);

	for (size_t i = 0; !err && i < whatif->count; i++)
		if (whatif->changes[i].kind == CHANGE_RATE && overlap(&whatif->changes[i], &change))
			err = refuse(why, "The rate of that port is given twice.");
	if (!err)
		err = parse_number(value, 0, WHATIF_RATE_MAX, false, &change.value, why);
	return err ? err : add(whatif, &change, why);
}

static bool given(const struct whatif *whatif, enum change_kind kind, int timeout)
{
	for (size_t i = 0; i < whatif->count; i++)
		if (whatif->changes[i].kind == kind &&
		    (kind != CHANGE_TIMEOUT || whatif->changes[i].timeout == timeout))
			return true;
	return false;
}

int whatif_add(struct whatif *whatif, const char *key, const char *value,
	       char why[WHATIF_WHY_BYTES])
{
	static const struct {
		const char *key;
		enum change_kind kind;
	} plain[] = {{"notrack", CHANGE_NOTRACK},
		     {"keepalive", CHANGE_KEEPALIVE},
		     {"max", CHANGE_MAX},
		     {"buckets", CHANGE_BUCKETS}};
	struct change change = {.kind = CHANGE_TIMEOUT};
	int err;

	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (!strcmp(key, plain[i].key))
			change.kind = plain[i].kind;
	if (whatif_nat_is_key(key))
		return whatif_nat_add(&whatif->nat, key, value, why, WHATIF_WHY_BYTES);
	if (!strncmp(key, "rate.", 5))
		return add_rate(whatif, key + 5, value, why);
	if (strncmp(key, "timeout.", 8) != 0 && change.kind == CHANGE_TIMEOUT)
		return refuse(why,
			      "There is no \"%.30s\"; there are notrack, timeout.NAME, max, "
			      "buckets, rate.PORT, keepalive, nat.addresses and nat.ports.",
			      key);
	if (given(whatif, change.kind,
		  change.kind == CHANGE_TIMEOUT ? timeout_by_name(key + 8) : 0))
		return refuse(why, "%.40s is given twice.", key);
	if (change.kind == CHANGE_TIMEOUT)
		return add_timeout(whatif, key + 8, value, why);
	if (change.kind == CHANGE_NOTRACK || change.kind == CHANGE_KEEPALIVE)
		return add_ports(whatif, change.kind, value, why);
	if (change.kind == CHANGE_MAX)
		err = parse_number(value, 0, WHATIF_MAX_MAX, true, &change.value, why);
	else
		err = parse_number(value, 1, WHATIF_BUCKETS_MAX, true, &change.value, why);
	if (!err && change.kind == CHANGE_BUCKETS)
		change.value += PAGE_POINTERS - 1 -
				(double)((uint64_t)(change.value - 1) % (uint64_t)PAGE_POINTERS);
	return err ? err : add(whatif, &change, why);
}

int whatif_check(const struct whatif *whatif, char key[WHATIF_KEY_BYTES],
		 char why[WHATIF_WHY_BYTES])
{
	char port[WHATIF_KEY_BYTES];

	for (size_t i = 0; i < whatif->count; i++) {
		const struct change *no = &whatif->changes[i];

		for (size_t j = 0; no->kind == CHANGE_NOTRACK && j < whatif->count; j++) {
			const struct change *other = &whatif->changes[j];

			if ((other->kind != CHANGE_RATE && other->kind != CHANGE_KEEPALIVE) ||
			    !overlap(no, other))
				continue;
			snprintf(key, WHATIF_KEY_BYTES, "notrack");
			return refuse(why,
				      "%s cannot be left untracked and have %s as well: what "
				      "is not tracked has no entries.",
				      change_port(other, port),
				      other->kind == CHANGE_RATE ? "another rate" : "keepalive");
		}
	}
	return 0;
}
