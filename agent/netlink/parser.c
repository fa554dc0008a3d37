// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/netlink/parser.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>

#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

/* The kernel's macros are signed; what they are applied to here is not. */
#define ATTR_HEAD_BYTES sizeof(struct nlattr)
#define ATTR_TYPE_MASK	0x3fffu

/* A run of attributes that ends where the enclosing payload ends. */
struct attrs {
	const uint8_t *at;
	size_t left;
};

static inline bool next_attr(struct attrs *attrs, struct nlattr *ret_head, const uint8_t **ret_data,
			     size_t *ret_len)
{
	size_t step;

	if (attrs->left < sizeof(*ret_head))
		return false;
	memcpy(ret_head, attrs->at, sizeof(*ret_head));
	if (ret_head->nla_len < sizeof(*ret_head) || ret_head->nla_len > attrs->left)
		return false;
	ret_head->nla_type &= (uint16_t)ATTR_TYPE_MASK;
	*ret_data = attrs->at + ATTR_HEAD_BYTES;
	*ret_len = (size_t)ret_head->nla_len - ATTR_HEAD_BYTES;
	step = ((size_t)ret_head->nla_len + 3u) & ~(size_t)3u;
	step = step < attrs->left ? step : attrs->left;
	attrs->at += step;
	attrs->left -= step;
	return true;
}

static uint16_t be16_at(const uint8_t *data)
{
	return (uint16_t)(data[0] << 8 | data[1]);
}

