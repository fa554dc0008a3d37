// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * agent/netlink/parser: messages built by libnetfilter_conntrack, read by ours and by
 * nfct_nlmsg_parse(), must tell the same; and nothing is read past the end.
 */
#include "agent/netlink/parser.h"
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_sctp.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>

#include "lib/event/event.h"

#define ROOM 2048

union message {
	struct nlmsghdr nlh;
	uint8_t bytes[ROOM];
	uint64_t align;
};

static struct nlmsghdr *put_head(union message *message, uint16_t type, uint16_t flags,
				 uint8_t family)
{
	struct nlmsghdr *nlh;
	struct nfgenmsg *nfg;

	memset(message, 0, sizeof(*message));
	nlh = mnl_nlmsg_put_header(message);
	nlh->nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | type;
	nlh->nlmsg_flags = flags;
	nlh->nlmsg_pid = 4711;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	return nlh;
}

struct flow_spec {
	uint8_t family;
	uint8_t l4num;
	uint16_t sport, dport; /* ICMP: id; type << 8 | code */
	int zone, orig_zone, reply_zone;
	int state;
	uint32_t status;
	uint32_t timeout;
	uint32_t id;
};

static void set_tuples(struct nf_conntrack *ct, const struct flow_spec *spec)
{
	static const uint8_t a[16] = {0xfd, 1, 2, 3, [15] = 9}, b[16] = {0xfd, 4, 5, 6, [15] = 8};

	nfct_set_attr_u8(ct, ATTR_L3PROTO, spec->family);
	nfct_set_attr_u8(ct, ATTR_L4PROTO, spec->l4num);
	if (spec->family == AF_INET) {
		nfct_set_attr_u32(ct, ATTR_IPV4_SRC, htonl(0x0a010203));
		nfct_set_attr_u32(ct, ATTR_IPV4_DST, htonl(0xc0a80105));
	} else {
		nfct_set_attr(ct, ATTR_IPV6_SRC, a);
		nfct_set_attr(ct, ATTR_IPV6_DST, b);
	}
	if (spec->l4num == IPPROTO_ICMP || spec->l4num == IPPROTO_ICMPV6) {
		nfct_set_attr_u8(ct, ATTR_ICMP_TYPE, spec->dport >> 8);
		nfct_set_attr_u8(ct, ATTR_ICMP_CODE, spec->dport & 0xff);
		nfct_set_attr_u16(ct, ATTR_ICMP_ID, htons(spec->sport));
	} else {
		nfct_set_attr_u16(ct, ATTR_PORT_SRC, htons(spec->sport));
		nfct_set_attr_u16(ct, ATTR_PORT_DST, htons(spec->dport));
	}
	nfct_setobjopt(ct, NFCT_SOPT_SETUP_REPLY);
}

static void build(union message *message, const struct flow_spec *spec, uint16_t type,
		  uint16_t flags)
{
	struct nf_conntrack *ct = nfct_new();
	struct nlmsghdr *nlh = put_head(message, type, flags, spec->family);

	set_tuples(ct, spec);
	if (spec->zone)
		nfct_set_attr_u16(ct, ATTR_ZONE, spec->zone);
	if (spec->orig_zone)
		nfct_set_attr_u16(ct, ATTR_ORIG_ZONE, spec->orig_zone);
	if (spec->reply_zone)
		nfct_set_attr_u16(ct, ATTR_REPL_ZONE, spec->reply_zone);
	if (spec->state >= 0 && spec->l4num == IPPROTO_TCP)
		nfct_set_attr_u8(ct, ATTR_TCP_STATE, spec->state);
	if (spec->state >= 0 && spec->l4num == IPPROTO_SCTP) {
		nfct_set_attr_u8(ct, ATTR_SCTP_STATE, spec->state);
		nfct_set_attr_u32(ct, ATTR_SCTP_VTAG_ORIG, 1);
		nfct_set_attr_u32(ct, ATTR_SCTP_VTAG_REPL, 2);
	}
	nfct_set_attr_u32(ct, ATTR_STATUS, spec->status);
	nfct_set_attr_u32(ct, ATTR_TIMEOUT, spec->timeout);
	nfct_set_attr_u32(ct, ATTR_MARK, 0xdecade);
	assert_true(nfct_nlmsg_build(nlh, ct) >= 0);
	/* What the library does not write, but the kernel does. */
	mnl_attr_put_u32(nlh, CTA_ID, htonl(spec->id));
	mnl_attr_put_u32(nlh, CTA_USE, htonl(1));
	nfct_destroy(ct);
}

