// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the statistics of lib/stats publish: how long entries stay and how they end, talkers, NAT
 * pools, changed settings. Part of layout.h, whose rules hold; included by it alone.
 */
#ifndef CONNTIDE_SHM_LAYOUT_DETAIL_H
#define CONNTIDE_SHM_LAYOUT_DETAIL_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/kernel/states.h"

/* --- how long entries stay, and how they end ---------------------------------- */

#define SHM_DETAILS	 256u /* rows with a detail of their own; then one a protocol and direction */
#define SHM_DETAIL_POOLS (L4_COUNT * DIR_COUNT)
#define SHM_STAY_BUCKETS 24u

/* From the DESTROY event (see lib/stats/observer.h). Before Linux 5.11 it has no timeout and no
 * state, and evictions are counted as expired or closed. */
enum shm_end {
	SHM_END_EXPIRED, /* its timeout ran out while it was open or half open */
	SHM_END_CLOSED,	 /* its timeout ran out after a close, or a reset or a successor ended it */
	SHM_END_EVICTED, /* taken by the kernel to make room */
	SHM_END_DELETED, /* by a program (conntrack -D, -F), or with a masquerading interface */
	SHM_END_UNSEEN,	 /* no event reported it: gone when the table was compared, or replaced */
	SHM_END_COUNT
};

/* Bucket i counts stays below 2^(i-4) s: 1/16, 1/8, ... 2^18 s; the last all others. */
struct shm_stays {
	_Atomic uint64_t buckets[SHM_STAY_BUCKETS];
	_Atomic uint64_t sum_ms;
};

/*
 * A detail changes hands: the generation is odd while it does (seqlock.h, hand_*), and
 * another one after. A reader takes the generation, copies, and takes it again: odd or
 * not the same means that the copy may be of two rows, and it copies anew. Under one
 * generation row stays the same and counters only rise; they are relaxed and move on
 * meanwhile, so two of them may differ by what happened between their reading. When a detail is
 * taken from its row its counts are added to the pool of that protocol and direction. It has
 * another generation, too, after its counts were halved, so that they tell of the last minutes
 * (lib/stats/durations.h). A reader may take differences between two copies of a detail only
 * where the generation is the same.
 * A row has at most one detail. Entries of a row count in its detail from the moment it got it,
 * and in the pool before that.
 */
struct shm_detail {
	_Atomic uint32_t row;	     /* ROW_INVALID: free; of a pool: port 0 */
	_Atomic uint32_t generation; /* odd: changing hands; counters begin at 0 */
	_Atomic uint64_t ends[SHM_END_COUNT];
	struct shm_stays whole; /* creation to end, where both were seen */
	struct shm_stays tail; /* last change of state to end, of entries whose creation was seen */
	struct shm_stays states[STATE_SLOTS_MAX]; /* each stay in a state, of the same entries,
						     however it ended */
};

/* --- who ------------------------------------------------------------------------ */

#define SHM_TALKERS 32u

enum shm_talker_kind {
	SHM_TALKER_SOURCE,
	SHM_TALKER_DESTINATION,
	SHM_TALKER_SERVICE,   /* destination address, protocol and port */
	SHM_TALKER_SOURCE_64, /* IPv6, by /64 */
	SHM_TALKER_DESTINATION_64,
	SHM_TALKER_KINDS
};

/*
 * By the original tuple: the destination is what the client dialled, before DNAT. Both
 * errors are 0 as long as there are no more than `room` keys and no sweep goes on;
 * why they hold otherwise is proved in lib/stats/topk.h.
 */
struct shm_talker {
	_Atomic uint64_t
		address[2]; /* 16 bytes in network order; IPv4: the first four; /64: the first 8 */
	/* AF_INET, AF_INET6 | enum l4proto << 8 | port << 16; l4proto, port: SERVICE only */
	_Atomic uint32_t key;
	_Atomic uint32_t entries;
	_Atomic uint32_t error_entries; /* how many fewer it may be */
	_Atomic uint32_t more_entries;	/* how many more it may be */
};

struct shm_talker_list {
	_Atomic uint32_t count;		 /* of talker[], largest first */
	_Atomic uint32_t tracked;	 /* keys counted at present */
	_Atomic uint32_t missed_entries; /* no key outside the list holds more than this */
	_Atomic uint32_t room;		 /* keys that can be counted; more of them: errors */
	struct shm_talker talker[SHM_TALKERS];
};

struct shm_talkers {
	_Atomic uint64_t seq;
	_Atomic uint64_t taken_boot_ns;
	struct shm_talker_list list[SHM_TALKER_KINDS];
};

/* --- which ports of NAT ------------------------------------------------------------ */

#define SHM_NAT_POOLS 32u
#define SHM_NAT_NEVER UINT32_MAX /* a time beyond what can be foreseen */

