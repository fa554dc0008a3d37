// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A conntrack event as everything behind the parser sees it, and the key by which an
 * entry is found. Free of netlink: agent/netlink/parser.h fills it from messages,
 * lib/trace from the lines of a trace, tests by hand.
 *
 * The hash is keyed (xxhash, XXH3 with a secret), because remote hosts choose tuples.
 * This is the only user of xxhash.
 *
 * Threads: pure functions, except for ct_hash_seed() and ct_hash_seed_fixed(), one of
 * which is called once at start. Errors: -errno.
 */
#ifndef CONNTIDE_EVENT_EVENT_H
#define CONNTIDE_EVENT_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kernel/states.h"

enum ct_kind {
	CT_NEW, /* the first message of an entry, a related one included */
	CT_UPDATE,
	CT_DESTROY,
	CT_RECORD, /* of a dump, or the answer to a GET */
	CT_KINDS
};

/* CTA_STATUS bits (enum ip_conntrack_status). */
enum {
	CT_STATUS_SEEN_REPLY = 1u << 1,
	CT_STATUS_ASSURED = 1u << 2,
	CT_STATUS_SRC_NAT = 1u << 4, /* the kernel chose another source; never goes away */
	CT_STATUS_DST_NAT = 1u << 5,
	CT_STATUS_DYING = 1u << 9,
	CT_STATUS_CLASH = 1u << 12, /* IPS_NAT_CLASH in the kernel, UNTRACKED outside */
	CT_STATUS_HELPER = 1u << 13,
	CT_STATUS_OFFLOAD = 1u << 14
};

enum {
	CT_HAS_STATUS = 1u << 0,
	CT_HAS_PROTO_STATE = 1u << 1,
	CT_HAS_TIMEOUT = 1u << 2,
	CT_HAS_REPLY = 1u << 3
};

/*
 * What makes an entry this entry: original tuple and effective zone of the
 * original direction. Hashed as bytes: every byte is always written.
 */
struct ct_key {
	uint8_t src[16]; /* IPv4: first four bytes, the rest 0 */
	uint8_t dst[16];
	uint16_t sport; /* host order; ICMP: id; GRE: key */
	uint16_t dport; /* host order; ICMP: type << 8 | code; GRE: key */
	uint16_t zone;	/* as seen in the original direction; 0 default */
	uint8_t l4num;	/* IPPROTO_* */
	uint8_t family; /* AF_INET or AF_INET6 */
};

_Static_assert(sizeof(struct ct_key) == 40, "no padding inside the hashed bytes");

struct ct_event {
	uint64_t hash; /* ct_hash(&key) */
	struct ct_key key;
	/* Of the reply tuple, where CT_HAS_REPLY; numbered as in the key. */
	uint8_t reply_src[16]; /* where packets really go, after DNAT */
	uint8_t reply_dst[16]; /* where answers go to: the outside address, after SNAT */
	uint16_t reply_sport;
	uint16_t reply_dport; /* the port that SNAT chose */
	uint16_t reply_zone;  /* as seen in the reply direction */
	uint32_t id;	      /* CTA_ID: tells objects with one key apart, no more */
	uint32_t status;
	uint32_t timeout_s;  /* just set (NEW, UPDATE), remaining (RECORD), left (DESTROY) */
	uint32_t portid;     /* of who asked for the change; 0: a packet */
	uint8_t kind;	     /* enum ct_kind */
	uint8_t has;	     /* CT_HAS_* */
	uint8_t proto_state; /* kernel's TCP or SCTP state */
};

/* Draws the hash secret from the kernel; 0 or -errno. */
int ct_hash_seed(void);
/* A fixed secret instead, so that replays and tests repeat. */
void ct_hash_seed_fixed(uint64_t seed);
/* 64 bits, keyed: remote hosts choose tuples. */
uint64_t ct_hash(const struct ct_key *key);

/* The same for other things that remote hosts choose; up to 64 bytes. */
uint64_t ct_hash_bytes(const void *bytes, size_t len);
/* Of 16 bytes: a product of both words, each with a part of the secret, folded. For tables that
 * mix it once more (lib/stats/topk.h), at a fifth of what the above takes. */
extern uint64_t ct_hash_pair_secret[2];

static inline uint64_t ct_hash_pair(const uint64_t words[2])
{
	unsigned __int128 product = (unsigned __int128)(words[0] ^ ct_hash_pair_secret[0]) *
				    (words[1] ^ ct_hash_pair_secret[1]);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* How the histogram numbers this protocol. */
enum l4proto ct_l4proto(uint8_t l4num);

/* The port that was dialled; of L4_OTHER the protocol's number; 0 where there is none. */
uint16_t ct_key_port(const struct ct_key *key);

#endif
