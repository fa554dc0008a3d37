// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/flow/print.h"

#include <inttypes.h>
#include <string.h>

#include "agent/flow/tuple.h"
#include "lib/mirror/entry.h"

/* An entry in words that both renderings need. */
struct words {
	const char *l4proto;
	const char *state;
	bool has_ports;
	char src[TUPLE_END_BYTES]; /* with ports */
	char dst[TUPLE_END_BYTES];
	char source_nat[TUPLE_END_BYTES];      /* as which the destination sees the source... */
	char destination_nat[TUPLE_END_BYTES]; /* ...and where packets really go; "": as dialled */
	uint16_t source_nat_port;	       /* or echo id */
	uint16_t destination_nat_port;
};

static void put_in_words(const struct looked_up *flow, struct words *words)
{
	const struct ct_event *event = &flow->event;
	const struct ct_key *key = &event->key;
	enum l4proto l4proto = ct_l4proto(key->l4num);
	bool ports = l4proto_info(l4proto)->has_ports || l4proto == L4_OTHER;
	const char *state = state_name(l4proto, entry_state_told(l4proto, event, ST_TCP_UNKNOWN));

	memset(words, 0, sizeof(*words));
	words->l4proto = l4proto_info(l4proto)->name;
	words->state = state ? state : "unknown";
	words->has_ports = ports;
	tuple_end(key->family, key->src, key->sport, true, words->src);
	tuple_end(key->family, key->dst, key->dport, ports, words->dst);
	/* Of ICMP the id is in the place of the source's port, in both tuples. */
	words->source_nat_port = ports ? event->reply_dport : event->reply_sport;
	words->destination_nat_port = ports ? event->reply_sport : 0;
	if (!(event->has & CT_HAS_REPLY))
		return;
	if (memcmp(event->reply_dst, key->src, sizeof(key->src)) ||
	    words->source_nat_port != key->sport)
		tuple_end(key->family, event->reply_dst, words->source_nat_port, true,
			  words->source_nat);
	if (memcmp(event->reply_src, key->dst, sizeof(key->dst)) ||
	    (ports && event->reply_sport != key->dport))
		tuple_end(key->family, event->reply_src, event->reply_sport, ports,
			  words->destination_nat);
}

static void print_time(const struct ct_event *event, FILE *out)
{
	if (event->has & CT_HAS_TIMEOUT)
		fprintf(out, "left         %" PRIu32 " s, unless a packet comes\n",
			event->timeout_s);
	else
		fprintf(out, "left         not counted while it is offloaded\n");
}

void flow_print(const struct looked_up *flow, FILE *out)
{
	const struct ct_event *event = &flow->event;
	struct words words;

	put_in_words(flow, &words);
	fprintf(out, "entry        %s %s -> %s\n", words.l4proto, words.src, words.dst);
	fprintf(out, "state        %s%s%s\n", words.state,
		event->status & CT_STATUS_ASSURED      ? ", assured"
		: event->status & CT_STATUS_SEEN_REPLY ? ", answered"
						       : ", unanswered",
		event->status & CT_STATUS_HELPER ? ", with a helper" : "");
	print_time(event, out);
	if (words.source_nat[0])
		fprintf(out, "source NAT   %s goes out as %s\n", words.src, words.source_nat);
	if (words.destination_nat[0])
		fprintf(out, "destination  %s is %s behind NAT\n", words.dst,
			words.destination_nat);
	if (!words.source_nat[0] && !words.destination_nat[0])
		fprintf(out, "NAT          none\n");
	fprintf(out, "zone         %u\n", event->key.zone);
	fprintf(out, "mark         0x%" PRIx32 "\n", flow->mark);
}

static void json_end(const char *name, const uint8_t address[16], const struct ct_event *event,
		     uint16_t port, FILE *out)
{
	char text[TUPLE_END_BYTES];

	fprintf(out, ",\"%s\":{\"address\":\"%s\",\"port\":%u}", name,
		tuple_address(event->key.family, address, text), port);
}

static void json_nat(const struct words *words, const struct ct_event *event, FILE *out)
{
	if (words->source_nat[0])
		json_end("source_nat", event->reply_dst, event, words->source_nat_port, out);
	else
		fprintf(out, ",\"source_nat\":null");
	if (words->destination_nat[0])
		json_end("destination_nat", event->reply_src, event, words->destination_nat_port,
			 out);
	else
		fprintf(out, ",\"destination_nat\":null");
}

static const char *truth(bool value)
{
	return value ? "true" : "false";
}

void flow_print_json(const struct looked_up *flow, FILE *out)
{
	const struct ct_event *event = &flow->event;
	const struct ct_key *key = &event->key;
	struct words words;

	put_in_words(flow, &words);
	fprintf(out, "{\"found\":true,\"l4proto\":\"%s\"", words.l4proto);
	json_end("source", key->src, event, key->sport, out);
	json_end("destination", key->dst, event, words.has_ports ? key->dport : 0, out);
	fprintf(out,
		",\"state\":\"%s\",\"answered\":%s,\"assured\":%s,\"offloaded\":%s,\"helper\":%s",
		words.state, truth(event->status & CT_STATUS_SEEN_REPLY),
		truth(event->status & CT_STATUS_ASSURED), truth(event->status & CT_STATUS_OFFLOAD),
		truth(event->status & CT_STATUS_HELPER));
	if (event->has & CT_HAS_TIMEOUT)
		fprintf(out, ",\"seconds_left\":%" PRIu32, event->timeout_s);
	else
		fprintf(out, ",\"seconds_left\":null");
	json_nat(&words, event, out);
	fprintf(out, ",\"zone\":%u,\"reply_zone\":%u,\"mark\":%" PRIu32 ",\"id\":%" PRIu32 "}\n",
		key->zone, event->reply_zone, flow->mark, event->id);
}
