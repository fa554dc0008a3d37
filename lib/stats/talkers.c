// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/talkers.h"

#include <string.h>
#include <sys/socket.h>

#include "lib/base/num.h"
#include "lib/base/topn.h"
#include "lib/shm/seqlock.h"

int talkers_create(struct talkers *talkers, uint32_t keys)
{
	memset(talkers, 0, sizeof(*talkers));
	talkers->clear_kind = SHM_TALKER_KINDS;
	for (unsigned int kind = 0; kind < SHM_TALKER_KINDS; kind++) {
		int err = topk_create(&talkers->kinds[kind], keys);

		if (err) {
			talkers_destroy(talkers);
			return err;
		}
	}
	return 0;
}

void talkers_destroy(struct talkers *talkers)
{
	for (unsigned int kind = 0; kind < SHM_TALKER_KINDS; kind++)
		topk_destroy(&talkers->kinds[kind]);
}

/* --- one entry ------------------------------------------------------------------- */

/* IPv4 has no /64. */
static unsigned int kinds_of(const struct ct_key *key)
{
	return key->family == AF_INET6 ? SHM_TALKER_KINDS : SHM_TALKER_SOURCE_64;
}

static struct topk_key key_of(const uint8_t address[16], uint32_t rest)
{
	struct topk_key key = {.rest = rest};

	memcpy(key.address, address, sizeof(key.address));
	return key;
}

static struct topk_key net_of(const uint8_t address[16], uint32_t rest)
{
	struct topk_key key = {.rest = rest};

	memcpy(key.address, address, sizeof(key.address[0]));
	return key;
}

static uint32_t service_of(const struct ct_key *key)
{
	return key->family | (uint32_t)ct_l4proto(key->l4num) << 8 |
	       (uint32_t)ct_key_port(key) << 16;
}

static uint64_t hash_of(struct topk_key key)
{
	return topk_hash_rest(topk_hash_address(key.address), key.rest);
}

static void find_place(const struct ct_key *key, struct talkers_place *place)
{
	struct topk_key source = key_of(key->src, key->family), to = key_of(key->dst, key->family);
	uint64_t to_hash = topk_hash_address(to.address);

	place->service = service_of(key);
	place->hashes[SHM_TALKER_SOURCE] = hash_of(source);
	place->hashes[SHM_TALKER_DESTINATION] = topk_hash_rest(to_hash, to.rest);
	place->hashes[SHM_TALKER_SERVICE] = topk_hash_rest(to_hash, place->service);
	if (key->family != AF_INET6)
		return;
	place->hashes[SHM_TALKER_SOURCE_64] = hash_of(net_of(key->src, key->family));
	place->hashes[SHM_TALKER_DESTINATION_64] = hash_of(net_of(key->dst, key->family));
}

/* `change`: topk_add_hashed() or topk_remove_hashed(), inlined. */
static inline void count(struct talkers *talkers, const struct ct_key *key,
			 const struct talkers_place *place, unsigned int which,
			 uint32_t (*change)(struct topk *, const struct topk_key *, uint64_t,
					    unsigned int))
{
	struct topk_key source = key_of(key->src, key->family), to = key_of(key->dst, key->family);
	struct topk *kinds = talkers->kinds;

	change(&kinds[SHM_TALKER_SOURCE], &source, place->hashes[SHM_TALKER_SOURCE], which);
	change(&kinds[SHM_TALKER_DESTINATION], &to, place->hashes[SHM_TALKER_DESTINATION], which);
	to.rest = place->service;
	change(&kinds[SHM_TALKER_SERVICE], &to, place->hashes[SHM_TALKER_SERVICE], which);
	if (key->family != AF_INET6)
		return;
	source = net_of(key->src, key->family);
	to = net_of(key->dst, key->family);
	change(&kinds[SHM_TALKER_SOURCE_64], &source, place->hashes[SHM_TALKER_SOURCE_64], which);
	change(&kinds[SHM_TALKER_DESTINATION_64], &to, place->hashes[SHM_TALKER_DESTINATION_64],
	       which);
}

static unsigned int bit(unsigned int index)
{
	return index ? TOPK_SECOND : TOPK_FIRST;
}

static unsigned int both_if(const struct talkers *talkers, bool built)
{
	return talkers->building && built ? TOPK_BOTH : bit(talkers->shown);
}

static void appeared(struct talkers *talkers, const struct ct_key *key,
		     const struct talkers_place *place)
{
	talkers->added++;
	count(talkers, key, place, both_if(talkers, true), topk_add_hashed);
}