static uint32_t be32_at(const uint8_t *data)
{
	return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

/* One direction's tuple as parsed; only the original's ends up in the key. */
struct tuple {
	uint8_t src[16];
	uint8_t dst[16];
	uint16_t sport;
	uint16_t dport;
	uint16_t zone;
	uint8_t l4num;
	bool has_addresses;
	bool has_l4num;
};

static void parse_ip(struct attrs attrs, uint8_t family, struct tuple *tuple)
{
	size_t want = family == AF_INET ? 4 : 16;
	bool src = false, dst = false;
	struct nlattr head;
	const uint8_t *data;
	size_t len;

	while (next_attr(&attrs, &head, &data, &len)) {
		if (len != want)
			continue;
		if (head.nla_type == (family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC)) {
			memcpy(tuple->src, data, want);
			src = true;
		} else if (head.nla_type == (family == AF_INET ? CTA_IP_V4_DST : CTA_IP_V6_DST)) {
			memcpy(tuple->dst, data, want);
			dst = true;
		}
	}
	tuple->has_addresses = src && dst;
}

static void parse_proto(struct attrs attrs, struct tuple *tuple)
{
	struct nlattr head;
	const uint8_t *data;
	size_t len;

	while (next_attr(&attrs, &head, &data, &len)) {
		switch (head.nla_type) {
		case CTA_PROTO_NUM:
			if (len == 1) {
				tuple->l4num = data[0];
				tuple->has_l4num = true;
			}
			break;
		case CTA_PROTO_SRC_PORT:
		case CTA_PROTO_ICMP_ID:
		case CTA_PROTO_ICMPV6_ID:
			if (len == 2)
				tuple->sport = be16_at(data);
			break;
		case CTA_PROTO_DST_PORT:
			if (len == 2)
				tuple->dport = be16_at(data);
			break;
		case CTA_PROTO_ICMP_TYPE:
		case CTA_PROTO_ICMPV6_TYPE:
			if (len == 1)
				tuple->dport = (uint16_t)(tuple->dport | data[0] << 8);
			break;
		case CTA_PROTO_ICMP_CODE:
		case CTA_PROTO_ICMPV6_CODE:
			if (len == 1)
				tuple->dport = (uint16_t)(tuple->dport | data[0]);
			break;
		default:
			break;
		}
	}
}

/*
 * A tuple with ports as the kernel writes it, heads and all: nearly every tuple of
 * nearly every message is one of these, and reading it as one block takes a
 * quarter of the instructions. Anything else is read attribute by attribute.
 * (ctnetlink_dump_tuples, nf_ct_port_tuple_to_nlattr.)
 */
struct wire_ports {
	struct nlattr nest, num_head;
	uint8_t num, num_pad[3];
	struct nlattr src_head;
	uint8_t src[2], src_pad[2];
	struct nlattr dst_head;
	uint8_t dst[2], dst_pad[2];
};

_Static_assert(sizeof(struct wire_ports) == 28, "as on the wire");

/* 0 for the head of such an attribute: all are compared, and there is one branch. */
static inline uint32_t head_off(struct nlattr head, uint32_t type, size_t len)
{
	return ((uint32_t)head.nla_len ^ (uint32_t)(ATTR_HEAD_BYTES + len)) |
	       ((head.nla_type & ATTR_TYPE_MASK) ^ type);
}

static inline uint32_t head_off_at(const uint8_t *at, uint32_t type, size_t len)
{
	struct nlattr head;

	memcpy(&head, at, sizeof(head));
	return head_off(head, type, len);
}

/* A tuple that is as the kernel writes those with ports: nothing is missing. */
struct wire_tuple {
	const uint8_t *src;
	const uint8_t *dst;
	uint16_t sport;
	uint16_t dport;
	uint8_t l4num;
};

/* Inlined, so that each length is a constant. */
static inline __attribute__((always_inline)) bool take_wire(struct attrs attrs,
							    size_t address_bytes, uint32_t src_type,
							    uint32_t dst_type,
							    struct wire_tuple *ret_wire)
{
	const size_t addresses_bytes = 2 * (ATTR_HEAD_BYTES + address_bytes);
	const uint8_t *src = attrs.at + ATTR_HEAD_BYTES;
	const uint8_t *dst = src + ATTR_HEAD_BYTES + address_bytes;
	struct wire_ports ports;

	if (attrs.left != ATTR_HEAD_BYTES + addresses_bytes + sizeof(ports))
		return false;
	memcpy(&ports, src + addresses_bytes, sizeof(ports));
	if (head_off_at(attrs.at, CTA_TUPLE_IP, addresses_bytes) |
	    head_off_at(src, src_type, address_bytes) | head_off_at(dst, dst_type, address_bytes) |
	    head_off(ports.nest, CTA_TUPLE_PROTO, sizeof(ports) - sizeof(ports.nest)) |
	    head_off(ports.num_head, CTA_PROTO_NUM, sizeof(ports.num)) |
	    head_off(ports.src_head, CTA_PROTO_SRC_PORT, sizeof(ports.src)) |
	    head_off(ports.dst_head, CTA_PROTO_DST_PORT, sizeof(ports.dst)))
		return false;
	*ret_wire = (struct wire_tuple){
		.src = src + ATTR_HEAD_BYTES,
		.dst = dst + ATTR_HEAD_BYTES,
		.sport = be16_at(ports.src),
		.dport = be16_at(ports.dst),
		.l4num = ports.num,
	};
	return true;
}

/* The events' own fields, zero so far, are filled without a copy between: what is shorter than
 * its room stays zero. */
static inline __attribute__((always_inline)) bool take_orig(struct attrs attrs,
							    size_t address_bytes, uint32_t src_type,
							    uint32_t dst_type, struct ct_key *key)
{
	struct wire_tuple wire;

	if (!take_wire(attrs, address_bytes, src_type, dst_type, &wire))
		return false;
	memcpy(key->src, wire.src, address_bytes);
	memcpy(key->dst, wire.dst, address_bytes);
	key->sport = wire.sport;
	key->dport = wire.dport;
	key->l4num = wire.l4num;
	return true;
}

static inline __attribute__((always_inline)) bool take_reply(struct attrs attrs,
							     size_t address_bytes,
							     uint32_t src_type, uint32_t dst_type,
							     struct ct_event *event)
{
	struct wire_tuple wire;

	if (!take_wire(attrs, address_bytes, src_type, dst_type, &wire))
		return false;
	memcpy(event->reply_src, wire.src, address_bytes);
	memcpy(event->reply_dst, wire.dst, address_bytes);
	event->reply_sport = wire.sport;
	event->reply_dport = wire.dport;
	event->has |= CT_HAS_REPLY;
	return true;
}

static void parse_tuple(struct attrs attrs, uint8_t family, struct tuple *tuple)
{
	struct nlattr head;
	const uint8_t *data;
	size_t len;

	memset(tuple, 0, sizeof(*tuple));
	while (next_attr(&attrs, &head, &data, &len)) {
		struct attrs inner = {data, len};

		if (head.nla_type == CTA_TUPLE_IP)
			parse_ip(inner, family, tuple);
		else if (head.nla_type == CTA_TUPLE_PROTO)
			parse_proto(inner, tuple);
		else if (head.nla_type == CTA_TUPLE_ZONE && len == 2)
			tuple->zone = be16_at(data);
	}
}

static void parse_protoinfo(struct attrs attrs, struct ct_event *event)
{
	struct nlattr head;
	const uint8_t *data;
	size_t len;

	while (next_attr(&attrs, &head, &data, &len)) {
		struct attrs inner = {data, len};
		uint16_t want;

		if (head.nla_type == CTA_PROTOINFO_TCP)
			want = CTA_PROTOINFO_TCP_STATE;
		else if (head.nla_type == CTA_PROTOINFO_SCTP)
			want = CTA_PROTOINFO_SCTP_STATE;
		else
			continue;
		while (next_attr(&inner, &head, &data, &len)) {
			if (head.nla_type != want || len != 1)
				continue;
			event->proto_state = data[0];
			event->has |= CT_HAS_PROTO_STATE;
			/* It comes first, before four others that nobody asks for. */
			return;
		}
	}
}

static int classify(const struct nlmsghdr *nlh, uint8_t *ret_kind)
{
	if (nlh->nlmsg_type == ((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE))
		*ret_kind = CT_DESTROY;
	else if (nlh->nlmsg_type != ((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW))
		return -ENOMSG;
	else if (nlh->nlmsg_flags & NLM_F_MULTI)
		*ret_kind = CT_RECORD;
	else if (nlh->nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL))
		*ret_kind = CT_NEW;
	else
		*ret_kind = CT_UPDATE;
	return 0;
}

/* False: it lacks what makes it a tuple. */
static bool parse_orig(struct attrs attrs, uint8_t family, struct ct_key *key)
{
	struct tuple orig;

	if (family == AF_INET ? take_orig(attrs, 4, CTA_IP_V4_SRC, CTA_IP_V4_DST, key)
			      : take_orig(attrs, 16, CTA_IP_V6_SRC, CTA_IP_V6_DST, key))
		return true;
	parse_tuple(attrs, family, &orig);
	memcpy(key->src, orig.src, sizeof(key->src));
	memcpy(key->dst, orig.dst, sizeof(key->dst));
	key->sport = orig.sport;
	key->dport = orig.dport;
	key->zone = orig.zone;
	key->l4num = orig.l4num;
	return orig.has_addresses && orig.has_l4num;
}

static void parse_reply(struct attrs attrs, uint8_t family, struct ct_event *event)
{
	struct tuple reply;

	if (family == AF_INET ? take_reply(attrs, 4, CTA_IP_V4_SRC, CTA_IP_V4_DST, event)
			      : take_reply(attrs, 16, CTA_IP_V6_SRC, CTA_IP_V6_DST, event))
		return;
	parse_tuple(attrs, family, &reply);
	memcpy(event->reply_src, reply.src, sizeof(event->reply_src));
	memcpy(event->reply_dst, reply.dst, sizeof(event->reply_dst));
	event->reply_sport = reply.sport;
	event->reply_dport = reply.dport;
	event->reply_zone = reply.zone;
	if (reply.has_addresses)
		event->has |= CT_HAS_REPLY;
}

static void fill_zone(struct ct_event *event, uint16_t zone)
{
	event->key.zone = zone;
	event->reply_zone = zone;
}

static int parse_entry(struct attrs attrs, uint8_t family, struct ct_event *event)
{
	bool has_orig = false;
	uint16_t zone = 0;
	struct nlattr head;
	const uint8_t *data;
	size_t len;

	while (next_attr(&attrs, &head, &data, &len)) {
		struct attrs inner = {data, len};

		switch (head.nla_type) {
		case CTA_TUPLE_ORIG:
			has_orig = parse_orig(inner, family, &event->key);
			break;
		case CTA_TUPLE_REPLY:
			parse_reply(inner, family, event);
			break;
		case CTA_STATUS:
			if (len == 4) {
				event->status = be32_at(data);
				event->has |= CT_HAS_STATUS;
			}
			break;
		case CTA_TIMEOUT:
			if (len == 4) {
				event->timeout_s = be32_at(data);
				event->has |= CT_HAS_TIMEOUT;
			}
			break;
		case CTA_ID:
			if (len == 4)
				event->id = be32_at(data);
			break;
		case CTA_ZONE:
			if (len == 2)
				zone = be16_at(data);
			break;
		case CTA_PROTOINFO:
			parse_protoinfo(inner, event);
			break;
		default:
			break;
		}
	}
	if (!has_orig)
		return -EBADMSG;
	if (zone)
		fill_zone(event, zone);
	event->key.family = family;
	event->hash = ct_hash(&event->key);
	return 0;
}

int ct_event_parse(const struct nlmsghdr *nlh, size_t len, struct ct_event *event)
{
	const size_t heads = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));
	const struct nfgenmsg *nfg;
	struct attrs attrs;

	if (len < sizeof(*nlh) || nlh->nlmsg_len > len || nlh->nlmsg_len < sizeof(*nlh))
		return -EBADMSG;
	memset(event, 0, sizeof(*event));
	if (classify(nlh, &event->kind) < 0)
		return -ENOMSG;
	if (nlh->nlmsg_len < heads)
		return -EBADMSG;
	event->portid = nlh->nlmsg_pid;
	nfg = (const struct nfgenmsg *)((const uint8_t *)nlh + NLMSG_HDRLEN);
	if (nfg->nfgen_family != AF_INET && nfg->nfgen_family != AF_INET6)
		return -EBADMSG;
	attrs.at = (const uint8_t *)nlh + heads;
	attrs.left = nlh->nlmsg_len - heads;
	return parse_entry(attrs, nfg->nfgen_family, event);
}