static const struct flow_spec plain = {.family = AF_INET,
				       .l4num = IPPROTO_TCP,
				       .sport = 40001,
				       .dport = 443,
				       .state = 3,
				       .status = 0x18e,
				       .timeout = 432000,
				       .id = 0xfeedbeef};

static void compare_addresses(const struct ct_event *event, struct nf_conntrack *ct)
{
	bool v4 = event->key.family == AF_INET;
	size_t len = v4 ? 4 : 16;
	static const uint8_t zeros[16];

	assert_memory_equal(event->key.src, nfct_get_attr(ct, v4 ? ATTR_IPV4_SRC : ATTR_IPV6_SRC),
			    len);
	assert_memory_equal(event->key.dst, nfct_get_attr(ct, v4 ? ATTR_IPV4_DST : ATTR_IPV6_DST),
			    len);
	assert_memory_equal(event->reply_src,
			    nfct_get_attr(ct, v4 ? ATTR_REPL_IPV4_SRC : ATTR_REPL_IPV6_SRC), len);
	assert_memory_equal(event->reply_dst,
			    nfct_get_attr(ct, v4 ? ATTR_REPL_IPV4_DST : ATTR_REPL_IPV6_DST), len);
	assert_memory_equal(event->reply_dst + len, zeros, 16 - len);
	assert_memory_equal(event->key.src + len, zeros, 16 - len);
	assert_memory_equal(event->key.dst + len, zeros, 16 - len);
}

static void compare_reply(const struct ct_event *event, struct nf_conntrack *ct)
{
	if (nfct_attr_is_set(ct, ATTR_REPL_PORT_DST) > 0) {
		assert_int_equal(event->reply_sport,
				 ntohs(nfct_get_attr_u16(ct, ATTR_REPL_PORT_SRC)));
		assert_int_equal(event->reply_dport,
				 ntohs(nfct_get_attr_u16(ct, ATTR_REPL_PORT_DST)));
	}
	assert_int_equal(event->reply_zone, nfct_attr_is_set(ct, ATTR_ZONE) > 0
						    ? nfct_get_attr_u16(ct, ATTR_ZONE)
					    : nfct_attr_is_set(ct, ATTR_REPL_ZONE) > 0
						    ? nfct_get_attr_u16(ct, ATTR_REPL_ZONE)
						    : 0);
}