static void went(struct talkers *talkers, const struct ct_key *key,
		 const struct talkers_place *place, bool built)
{
	count(talkers, key, place, both_if(talkers, built), topk_remove_hashed);
}

static void fetch(struct talkers *talkers, const struct told_change *told, unsigned int changes)
{
	for (unsigned int i = 0; i < changes; i++) {
		const struct ct_key *key = &told[i].event->key;
		struct talkers_place *place = &talkers->places[i];

		if (!(told[i].flags & TOLD_FOR_TALKERS))
			continue;
		find_place(key, place);
		for (unsigned int kind = 0; kind < kinds_of(key); kind++)
			topk_prefetch_head(&talkers->kinds[kind], place->hashes[kind]);
	}
	for (unsigned int i = 0; i < changes; i++)
		for (unsigned int kind = 0;
		     told[i].flags & TOLD_FOR_TALKERS && kind < kinds_of(&told[i].event->key);
		     kind++)
			topk_prefetch_record(&talkers->kinds[kind],
					     talkers->places[i].hashes[kind]);
}

void talkers_told(struct talkers *talkers, const struct told_change *told, unsigned int changes)
{
	fetch(talkers, told, changes);
	for (unsigned int i = 0; i < changes; i++) {
		const struct ct_key *key = &told[i].event->key;

		if (told[i].flags & TOLD_APPEARED)
			appeared(talkers, key, &talkers->places[i]);
		else if (told[i].flags & TOLD_WENT)
			went(talkers, key, &talkers->places[i], told[i].flags & TOLD_BUILT);
	}
}

void talkers_appeared(struct talkers *talkers, const struct ct_key *key)
{
	struct talkers_place place;

	find_place(key, &place);
	appeared(talkers, key, &place);
}

void talkers_shown(struct talkers *talkers, const struct ct_key *key)
{
	struct talkers_place place;

	if (!talkers->building)
		return;
	find_place(key, &place);
	count(talkers, key, &place, bit(talkers->shown ^ 1u), topk_add_hashed);
}

void talkers_went(struct talkers *talkers, const struct ct_key *key, bool built)
{
	struct talkers_place place;

	if (!key) {
		talkers->unsubtracted[talkers->shown]++;
		talkers->unsubtracted[talkers->shown ^ 1u] += talkers->building && built;
		return;
	}
	find_place(key, &place);
	went(talkers, key, &place, built);
}

/* --- one dump -------------------------------------------------------------------- */

static void clear(struct talkers *talkers, uint32_t records)
{
	while (talkers->clear_kind < SHM_TALKER_KINDS && records > 0) {
		struct topk *topk = &talkers->kinds[talkers->clear_kind];
		uint32_t from = talkers->clear_from;
		uint32_t next = topk_clear(topk, talkers->shown ^ 1u, from, records);
		uint32_t done = (next ? next : topk->used + 1u) - from;

		records = done < records ? records - done : 0;
		talkers->clear_from = next ? next : 1;
		talkers->clear_kind += next == 0;
	}
}

static void throw_away(struct talkers *talkers)
{
	talkers->clear_kind = 0;
	talkers->clear_from = 1;
	talkers->unsubtracted[talkers->shown ^ 1u] = 0;
}

void talkers_begin(struct talkers *talkers)
{
	/* Usually finished by then: it takes a few seconds, and dumps are further apart. */
	clear(talkers, UINT32_MAX);
	talkers->unsubtracted[talkers->shown ^ 1u] = 0;
	talkers->building = true;
}

void talkers_drop(struct talkers *talkers)
{
	if (!talkers->building)
		return;
	talkers->building = false;
	throw_away(talkers);
}

void talkers_complete(struct talkers *talkers)
{
	if (!talkers->building)
		return;
	talkers->building = false;
	talkers->shown ^= 1u;
	throw_away(talkers);
	/* The lists were made from the other count. */
	for (unsigned int kind = 0; kind < SHM_TALKER_KINDS; kind++)
		talkers->tops[kind].outside = UINT32_MAX;
}

/* --- the largest ----------------------------------------------------------------- */

struct candidate {
	uint32_t at;
	uint32_t count;
};

/* One more than is shown: what is outside is no larger. */
struct candidates {
	struct candidate list[SHM_TALKERS + 1u];
};

/*
 * Few records are inserted: each must be larger than all before it, and the counts of a
 * million entries can rise at most 1,413 times.
 */