enum {
	SHM_NAT_TRANSLATED = 1u << 0, /* else local: this host's own connections alone */
	SHM_NAT_MEASURED = 1u << 1,   /* failing_ppm was measured; else it is expected */
	SHM_NAT_RECLAIMS = 1u << 2    /* ports of closing entries are reclaimed: not in `held` */
};

/*
 * One outside address towards one destination (lib/stats/nat_pools.h). Addresses: 16 bytes
 * in network order; IPv4: the first four. used - error <= truth <= used + more.
 */
struct shm_nat_pool {
	_Atomic uint64_t address[2];
	_Atomic uint64_t remote[2];
	_Atomic uint64_t client[2]; /* the one that holds most of it */
	_Atomic uint32_t key;	    /* AF_INET, AF_INET6 | IPPROTO_* << 8 | remote port << 16 */
	_Atomic uint32_t zone_flags;
	_Atomic uint32_t range; /* first port | last << 16; 0: only its size is known */
	_Atomic uint32_t used;
	_Atomic uint32_t closing; /* in TIME_WAIT or CLOSE, which newer kernels reclaim */
	_Atomic uint32_t
		held; /* not available: used, minus closing where the kernel reclaims those */
	_Atomic uint32_t size;
	_Atomic uint32_t error;
	_Atomic uint32_t more;
	_Atomic uint32_t client_used; /* 0: not known */
	_Atomic uint32_t new_milli_per_s;
	_Atomic uint32_t failing_ppm;
	_Atomic uint32_t early_ms; /* until one new connection in ten fails */
	_Atomic uint32_t likely_ms;
	_Atomic uint32_t late_ms;
	_Atomic uint32_t expected_ppm; /* failing_ppm before it was measured */
};

struct shm_nat {
	_Atomic uint64_t seq;
	_Atomic uint64_t taken_boot_ns; /* 0: never */
	_Atomic uint32_t count;		/* of pool[], highest held / size first */
	_Atomic uint32_t tracked;	/* pools that are counted, local ones among them */
	_Atomic uint32_t room;
	_Atomic uint32_t missed; /* no pool outside the list has more ports in use */
	struct shm_nat_pool pool[SHM_NAT_POOLS];
};

/* --- what the kernel was told -------------------------------------------------------- */

#define SHM_SETTINGS	    64u /* room: enum setting_id, timeouts among them */
#define SHM_SETTING_CHANGES 32u

/* A setting of the kernel that was found changed; at most a second before. */
struct shm_setting_change {
	_Atomic uint64_t real_ns;
	_Atomic int64_t before; /* as lib/kernel/settings.h has it */
	_Atomic int64_t after;
	_Atomic uint32_t setting; /* enum setting_id */
	_Atomic uint32_t
		swings; /* changes in a row, this one the last, between the same two values */
};

struct shm_setting {
	_Atomic uint64_t changed_real_ns; /* 0: never since the agent started */
	_Atomic uint32_t changes;
	_Atomic uint32_t rank; /* number of its last change, from 1; 0: never changed */
};

struct shm_settings {
	_Atomic uint64_t seq;
	_Atomic uint64_t head; /* changes ever; change i is at slot i % SHM_SETTING_CHANGES */
	struct shm_setting setting[SHM_SETTINGS];
	struct shm_setting_change change[SHM_SETTING_CHANGES];
};

/* --- which zones --------------------------------------------------------------------- */

#define SHM_ZONES 32u

struct shm_zone {
	_Atomic uint32_t zone;
	_Atomic uint32_t entries;
};

struct shm_zones {
	_Atomic uint64_t seq;
	_Atomic uint32_t count; /* of zone[], the largest first */
	_Atomic uint32_t used;	/* zones that hold entries */
	_Atomic uint32_t other_entries;
	_Atomic uint32_t unsubtracted; /* entries that are gone, of which zone is not known */
	struct shm_zone zone[SHM_ZONES];
};

/* Cells by zone that can be counted, zone 0 apart: its share of a cell is what the others leave. */
#define SHM_ZONE_CELLS 8192u

struct shm_zone_cell {
	_Atomic uint32_t cell;
	_Atomic uint32_t zone;
	_Atomic uint32_t entries;
	_Atomic uint32_t unlisted_entries; /* of this zone, in no cell of the list */
};

struct shm_zone_cells {
	_Atomic uint64_t seq;
	_Atomic uint32_t count;		   /* of cell[], in no order */
	_Atomic uint32_t unlisted_entries; /* of all zones but 0 */
	_Atomic uint32_t unsubtracted;	   /* as in struct shm_zones */
	_Atomic uint32_t _pad;
	struct shm_zone_cell cell[SHM_ZONE_CELLS];
};

#endif
