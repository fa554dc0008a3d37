// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/flow/tuple.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/num.h"

#define ECHO_REQUEST   8u
#define ECHO_REQUEST_6 128u

static const struct {
	const char *name;
	uint8_t l4num;
} protocols[] = {{"tcp", IPPROTO_TCP},	    {"udp", IPPROTO_UDP}, {"sctp", IPPROTO_SCTP},
		 {"dccp", IPPROTO_DCCP},    {"udplite", 136},	  {"icmp", IPPROTO_ICMP},
		 {"icmpv6", IPPROTO_ICMPV6}};

struct end {
	uint8_t address[16];
	uint8_t family;
	bool has_port;
	uint16_t port;
};

/* Where the port begins, after its colon; NULL: there is none. */
static const char *split(const char *word, char address[TUPLE_END_BYTES])
{
	const char *from = word, *until = word + strlen(word), *port = NULL;

	if (*word == '[') {
		const char *close = strchr(word, ']');

		if (!close || (close[1] && close[1] != ':'))
			return word;
		from = word + 1;
		until = close;
		port = close[1] ? close + 2 : NULL;
	} else if (strchr(word, ':') && strchr(word, ':') == strrchr(word, ':')) {
		until = strchr(word, ':');
		port = until + 1;
	}
	snprintf(address, TUPLE_END_BYTES, "%.*s", (int)(until - from), from);
	return port;
}

static bool take_end(const char *word, struct end *end)
{
	char address[TUPLE_END_BYTES] = "";
	const char *port = split(word, address);
	uint32_t number;

	memset(end, 0, sizeof(*end));
	end->family = strchr(address, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(end->family, address, end->address) != 1)
		return false;
	end->has_port = port != NULL;
	if (port && num_u32(port, 0, UINT16_MAX, &number) < 0)
		return false;
	end->port = port ? (uint16_t)number : 0;
	return true;
}

static bool take_protocol(const char *word, struct ct_key *key)
{
	for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
		if (!strcmp(word, protocols[i].name))
			key->l4num = protocols[i].l4num;
	return key->l4num != 0;
}

static const char *take_ports(const struct end *src, const struct end *dst, struct ct_key *key)
{
	bool echo = key->l4num == IPPROTO_ICMP || key->l4num == IPPROTO_ICMPV6;

	if (echo && (key->l4num == IPPROTO_ICMP) != (key->family == AF_INET))
		return "is not of this protocol's family";
	if (echo && (!src->has_port || dst->has_port))
		return "needs an echo id, as in icmp 10.0.0.5:17 192.0.2.9";
	if (!echo && (!src->has_port || !dst->has_port))
		return "needs a port, as in tcp 10.0.0.5:51344 192.0.2.9:443";
	key->sport = src->port;
	key->dport = dst->port;
	if (echo)
		key->dport = (uint16_t)((key->l4num == IPPROTO_ICMP ? ECHO_REQUEST : ECHO_REQUEST_6)
					<< 8);
	return NULL;
}

const char *tuple_parse(const char *const words[3], struct ct_key *key, const char **ret_wrong)
{
	struct end src, dst;
	const char *why;

	memset(key, 0, sizeof(*key));
	*ret_wrong = words[0];
	if (!take_protocol(words[0], key))
		return "is no protocol known here: tcp, udp, sctp, dccp, udplite, icmp, icmpv6";
	*ret_wrong = words[1];
	if (!take_end(words[1], &src))
		return "is not ADDRESS:PORT; IPv6 is [ADDRESS]:PORT";
	*ret_wrong = words[2];
	if (!take_end(words[2], &dst))
		return "is not ADDRESS:PORT; IPv6 is [ADDRESS]:PORT";
	if (src.family != dst.family)
		return "is of another family than the source";
	key->family = src.family;
	memcpy(key->src, src.address, sizeof(key->src));
	memcpy(key->dst, dst.address, sizeof(key->dst));
	why = take_ports(&src, &dst, key);
	*ret_wrong = src.has_port ? words[2] : words[1];
	return why;
}

const char *tuple_address(uint8_t family, const uint8_t address[16], char out[TUPLE_END_BYTES])
{
	return inet_ntop(family, address, out, TUPLE_END_BYTES) ? out : "?";
}

const char *tuple_end(uint8_t family, const uint8_t address[16], uint16_t port, bool with_port,
		      char out[TUPLE_END_BYTES])
{
	char text[TUPLE_END_BYTES];

	tuple_address(family, address, text);
	if (!with_port)
		snprintf(out, TUPLE_END_BYTES, "%s", text);
	else
		snprintf(out, TUPLE_END_BYTES, family == AF_INET6 ? "[%.48s]:%u" : "%.48s:%u", text,
			 port);
	return out;
}
