// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/mirror/verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int verify_create(struct verify *verify, uint32_t audit_rate, uint64_t seed)
{
	memset(verify, 0, sizeof(*verify));
	verify->audit_rate = audit_rate < AUDIT_RATE_MAX ? audit_rate : AUDIT_RATE_MAX;
	verify->random = seed | 1u;
	verify->doubts.room = VERIFY_RING;
	verify->audits.room = AUDIT_RING;
	verify->turns.room = TURN_RING;
	verify->doubts.items = calloc(VERIFY_RING, sizeof(struct verify_item));
	verify->audits.items = calloc(AUDIT_RING, sizeof(struct verify_item));
	verify->turns.items = calloc(TURN_RING, sizeof(struct verify_item));
	if (verify->doubts.items && verify->audits.items && verify->turns.items)
		return 0;
	verify_destroy(verify);
	return -ENOMEM;
}

void verify_destroy(struct verify *verify)
{
	free(verify->doubts.items);
	free(verify->audits.items);
	free(verify->turns.items);
	memset(verify, 0, sizeof(*verify));
}

static uint32_t ring_count(const struct verify_ring *ring)
{
	return ring->tail - ring->head;
}

static void ring_put(struct verify *verify, struct verify_ring *ring,
		     const struct verify_item *item)
{
	if (ring_count(ring) == ring->room) {
		verify->overflows++;
		return;
	}
	ring->items[ring->tail++ & (ring->room - 1u)] = *item;
}

static struct verify_item item_of(const struct ct_event *event)
{
	struct verify_item item = {.key = event->key, .hash = event->hash};

	return item;
}

void verify_doubt(struct verify *verify, const struct ct_event *event, uint64_t now_ns)
{
	struct verify_item item = item_of(event);

	item.due_ns = now_ns + VERIFY_DELAY_NS;
	ring_put(verify, &verify->doubts, &item);
}

void verify_again(struct verify *verify, const struct verify_item *item, uint64_t now_ns)
{
	struct verify_item again = *item;

	again.attempt = 1;
	again.due_ns = now_ns + VERIFY_DELAY_NS;
	ring_put(verify, &verify->doubts, &again);
}

void verify_audit(struct verify *verify, const struct ct_key *key, uint64_t hash, uint64_t now_ns)
{
	struct verify_item item = {.key = *key, .hash = hash, .due_ns = now_ns, .audit = 1};

	/* Without room it is dropped: its turn comes again. */
	if (ring_count(&verify->turns) < verify->turns.room)
		ring_put(verify, &verify->turns, &item);
}

/* xorshift64: only has to be cheap and not correlated with traffic. */
static uint64_t next_random(struct verify *verify)
{
	uint64_t x = verify->random;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	verify->random = x;
	return x;
}

/* By a multiplication: a division costs as much as the rest of verify_offer(). */
static uint64_t random_below(struct verify *verify, uint64_t bound)
{
	return (uint64_t)((unsigned __int128)next_random(verify) * bound >> 64);
}

/* Reservoir sampling (Vitter's algorithm R): every event of the second has the same chance. */
void verify_offer(struct verify *verify, const struct ct_event *event)
{
	uint64_t at = verify->sample_seen++;

	if (at >= verify->audit_rate) {
		at = random_below(verify, verify->sample_seen);
		if (at >= verify->audit_rate)
			return;
	} else {
		verify->sample_count++;
	}
	verify->sample[at] = item_of(event);
	verify->sample[at].audit = 1;
}

void verify_second(struct verify *verify, uint64_t now_ns)
{
	for (uint32_t i = 0; i < verify->sample_count; i++) {
		verify->sample[i].due_ns = now_ns + AUDIT_DELAY_NS;
		ring_put(verify, &verify->audits, &verify->sample[i]);
	}
	verify->sample_count = 0;
	verify->sample_seen = 0;
}

static uint32_t take_from(struct verify_ring *ring, uint64_t now_ns, struct verify_item *items,
			  uint32_t room)
{
	uint32_t n = 0;

	while (n < room && ring_count(ring) > 0) {
		const struct verify_item *item = &ring->items[ring->head & (ring->room - 1u)];

		if (item->due_ns > now_ns)
			break;
		items[n++] = *item;
		ring->head++;
	}
	return n;
}

uint32_t verify_take(struct verify *verify, uint64_t now_ns, struct verify_item *items,
		     uint32_t room)
{
	uint32_t n = take_from(&verify->doubts, now_ns, items, room);

	n += take_from(&verify->turns, now_ns, items + n, room - n);
	return n + take_from(&verify->audits, now_ns, items + n, room - n);
}

uint32_t verify_pending(const struct verify *verify)
{
	return ring_count(&verify->doubts);
}