/* Our reading of the message against the library's. */
static void compare(const union message *message)
{
	struct nf_conntrack *ct = nfct_new();
	struct ct_event event;

	assert_int_equal(ct_event_parse(&message->nlh, message->nlh.nlmsg_len, &event), 0);
	assert_true(nfct_nlmsg_parse(&message->nlh, ct) >= 0);
	assert_int_equal(event.key.family, nfct_get_attr_u8(ct, ATTR_L3PROTO));
	assert_int_equal(event.key.l4num, nfct_get_attr_u8(ct, ATTR_L4PROTO));
	compare_addresses(&event, ct);
	if (nfct_attr_is_set(ct, ATTR_PORT_DST) > 0) {
		assert_int_equal(event.key.sport, ntohs(nfct_get_attr_u16(ct, ATTR_PORT_SRC)));
		assert_int_equal(event.key.dport, ntohs(nfct_get_attr_u16(ct, ATTR_PORT_DST)));
	}
	if (nfct_attr_is_set(ct, ATTR_ICMP_ID) > 0) {
		assert_int_equal(event.key.sport, ntohs(nfct_get_attr_u16(ct, ATTR_ICMP_ID)));
		assert_int_equal(event.key.dport >> 8, nfct_get_attr_u8(ct, ATTR_ICMP_TYPE));
		assert_int_equal(event.key.dport & 0xff, nfct_get_attr_u8(ct, ATTR_ICMP_CODE));
	}
	compare_reply(&event, ct);
	assert_int_equal(event.status, nfct_get_attr_u32(ct, ATTR_STATUS));
	assert_int_equal(event.timeout_s, nfct_get_attr_u32(ct, ATTR_TIMEOUT));
	assert_int_equal(event.id, nfct_get_attr_u32(ct, ATTR_ID));
	assert_int_equal(event.key.zone, nfct_attr_is_set(ct, ATTR_ZONE) > 0
						 ? nfct_get_attr_u16(ct, ATTR_ZONE)
					 : nfct_attr_is_set(ct, ATTR_ORIG_ZONE) > 0
						 ? nfct_get_attr_u16(ct, ATTR_ORIG_ZONE)
						 : 0);
	if (nfct_attr_is_set(ct, ATTR_TCP_STATE) > 0)
		assert_int_equal(event.proto_state, nfct_get_attr_u8(ct, ATTR_TCP_STATE));
	else if (nfct_attr_is_set(ct, ATTR_SCTP_STATE) > 0)
		assert_int_equal(event.proto_state, nfct_get_attr_u8(ct, ATTR_SCTP_STATE));
	else
		assert_false(event.has & CT_HAS_PROTO_STATE);
	assert_int_equal(event.has & (CT_HAS_STATUS | CT_HAS_TIMEOUT | CT_HAS_REPLY),
			 CT_HAS_STATUS | CT_HAS_TIMEOUT | CT_HAS_REPLY);
	assert_int_equal(event.hash, ct_hash(&event.key));
	assert_int_equal(event.portid, 4711);
	nfct_destroy(ct);
}

static void test_all_protocols_families_states(void **state)
{
	static const uint8_t protocols[] = {IPPROTO_TCP,  IPPROTO_UDP,	   IPPROTO_SCTP,
					    IPPROTO_DCCP, IPPROTO_UDPLITE, IPPROTO_GRE,
					    IPPROTO_ICMP, IPPROTO_ICMPV6};
	union message message;

	(void)state;
	for (size_t p = 0; p < UNIT_COUNT(protocols); p++) {
		for (unsigned int v6 = 0; v6 < 2; v6++) {
			for (int told = -1; told < 12; told++) {
				struct flow_spec spec = plain;

				spec.family = v6 ? AF_INET6 : AF_INET;
				spec.l4num = protocols[p];
				spec.state = told;
				spec.status = 1u << (told + 1);
				if (spec.l4num == IPPROTO_ICMP)
					spec.dport = ICMP_ECHO << 8;
				if (spec.l4num == IPPROTO_ICMPV6)
					spec.dport = 128 << 8;
				build(&message, &spec, IPCTNL_MSG_CT_NEW,
				      NLM_F_CREATE | NLM_F_EXCL);
				compare(&message);
			}
		}
	}
}

static void test_zones(void **state)
{
	static const int zones[][3] = {{0, 0, 0}, {7, 0, 0}, {0, 9, 0}, {0, 0, 11}, {65535, 0, 0}};
	union message message;
	struct ct_event event;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(zones); i++) {
		struct flow_spec spec = plain;

		spec.zone = zones[i][0];
		spec.orig_zone = zones[i][1];
		spec.reply_zone = zones[i][2];
		build(&message, &spec, IPCTNL_MSG_CT_NEW, 0);
		compare(&message);
		/* A zone of the reply only is not that of the original direction. */
		assert_int_equal(ct_event_parse(&message.nlh, message.nlh.nlmsg_len, &event), 0);
		assert_int_equal(event.key.zone, spec.zone ? spec.zone : spec.orig_zone);
	}
}