static struct nlmsghdr *put_head(void *buf, uint16_t flags, uint32_t seq, uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *nfg;

	nlh->nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	nlh->nlmsg_seq = seq;
	nfg = mnl_nlmsg_put_extra_header(nlh, sizeof(*nfg));
	nfg->nfgen_family = family;
	nfg->version = NFNETLINK_V0;
	nfg->res_id = 0;
	return nlh;
}

int ct_request_dump(void *buf, size_t bytes, uint32_t seq)
{
	if (bytes < NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg)))
		return -EMSGSIZE;
	return (int)put_head(buf, NLM_F_DUMP, seq, AF_UNSPEC)->nlmsg_len;
}

static void set_addresses(struct nf_conntrack *ct, const struct ct_key *key)
{
	if (key->family == AF_INET) {
		nfct_set_attr(ct, ATTR_IPV4_SRC, key->src);
		nfct_set_attr(ct, ATTR_IPV4_DST, key->dst);
	} else {
		nfct_set_attr(ct, ATTR_IPV6_SRC, key->src);
		nfct_set_attr(ct, ATTR_IPV6_DST, key->dst);
	}
}

static void set_proto(struct nf_conntrack *ct, const struct ct_key *key)
{
	if (key->l4num == IPPROTO_ICMP || key->l4num == IPPROTO_ICMPV6) {
		nfct_set_attr_u8(ct, ATTR_ICMP_TYPE, (uint8_t)(key->dport >> 8));
		nfct_set_attr_u8(ct, ATTR_ICMP_CODE, (uint8_t)(key->dport & 0xff));
		nfct_set_attr_u16(ct, ATTR_ICMP_ID, htons(key->sport));
	} else {
		nfct_set_attr_u16(ct, ATTR_PORT_SRC, htons(key->sport));
		nfct_set_attr_u16(ct, ATTR_PORT_DST, htons(key->dport));
	}
}

