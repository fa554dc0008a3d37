// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Entries to be asked for one by one (GET), and when.
 *
 * Two kinds. *Doubts*: the mirror has a reason to mistrust one entry (a DESTROY
 * with another id, a NEW right after a DESTROY, a state never told); they wait
 * VERIFY_DELAY_NS, so that what is on its way arrives first. *Audits* find what
 * nothing else can: entries that change without telling. They are a random sample of the
 * entries that had an event, AUDIT_DELAY_NS later, and one of the whole table (sample.h).
 * An answer that contradicts the mirror is asked again before it is believed.
 *
 * Bounded: rings of fixed size; what does not fit is dropped and counted in
 * `overflows`, upon which the agent plans a resync. Pure: no clock, no I/O.
 */
#ifndef CONNTIDE_MIRROR_VERIFY_H
#define CONNTIDE_MIRROR_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/event/event.h"

#define VERIFY_DELAY_NS UINT64_C(250000000)
#define AUDIT_DELAY_NS	UINT64_C(2000000000)
#define VERIFY_RING	4096u
#define AUDIT_RATE_MAX	256u /* a second */
#define AUDIT_RING	1024u
#define TURN_RING	512u

struct verify_item {
	struct ct_key key;
	uint64_t hash;
	uint64_t due_ns;
	uint8_t audit;	 /* 1: sampled, 0: doubted */
	uint8_t attempt; /* 0, then 1 */
	uint8_t _pad[6];
};

struct verify_ring {
	struct verify_item *items;
	uint32_t room; /* power of two */
	uint32_t head; /* next to leave */
	uint32_t tail; /* next free */
};

struct verify {
	struct verify_ring doubts;
	struct verify_ring audits;		   /* of entries with a recent event */
	struct verify_ring turns;		   /* of the whole table */
	struct verify_item sample[AUDIT_RATE_MAX]; /* of the second that runs */
	uint32_t sample_count;
	uint32_t audit_rate; /* per second, of entries with a recent event; 0: none */
	uint64_t sample_seen;
	uint64_t random;
	uint64_t overflows;
};

int verify_create(struct verify *verify, uint32_t audit_rate, uint64_t seed);
void verify_destroy(struct verify *verify);

void verify_doubt(struct verify *verify, const struct ct_event *event, uint64_t now_ns);
/* Ask again for an item that was answered. */
void verify_again(struct verify *verify, const struct verify_item *item, uint64_t now_ns);
/* One of the whole table's sample; its turn is now. */
void verify_audit(struct verify *verify, const struct ct_key *key, uint64_t hash, uint64_t now_ns);
/* Offer an event to the sample. */
void verify_offer(struct verify *verify, const struct ct_event *event);
/* Once a second: the sample goes into the queue. */
void verify_second(struct verify *verify, uint64_t now_ns);

/* Takes up to `room` items that are due; returns how many. */
uint32_t verify_take(struct verify *verify, uint64_t now_ns, struct verify_item *items,
		     uint32_t room);

/* Waiting doubts and repeated audits; audits of the sample are not counted. */
uint32_t verify_pending(const struct verify *verify);

#endif