static void test_kinds(void **state)
{
	static const struct {
		uint16_t type;
		uint16_t flags;
		int kind; /* -1: not for us */
	} cases[] = {
		{IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, CT_NEW},
		{IPCTNL_MSG_CT_NEW, 0, CT_UPDATE},
		{IPCTNL_MSG_CT_NEW, NLM_F_MULTI, CT_RECORD},
		{IPCTNL_MSG_CT_NEW, NLM_F_MULTI | NLM_F_DUMP_FILTERED, CT_RECORD},
		{IPCTNL_MSG_CT_DELETE, 0, CT_DESTROY},
		{IPCTNL_MSG_CT_GET, 0, -1},
		{IPCTNL_MSG_CT_GET_STATS, 0, -1},
		{IPCTNL_MSG_CT_GET_STATS_CPU, NLM_F_MULTI, -1},
	};
	union message message;
	struct ct_event event;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		build(&message, &plain, cases[i].type, cases[i].flags);
		int err = ct_event_parse(&message.nlh, message.nlh.nlmsg_len, &event);

		assert_int_equal(err, cases[i].kind < 0 ? -ENOMSG : 0);
		if (!err)
			assert_int_equal(event.kind, cases[i].kind);
	}
	/* Another subsystem, and control messages. */
	build(&message, &plain, IPCTNL_MSG_CT_NEW, 0);
	message.nlh.nlmsg_type = NFNL_SUBSYS_CTNETLINK_EXP << 8;
	assert_int_equal(ct_event_parse(&message.nlh, message.nlh.nlmsg_len, &event), -ENOMSG);
	message.nlh.nlmsg_type = NLMSG_DONE;
	assert_int_equal(ct_event_parse(&message.nlh, message.nlh.nlmsg_len, &event), -ENOMSG);
}

static void test_unknown_attributes_and_flag_bits(void **state)
{
	union message message, wrapped;
	struct ct_event event, again;
	struct nlattr *attr;

	(void)state;
	build(&message, &plain, IPCTNL_MSG_CT_NEW, 0);
	assert_int_equal(ct_event_parse(&message.nlh, message.nlh.nlmsg_len, &event), 0);
	mnl_attr_put_u64(&message.nlh, 27, 12345); /* CTA_TIMESTAMP_EVENT of 6.14 */
	mnl_attr_put(&message.nlh, 99, 0, NULL);
	mnl_attr_put_strz(&message.nlh, 1000, "unheard of");
	assert_int_equal(ct_event_parse(&message.nlh, message.nlh.nlmsg_len, &again), 0);
	assert_memory_equal(&event, &again, sizeof(event));
	/* NLA_F_NESTED and NLA_F_NET_BYTEORDER may be set or not, on all of them. */
	for (uint16_t bits = 0; bits < 4; bits++) {
		wrapped = message;
		mnl_attr_for_each(attr, &wrapped.nlh, sizeof(struct nfgenmsg)) attr->nla_type =
			(attr->nla_type & 0x3fff) | bits << 14;
		assert_int_equal(ct_event_parse(&wrapped.nlh, wrapped.nlh.nlmsg_len, &again), 0);
		assert_memory_equal(&event, &again, sizeof(event));
	}
}

static struct nlattr *first_nest(struct nlattr *attr)
{
	return mnl_attr_get_payload(attr);
}

static struct nlattr *orig_tuple(union message *message)
{
	struct nlattr *attr;

	mnl_attr_for_each(attr, &message->nlh,
			  sizeof(struct nfgenmsg)) if (mnl_attr_get_type(attr) ==
						       CTA_TUPLE_ORIG) return attr;
	fail();
	return NULL;
}

/* The kernel's order is read at one stroke, any other attribute by attribute. */
static void test_order_inside_a_tuple_is_free(void **state)
{
	(void)state;
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		struct flow_spec spec = plain;
		union message message, turned;
		struct ct_event event, again;

		spec.family = v6 ? AF_INET6 : AF_INET;
		build(&message, &spec, IPCTNL_MSG_CT_NEW, 0);
		turned = message;
		const struct nlattr *ip = first_nest(orig_tuple(&message));
		const struct nlattr *proto = mnl_attr_next(ip);
		uint8_t *to = mnl_attr_get_payload(orig_tuple(&turned));

		memcpy(to, proto, proto->nla_len);
		memcpy(to + proto->nla_len, ip, ip->nla_len);
		assert_int_equal(ct_event_parse(&message.nlh, message.nlh.nlmsg_len, &event), 0);
		assert_int_equal(ct_event_parse(&turned.nlh, turned.nlh.nlmsg_len, &again), 0);
		assert_memory_equal(&event, &again, sizeof(event));
	}
}

