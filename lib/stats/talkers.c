// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/talkers.h"

#include <string.h>
#include <sys/socket.h>

#include "lib/base/num.h"
#include "lib/base/topn.h"
#include "lib/shm/seqlock.h"

_Static_assert(SHM_TALKER_SERVICE == SHM_TALKER_DESTINATION + 1, "one hash of the address");

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

static struct topk_key key_of_kind(const struct ct_key *key, unsigned int kind)
{
	bool source = kind == SHM_TALKER_SOURCE || kind == SHM_TALKER_SOURCE_64;
	struct topk_key out;

	memcpy(out.address, source ? key->src : key->dst, sizeof(out.address));
	if (kind >= SHM_TALKER_SOURCE_64)
		out.address[1] = 0;
	out.rest = key->family;
	if (kind == SHM_TALKER_SERVICE)
		out.rest |= (uint32_t)ct_l4proto(key->l4num) << 8 | (uint32_t)ct_key_port(key)
									    << 16;
	return out;
}

static bool is_foreseen(const struct talkers *talkers, uint64_t tuple_hash)
{
	return tuple_hash &&
	       talkers->foreseen[tuple_hash % TALKERS_FORESEEN].tuple_hash == tuple_hash;
}

void talkers_foresee(struct talkers *talkers, const struct ct_key *key, uint64_t tuple_hash)
{
	struct talkers_foreseen *foreseen = &talkers->foreseen[tuple_hash % TALKERS_FORESEEN];
	uint64_t address_hash = 0;

	foreseen->tuple_hash = tuple_hash;
	for (unsigned int kind = 0; kind < kinds_of(key); kind++) {
		struct topk_key topk_key = key_of_kind(key, kind);

		/* A service has the address of its destination, which is the kind before it. */
		if (kind != SHM_TALKER_SERVICE)
			address_hash = topk_hash_address(topk_key.address);
		foreseen->hashes[kind] = topk_hash_rest(address_hash, topk_key.rest);
		topk_prefetch_head(&talkers->kinds[kind], foreseen->hashes[kind]);
	}
}

void talkers_foresee_records(const struct talkers *talkers, const struct ct_key *key,
			     uint64_t tuple_hash)
{
	const struct talkers_foreseen *foreseen = &talkers->foreseen[tuple_hash % TALKERS_FORESEEN];

	if (!is_foreseen(talkers, tuple_hash))
		return;
	for (unsigned int kind = 0; kind < kinds_of(key); kind++)
		topk_prefetch_record(&talkers->kinds[kind], foreseen->hashes[kind]);
}

static uint64_t hash_of_kind(const struct talkers *talkers, const struct topk_key *key,
			     unsigned int kind, uint64_t tuple_hash)
{
	if (is_foreseen(talkers, tuple_hash))
		return talkers->foreseen[tuple_hash % TALKERS_FORESEEN].hashes[kind];
	return topk_hash(key);
}

static void add(struct talkers *talkers, const struct ct_key *key, uint64_t tuple_hash,
		unsigned int which)
{
	for (unsigned int kind = 0; kind < kinds_of(key); kind++) {
		struct topk_key topk_key = key_of_kind(key, kind);

		topk_add_hashed(&talkers->kinds[kind], &topk_key,
				hash_of_kind(talkers, &topk_key, kind, tuple_hash), which);
	}
}

static unsigned int bit(unsigned int index)
{
	return index ? TOPK_SECOND : TOPK_FIRST;
}

void talkers_appeared(struct talkers *talkers, const struct ct_key *key, uint64_t tuple_hash)
{
	talkers->added++;
	add(talkers, key, tuple_hash, talkers->building ? TOPK_BOTH : bit(talkers->shown));
}

void talkers_shown(struct talkers *talkers, const struct ct_key *key, uint64_t tuple_hash)
{
	if (talkers->building)
		add(talkers, key, tuple_hash, bit(talkers->shown ^ 1u));
}

void talkers_went(struct talkers *talkers, const struct ct_key *key, uint64_t tuple_hash,
		  bool built)
{
	bool both = talkers->building && built;

	if (!key) {
		talkers->unsubtracted[talkers->shown]++;
		talkers->unsubtracted[talkers->shown ^ 1u] += both;
		return;
	}
	for (unsigned int kind = 0; kind < kinds_of(key); kind++) {
		struct topk_key topk_key = key_of_kind(key, kind);

		topk_remove_hashed(&talkers->kinds[kind], &topk_key,
				   hash_of_kind(talkers, &topk_key, kind, tuple_hash),
				   both ? TOPK_BOTH : bit(talkers->shown));
	}
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