int ct_request_get(void *buf, size_t bytes, uint32_t seq, const struct ct_key *key)
{
	struct nf_conntrack *ct;
	struct nlmsghdr *nlh;
	int err;

	/* The library's builder does not check that the buffer is large enough. */
	if (bytes < 512)
		return -EMSGSIZE;
	ct = nfct_new();
	if (!ct)
		return -ENOMEM;
	nfct_set_attr_u8(ct, ATTR_L3PROTO, key->family);
	nfct_set_attr_u8(ct, ATTR_L4PROTO, key->l4num);
	set_addresses(ct, key);
	set_proto(ct, key);
	if (key->zone)
		nfct_set_attr_u16(ct, ATTR_ZONE, key->zone);
	nlh = put_head(buf, 0, seq, key->family);
	err = nfct_nlmsg_build(nlh, ct) < 0 ? -EINVAL : (int)nlh->nlmsg_len;
	nfct_destroy(ct);
	return err;
}

const struct nlmsghdr *ct_message_first(const void *bytes, size_t len, int *ret_left)
{
	*ret_left = (int)len;
	return mnl_nlmsg_ok(bytes, *ret_left) ? bytes : NULL;
}

const struct nlmsghdr *ct_message_next(const struct nlmsghdr *nlh, int *left)
{
	nlh = mnl_nlmsg_next(nlh, left);
	return mnl_nlmsg_ok(nlh, *left) ? nlh : NULL;
}