/* Whatever one attribute of the tuple is instead, the others are read as they are. */
static void test_other_attributes_inside_a_tuple(void **state)
{
	(void)state;
	for (unsigned int v6 = 0; v6 < 2; v6++) {
		for (unsigned int which = 0; which < 7; which++) {
			struct flow_spec spec = plain;
			union message message;
			struct ct_event event;
			struct nlattr *at;

			spec.family = v6 ? AF_INET6 : AF_INET;
			build(&message, &spec, IPCTNL_MSG_CT_NEW, 0);
			at = first_nest(orig_tuple(&message));
			/* 0: addresses, 1: source, 2: destination; 3: protocol's... */
			if (which >= 3)
				at = mnl_attr_next(at);
			if (which != 0 && which != 3)
				at = first_nest(at);
			for (unsigned int i = which < 3 ? 1 : 4; i < which; i++)
				at = mnl_attr_next(at);
			at->nla_type = (at->nla_type & (uint16_t)~NLA_TYPE_MASK) | 99;

			int err = ct_event_parse(&message.nlh, message.nlh.nlmsg_len, &event);

			/* Without addresses or protocol number it is nobody's tuple. */
			assert_int_equal(err, which < 5 ? -EBADMSG : 0);
			if (err)
				continue;
			assert_int_equal(event.key.sport, which == 5 ? 0 : plain.sport);
			assert_int_equal(event.key.dport, which == 6 ? 0 : plain.dport);
		}
	}
}

/* Attributes of a size that is not theirs are passed over. */
static void test_wrong_sizes(void **state)
{
	union message message;
	struct ct_event event;
	struct nlmsghdr *nlh;

	(void)state;
	build(&message, &plain, IPCTNL_MSG_CT_NEW, 0);
	nlh = &message.nlh;
	mnl_attr_put_u8(nlh, CTA_STATUS, 0xff);
	mnl_attr_put_u64(nlh, CTA_ID, UINT64_MAX);
	mnl_attr_put_u8(nlh, CTA_ZONE, 0xff);
	mnl_attr_put_u16(nlh, CTA_TIMEOUT, 0xffff);
	mnl_attr_put(nlh, CTA_PROTOINFO, 0, NULL);
	assert_int_equal(ct_event_parse(nlh, nlh->nlmsg_len, &event), 0);
	assert_int_equal(event.status, plain.status);
	assert_int_equal(event.id, plain.id);
	assert_int_equal(event.key.zone, 0);
	assert_int_equal(event.timeout_s, plain.timeout);
	assert_int_equal(event.proto_state, 3);
}

static void test_without_its_tuple_it_is_malformed(void **state)
{
	union message message;
	struct ct_event event;

	(void)state;
	put_head(&message, IPCTNL_MSG_CT_NEW, 0, AF_INET);
	assert_int_equal(ct_event_parse(&message.nlh, message.nlh.nlmsg_len, &event), -EBADMSG);
	mnl_attr_put_u32(&message.nlh, CTA_STATUS, 0);
	assert_int_equal(ct_event_parse(&message.nlh, message.nlh.nlmsg_len, &event), -EBADMSG);
	/* A family that is none of ours; an IPv4 tuple called IPv6. */
	build(&message, &plain, IPCTNL_MSG_CT_NEW, 0);
	((struct nfgenmsg *)mnl_nlmsg_get_payload(&message.nlh))->nfgen_family = AF_UNIX;
	assert_int_equal(ct_event_parse(&message.nlh, message.nlh.nlmsg_len, &event), -EBADMSG);
	((struct nfgenmsg *)mnl_nlmsg_get_payload(&message.nlh))->nfgen_family = AF_INET6;
	assert_int_equal(ct_event_parse(&message.nlh, message.nlh.nlmsg_len, &event), -EBADMSG);
}

