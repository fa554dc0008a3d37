// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/trace/trace_event.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/base/num.h"
#include "lib/kernel/states.h"
#include "lib/kernel/timeouts.h"

#define SYSCTL_PREFIX "nf_conntrack_"

/* The highest number is reserved, so it stands for no real protocol. */
#define L4NUM_NOT_KNOWN 255u

static const struct {
	const char *name;
	uint8_t l4num;
	uint8_t state_l4proto; /* whose state names it uses */
} protos[] = {
	{"tcp", IPPROTO_TCP, L4_TCP},		{"udp", IPPROTO_UDP, L4_UDP},
	{"sctp", IPPROTO_SCTP, L4_SCTP},	{"icmp", IPPROTO_ICMP, L4_ICMP},
	{"icmpv6", IPPROTO_ICMPV6, L4_ICMPV6},	{"gre", IPPROTO_GRE, L4_GRE},
	{"udplite", IPPROTO_UDPLITE, L4_OTHER}, {"dccp", IPPROTO_DCCP, L4_OTHER},
};

#define PROTOS (sizeof(protos) / sizeof(protos[0]))

static uint8_t l4num_of(const char *name)
{
	uint32_t number;

	for (size_t i = 0; i < PROTOS; i++)
		if (!strcmp(name, protos[i].name))
			return protos[i].l4num;
	return num_u32(name, 0, 255, &number) < 0 ? L4NUM_NOT_KNOWN : (uint8_t)number;
}

static enum l4proto state_l4proto(uint8_t l4num)
{
	for (size_t i = 0; i < PROTOS; i++)
		if (protos[i].l4num == l4num)
			return (enum l4proto)protos[i].state_l4proto;
	return L4_OTHER;
}

static bool follows_protocol(enum l4proto l4proto)
{
	return l4proto == L4_TCP || l4proto == L4_SCTP;
}

/* --- reading ------------------------------------------------------------------ */

static const char *read_addresses(const struct trace_entry *entry, struct ct_key *key)
{
	key->family = strchr(entry->src, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(key->family, entry->src, key->src) != 1)
		return "source address";
	if (inet_pton(key->family, entry->dst, key->dst) != 1)
		return "destination address";
	return NULL;
}

static void read_state(const struct trace_entry *entry, struct ct_event *event)
{
	enum l4proto l4proto = state_l4proto(event->key.l4num);
	int state = state_by_name(l4proto, entry->state);

	event->has |= CT_HAS_STATUS;
	if (entry->assured || !strcasecmp(entry->state, "ASSURED"))
		event->status |= CT_STATUS_ASSURED | CT_STATUS_SEEN_REPLY;
	if (!strcasecmp(entry->state, "REPLIED"))
		event->status |= CT_STATUS_SEEN_REPLY;
	if (!strcasecmp(entry->state, "OFFLOADED"))
		event->status |= CT_STATUS_OFFLOAD;
	else if (follows_protocol(l4proto) && state >= 0 && state < ST_TCP_UNKNOWN) {
		event->proto_state = (uint8_t)state;
		event->has |= CT_HAS_PROTO_STATE;
	}
}

const char *trace_to_event(const struct trace_record *rec, struct ct_event *event)
{
	static const uint8_t kinds[] = {
		[TRACE_DUMP] = CT_RECORD,
		[TRACE_NEW] = CT_NEW,
		[TRACE_UPDATE] = CT_UPDATE,
		[TRACE_DESTROY] = CT_DESTROY,
	};
	const struct trace_entry *entry = &rec->entry;
	const char *wrong;

	memset(event, 0, sizeof(*event));
	wrong = read_addresses(entry, &event->key);
	if (wrong)
		return wrong;
	event->kind = kinds[rec->kind];
	event->key.sport = entry->sport;
	event->key.dport = entry->dport;
	event->key.l4num = l4num_of(entry->proto);
	event->hash = ct_hash(&event->key);
	event->id = (uint32_t)(entry->id ^ entry->id >> 32);
	read_state(entry, event);
	event->timeout_s = entry->timeout_s;
	if (entry->timeout_s || rec->kind == TRACE_DESTROY)
		event->has |= CT_HAS_TIMEOUT;
	return NULL;
}

/* --- writing ------------------------------------------------------------------ */

static const char *state_to_write(const struct ct_event *event)
{
	enum l4proto l4proto = state_l4proto(event->key.l4num);

	if (event->status & CT_STATUS_OFFLOAD)
		return "OFFLOADED";
	if (follows_protocol(l4proto))
		return event->has & CT_HAS_PROTO_STATE && event->proto_state < ST_TCP_UNKNOWN
			       ? state_name(l4proto, event->proto_state)
			       : "UNKNOWN";
	if (event->status & CT_STATUS_ASSURED)
		return "ASSURED";
	return event->status & CT_STATUS_SEEN_REPLY ? "REPLIED" : "UNREPLIED";
}

void trace_from_event(const struct ct_event *event, struct trace_record *rec)
{
	struct trace_entry *entry = &rec->entry;
	const struct ct_key *key = &event->key;
	const char *state = state_to_write(event);

	memset(entry, 0, sizeof(*entry));
	entry->id = event->id;
	snprintf(entry->proto, sizeof(entry->proto), "%u", key->l4num);
	for (size_t i = 0; i < PROTOS; i++)
		if (protos[i].l4num == key->l4num)
			snprintf(entry->proto, sizeof(entry->proto), "%s", protos[i].name);
	inet_ntop(key->family, key->src, entry->src, sizeof(entry->src));
	inet_ntop(key->family, key->dst, entry->dst, sizeof(entry->dst));
	entry->sport = key->sport;
	entry->dport = key->dport;
	snprintf(entry->state, sizeof(entry->state), "%s", state ? state : "UNKNOWN");
	entry->assured = event->status & CT_STATUS_ASSURED;
	entry->timeout_s = event->has & CT_HAS_TIMEOUT ? event->timeout_s : 0;
}

/* --- timeouts ------------------------------------------------------------------- */

int trace_timeout(const char *name)
{
	if (!strncmp(name, SYSCTL_PREFIX, strlen(SYSCTL_PREFIX)))
		name += strlen(SYSCTL_PREFIX);
	for (unsigned int i = 0; i < TIMEOUT_COUNT; i++)
		if (!strcmp(name, trace_timeout_name(i)))
			return (int)i;
	return -1;
}

const char *trace_timeout_name(unsigned int id)
{
	const struct timeout_info *info = timeout_info(id);

	return info ? info->sysctl + strlen(SYSCTL_PREFIX) : NULL;
}