static uint32_t find_largest(const struct topk *topk, unsigned int index,
			     struct candidates *ret_best)
{
	uint32_t found = 0;
	const struct topn top = TOPN(ret_best->list, found, count);

	for (uint32_t at = 1; at <= topk->used; at++) {
		uint32_t count = topk->records[at].count[index];

		if (count && !topn_refuses(&top, count))
			topn_insert(&top, &(struct candidate){at, count}, count);
	}
	return found;
}

static void scan(struct talkers *talkers, unsigned int kind)
{
	struct talkers_top *top = &talkers->tops[kind];
	const struct topk *topk = &talkers->kinds[kind];
	struct candidates best;
	uint32_t found = find_largest(topk, talkers->shown, &best);

	top->outside = found > SHM_TALKERS ? best.list[SHM_TALKERS].count : 0;
	top->count = found < SHM_TALKERS ? found : SHM_TALKERS;
	top->added = talkers->added;
	for (uint32_t i = 0; i < top->count; i++) {
		const struct topk_record *record = &topk->records[best.list[i].at];

		top->keys[i] =
			(struct topk_key){{record->address[0], record->address[1]}, record->rest};
	}
}

/* All kinds; when they are too large together, the next in turn. */
static void scan_some(struct talkers *talkers)
{
	uint32_t records = 0;

	for (unsigned int n = 0; n < SHM_TALKER_KINDS; n++) {
		unsigned int kind = talkers->next_scan;

		records += talkers->kinds[kind].used;
		if (n > 0 && records > TALKERS_SCAN_RECORDS)
			return;
		scan(talkers, kind);
		talkers->next_scan = (kind + 1u) % SHM_TALKER_KINDS;
	}
}

struct listed {
	const struct topk_key *key;
	uint32_t entries;
	uint32_t more;
};

struct listing {
	struct listed list[SHM_TALKERS];
	uint32_t count;
};

/* Current counts, largest first. */
static void look_up(const struct talkers *talkers, unsigned int kind, struct listing *ret_listing)
{
	const struct topn listed = TOPN(ret_listing->list, ret_listing->count, entries);
	const struct talkers_top *top = &talkers->tops[kind];

	ret_listing->count = 0;
	for (uint32_t i = 0; i < top->count; i++) {
		struct listed one = {.key = &top->keys[i]};

		one.entries = topk_count(&talkers->kinds[kind], one.key, talkers->shown, &one.more);
		if (one.entries)
			topn_add(&listed, &one);
	}
}

static void write_list(const struct talkers *talkers, unsigned int kind, struct shm_talker_list *to)
{
	const struct talkers_top *top = &talkers->tops[kind];
	const struct topk *topk = &talkers->kinds[kind];
	uint32_t outside = clamp_u64_to_u32(top->outside + talkers->added - top->added);
	struct listing listing;

	look_up(talkers, kind, &listing);
	for (uint32_t i = 0; i < listing.count; i++) {
		const struct listed *listed = &listing.list[i];
		struct shm_talker *talker = &to->talker[i];

		poke_u64(&talker->address[0], listed->key->address[0]);
		poke_u64(&talker->address[1], listed->key->address[1]);
		poke_u32(&talker->key, (uint32_t)listed->key->rest);
		poke_u32(&talker->entries, listed->entries);
		poke_u32(&talker->error_entries, talkers->unsubtracted[talkers->shown]);
		poke_u32(&talker->more_entries, listed->more);
	}
	poke_u32(&to->count, listing.count);
	poke_u32(&to->tracked, topk->keys[talkers->shown]);
	poke_u32(&to->missed_entries,
		 clamp_u64_to_u32((uint64_t)outside + topk_most_hidden(topk, talkers->shown)));
	poke_u32(&to->room, topk->room);
}

void talkers_second(struct talkers *talkers, struct shm_talkers *to, uint64_t now_ns)
{
	if (!talkers->building)
		clear(talkers, TALKERS_CLEAR_RECORDS);
	scan_some(talkers);
	seq_write_begin(&to->seq);
	poke_u64(&to->taken_boot_ns, now_ns);
	for (unsigned int kind = 0; kind < SHM_TALKER_KINDS; kind++)
		write_list(talkers, kind, &to->list[kind]);
	seq_write_end(&to->seq);
}

uint32_t talkers_sources(const struct talkers *talkers)
{
	return talkers->kinds[SHM_TALKER_SOURCE].keys[talkers->shown];
}