/* Two pages of which the second may not be touched. */
static uint8_t *guarded_pages(size_t *ret_page)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *at =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(at != MAP_FAILED);
	assert_int_equal(mprotect(at + page, page, PROT_NONE), 0);
	*ret_page = page;
	return at;
}

/* Cut at every length, in front of the guard page (and, where that cannot be
 * aligned, in a block of exactly that size, for the sanitizer to watch). */
static void test_cut_at_every_length(void **state)
{
	union message message;
	struct ct_event event;
	size_t page;
	uint8_t *pages = guarded_pages(&page);

	(void)state;
	build(&message, &plain, IPCTNL_MSG_CT_NEW, NLM_F_CREATE);
	for (uint32_t len = 0; len < message.nlh.nlmsg_len; len++) {
		uint8_t *block = malloc(len ? len : 1);
		struct nlmsghdr *at = len % 4 ? (void *)block : (void *)(pages + page - len);

		memcpy(at, &message, len);
		if (len < sizeof(*at)) {
			assert_int_equal(ct_event_parse(at, len, &event), -EBADMSG);
			free(block);
			continue;
		}
		/* As it says, longer than what is there; and cut with a true length. */
		assert_int_equal(ct_event_parse(at, len, &event), -EBADMSG);
		at->nlmsg_len = len;
		int err = ct_event_parse(at, len, &event);

		assert_true(err == 0 || err == -EBADMSG);
		at->nlmsg_len = 3;
		assert_int_equal(ct_event_parse(at, len, &event), -EBADMSG);
		free(block);
	}
	munmap(pages, 2 * page);
}

/* Every attribute length forged, and random bytes changed. */
static void forge(uint64_t seed)
{
	struct rng rng = rng_seeded(seed);
	union message message;
	struct ct_event event;
	struct flow_spec spec = plain;
	uint8_t *block;

	spec.l4num = rng_percent(&rng, 50) ? IPPROTO_SCTP : IPPROTO_TCP;
	spec.family = rng_percent(&rng, 50) ? AF_INET6 : AF_INET;
	build(&message, &spec, IPCTNL_MSG_CT_NEW, 0);
	block = malloc(message.nlh.nlmsg_len);
	memcpy(block, &message, message.nlh.nlmsg_len);
	for (uint32_t n = 1 + rng_below(&rng, 4); n > 0; n--)
		block[4 + rng_below(&rng, message.nlh.nlmsg_len - 4)] = (uint8_t)rng_next(&rng);
	ct_event_parse((const struct nlmsghdr *)(void *)block, message.nlh.nlmsg_len, &event);
	free(block);
}

static void test_forged(void **state)
{
	(void)state;
	unit_seeds("ct_event", 20000, forge);
}

