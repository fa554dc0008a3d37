// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who holds the entries: by source, by destination, by service (destination address,
 * protocol and port), and for IPv6 by the /64 of source and destination too.
 *
 * Addresses are those of the original tuple: who opened the connection, and whom it
 * dialled, which after DNAT is not whom it reaches. Zones are not told apart: two
 * networks that use the same address count as one host.
 *
 * Each kind is a tally (tally.h) of up to TALKERS_KEYS keys: exact while there are no
 * more, and with the bound proved there beyond. The counts of addresses over all
 * kinds are 5 x 2.6 MiB at most; without IPv6, or with few keys, much less is touched.
 *
 * The mirror keeps no tuple, so what a comparison with the kernel's table finds gone
 * cannot be subtracted. Therefore each dump builds a second tally: entries that it or an
 * event shows are counted there, once each (FLOW_COUNTED of the record says whether
 * that has happened; which value means yes, changes with every dump), while the first
 * is kept up as before. When a valid dump has swept, what lives has been shown, and
 * the second tally takes the place of the first. A dump that is not valid has its tally
 * thrown away, and its sweep sets the flags back. In between, so many entries as
 * were swept may be counted too much: `unsubtracted`; 0 again after the sweep, but for
 * an entry that was told of in this dump by an answer to a GET alone and swept all the
 * same: that one stays until the next dump.
 *
 *	entries - error  <=  truth  <=  entries + more		(struct shm_talker)
 *
 * where "truth" is what the mirror holds; how far that is the kernel's table is said
 * elsewhere (enum shm_doubt).
 *
 * Cost: an addition is 3 look-ups, 5 for IPv6. Once a second the largest are found by
 * a scan of at most TALKERS_SCAN_RECORDS records (about half a millisecond): while the
 * tables are so large that this is not all, kinds take turns and a list is up to
 * three seconds old in who is in it, not in the counts. The bound on who is not in it
 * counts in what came since.
 *
 * No allocation but at the start. One thread. Errors: -ENOMEM.
 */
#ifndef CONNTIDE_STATS_TALKERS_H
#define CONNTIDE_STATS_TALKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/event/event.h"
#include "lib/shm/layout.h"
#include "lib/stats/topk.h"

#define TALKERS_KEYS	      65536u
#define TALKERS_SCAN_RECORDS  131072u
#define TALKERS_CLEAR_RECORDS 131072u /* a second, after a dump */

/* As many as a batch has, and some more: by the hash of the tuple, which tells keys apart. */
#define TALKERS_FORESEEN 256u

struct talkers_foreseen {
	uint64_t tuple_hash;
	uint64_t hashes[SHM_TALKER_KINDS];
};

/* The largest of one kind, when they were last looked for. */
struct talkers_top {
	struct topk_key keys[SHM_TALKERS];
	uint32_t count;
	uint32_t outside; /* the largest count that is not in keys[] */
	uint64_t added;	  /* talkers.added then */
};

struct talkers {
	struct topk kinds[SHM_TALKER_KINDS];
	struct talkers_top tops[SHM_TALKER_KINDS];
	unsigned int shown;  /* which tally: 0 or 1 */
	bool building;	     /* the other one is being built */
	uint32_t clear_kind; /* SHM_TALKER_KINDS: nothing left to clear */
	uint32_t clear_from;
	uint32_t unsubtracted[2];
	uint64_t added;	    /* entries, ever */
	uint32_t next_scan; /* kind */
	struct talkers_foreseen foreseen[TALKERS_FORESEEN];
};

/* `keys`: room of each kind, a power of two. */
int talkers_create(struct talkers *talkers, uint32_t keys);
void talkers_destroy(struct talkers *talkers);

/*
 * An entry appeared. `tuple_hash` is ct_hash() of the key, 0 where nobody knows it: hashes
 * by kind that talkers_foresee() has left under it are used.
 */
void talkers_appeared(struct talkers *talkers, const struct ct_key *key, uint64_t tuple_hash);
/* It went; `key` NULL: nobody knows whose it was. `built`: the tally that is being built,
 * if one is, has counted it. */
void talkers_went(struct talkers *talkers, const struct ct_key *key, uint64_t tuple_hash,
		  bool built);
/* A tally is being built, and has not counted this entry: now it does. */
void talkers_shown(struct talkers *talkers, const struct ct_key *key, uint64_t tuple_hash);

/*
 * A batch of events is about to come: what they lead to is brought into the cache, in
 * two rounds over the batch, since the second waits for the first.
 */
void talkers_foresee(struct talkers *talkers, const struct ct_key *key, uint64_t tuple_hash);
void talkers_foresee_records(const struct talkers *talkers, const struct ct_key *key,
			     uint64_t tuple_hash);

/* A dump begins; its tally is thrown away; it is complete and takes over. */
void talkers_begin(struct talkers *talkers);
void talkers_drop(struct talkers *talkers);
void talkers_complete(struct talkers *talkers);

/* Once a second: finds the largest, writes them to `to`. */
void talkers_second(struct talkers *talkers, struct shm_talkers *to, uint64_t now_ns);

/* Addresses that are counted as sources. */
uint32_t talkers_sources(const struct talkers *talkers);

#endif