static void test_get_request_round_trip(void **state)
{
	static const uint8_t protocols[] = {IPPROTO_TCP,    IPPROTO_UDP,    IPPROTO_SCTP,
					    IPPROTO_DCCP,   IPPROTO_GRE,    IPPROTO_ICMP,
					    IPPROTO_ICMPV6, IPPROTO_UDPLITE};
	union message message;
	struct ct_event event, again;

	(void)state;
	for (size_t i = 0; i < 4 * UNIT_COUNT(protocols); i++) {
		struct flow_spec spec = plain;

		spec.l4num = protocols[i / 4];
		spec.family = i & 1 ? AF_INET6 : AF_INET;
		spec.zone = i & 2 ? 77 : 0;
		spec.dport = spec.l4num == IPPROTO_ICMP	    ? ICMP_ECHO << 8
			     : spec.l4num == IPPROTO_ICMPV6 ? 128 << 8
							    : 443;
		build(&message, &spec, IPCTNL_MSG_CT_NEW, 0);
		assert_int_equal(ct_event_parse(&message.nlh, message.nlh.nlmsg_len, &event), 0);
		int len = ct_request_get(&message, sizeof(message), 99, &event.key);

		assert_true(len > 0);
		assert_int_equal(message.nlh.nlmsg_len, len);
		assert_int_equal(message.nlh.nlmsg_seq, 99);
		assert_int_equal(message.nlh.nlmsg_flags, NLM_F_REQUEST);
		assert_int_equal(message.nlh.nlmsg_type,
				 (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET);
		/* Read as if the kernel had sent it: the same entry. */
		message.nlh.nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW;
		assert_int_equal(ct_event_parse(&message.nlh, (size_t)len, &again), 0);
		assert_memory_equal(&event.key, &again.key, sizeof(event.key));
		assert_int_equal(event.hash, again.hash);
	}
}

/* Protocols without ports can be asked for too. */
static void test_get_request_of_generic(void **state)
{
	struct ct_key key = {.src = {10, 0, 0, 1},
			     .dst = {10, 0, 0, 2},
			     .l4num = IPPROTO_ESP,
			     .family = AF_INET};
	union message message;
	struct ct_event event;
	int len = ct_request_get(&message, sizeof(message), 1, &key);

	(void)state;
	assert_true(len > 0);
	message.nlh.nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW;
	assert_int_equal(ct_event_parse(&message.nlh, (size_t)len, &event), 0);
	assert_memory_equal(&event.key, &key, sizeof(key));
}

static void test_requests_need_room(void **state)
{
	union message message;
	struct ct_key key = {.family = AF_INET, .l4num = IPPROTO_TCP};

	(void)state;
	assert_int_equal(ct_request_get(&message, 100, 1, &key), -EMSGSIZE);
	assert_int_equal(ct_request_dump(&message, 10, 1), -EMSGSIZE);
	assert_true(ct_request_dump(&message, sizeof(message), 5) > 0);
	assert_int_equal(message.nlh.nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
}

/* Every field of the key changes the hash, and the secret does. */
static void test_hash(void **state)
{
	struct ct_key key = {.family = AF_INET, .l4num = IPPROTO_TCP};
	uint64_t plain_hash = ct_hash(&key);

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++) {
		struct ct_key other = key;

		((uint8_t *)&other)[i] ^= 1;
		assert_true(ct_hash(&other) != plain_hash);
	}
	ct_hash_seed_fixed(2);
	assert_true(ct_hash(&key) != plain_hash);
	ct_hash_seed_fixed(1);
	assert_true(ct_hash(&key) == plain_hash);
	assert_int_equal(ct_hash_seed(), 0);
	assert_true(ct_hash(&key) != plain_hash);
	ct_hash_seed_fixed(1);
}

static int by_value(const void *a, const void *b)
{
	uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

	return one < other ? -1 : one > other;
}

#define SEEDS (1u << 18)

/* Of 2^18 secrets with 32 random bits, 8 pairs are the same; of those with 64, none. */
static void test_the_pair_secret_has_all_bits(void **state)
{
	uint64_t *words[2] = {calloc(SEEDS, sizeof(uint64_t)), calloc(SEEDS, sizeof(uint64_t))};

	(void)state;
	assert_true(words[0] && words[1]);
	for (uint32_t i = 0; i < SEEDS; i++) {
		assert_int_equal(ct_hash_seed(), 0);
		words[0][i] = ct_hash_pair_secret[0];
		words[1][i] = ct_hash_pair_secret[1];
	}
	for (unsigned int which = 0; which < 2; which++) {
		qsort(words[which], SEEDS, sizeof(uint64_t), by_value);
		for (uint32_t i = 1; i < SEEDS; i++)
			assert_true(words[which][i] != words[which][i - 1]);
		free(words[which]);
	}
	ct_hash_seed_fixed(1);
}

static int seed_hash(void **state)
{
	(void)state;
	ct_hash_seed_fixed(1);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_protocols_families_states),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_unknown_attributes_and_flag_bits),
		cmocka_unit_test(test_order_inside_a_tuple_is_free),
		cmocka_unit_test(test_other_attributes_inside_a_tuple),
		cmocka_unit_test(test_wrong_sizes),
		cmocka_unit_test(test_without_its_tuple_it_is_malformed),
		cmocka_unit_test(test_cut_at_every_length),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_get_request_round_trip),
		cmocka_unit_test(test_get_request_of_generic),
		cmocka_unit_test(test_requests_need_room),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_the_pair_secret_has_all_bits),
	};

	return cmocka_run_group_tests_name("ct_event", tests, seed_hash, NULL);
}
