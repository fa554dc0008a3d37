// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The segment: what the agent writes and everybody else maps read-only.
 * Included by lib/shm/reader.c, lib/shm/snapshot.[ch] and agent/segment.[ch]
 * only (checked by tests/lint).
 *
 * One file per watched network namespace, <runtime-dir>/<name>.table, written
 * under another name and renamed into place when it is complete. A published
 * file is never truncated, only replaced: a new inode means a new agent.
 *
 *	header		identity, geometry; constant after publication, except for
 *			`stopped`
 *	live		scalars of metrics.def under a seqlock, once a second
 *	cells		u32 a cell: the histogram, relaxed, at any moment
 *	rowmap		1 bit a row: rows that may hold anything
 *	rows		counters of each row
 *	rates		two older copies of the counters of each row: rates
 *	slots		the ports with series of their own, under a seqlock
 *	lifetimes	log-scaled histograms of entry lifetimes
 *	history		rings of samples, a second and a minute apart
 *	forecast	the forecast of the last second, under a seqlock
 *	pasts		ring of past forecasts and what came of them, a minute apart
 *	timeouts	the kernel's timeouts (timeouts.def), seconds
 *	details		how long entries stay, by state, and how they end; the
 *			busiest rows have one of their own, the rest share
 *	settings	which settings of the kernel changed, and when, under a seqlock
 *	talkers		the addresses that hold most entries, under a seqlock
 *	frames		rings of what the table looked like, 10 s and a minute apart
 *	frame hosts	the largest sources of each frame, by its time
 *
 * Sections that hold addresses of hosts are in a file of their own, <name>.hosts, which
 * only the readers' group may read, or the owner alone where there is no group. The table in
 * layout.c says which section is where; a new section with addresses takes one word there. Offsets
 *count through both files: byte 0 of the hosts file has the offset hosts_offset_bytes, and a reader
 *maps it there, behind the table, or zeros in its place. Both files name the same instance; the
 *hosts file is renamed into place first.
 *
 * Rules: fixed-width fields, offsets and never pointers, no implicit padding,
 * units in names. Host byte order: the segment never leaves the machine.
 * Moving a field raises SHM_VERSION_MAJOR; appending one raises
 * SHM_VERSION_MINOR; layout.c asserts offsets, tests/lint/layout_frozen.py holds
 * them all.
 *
 * Cells, rows and rates are sparse: untouched pages cost nothing, so a reader must not touch a
 * row whose bit in the rowmap is 0.
 */
#ifndef CONNTIDE_SHM_LAYOUT_H
#define CONNTIDE_SHM_LAYOUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kernel/states.h"

#define SHM_MAGIC	  UINT64_C(0x454449544e4e4f43) /* "CONNTIDE" in memory */
#define SHM_VERSION_MAJOR 1
#define SHM_VERSION_MINOR 0
#define SHM_PAGE_BYTES	  4096u
#define SHM_FILE_SUFFIX	  ".table"
#define SHM_HOSTS_SUFFIX  ".hosts"

#define SHM_SLOT_COUNT	     64u
#define SHM_LIFETIME_BUCKETS 16u
#define SHM_TOP_PORTS	     5u
#define SHM_HISTORY_SECONDS  3840u
#define SHM_HISTORY_MINUTES  1536u

/* What the agent follows at present; it degrades one step at a time. */
enum shm_mode {
	SHM_MODE_STARTING,  /* first dump not finished */
	SHM_MODE_FULL,	    /* new, update and destroy events */
	SHM_MODE_NO_UPDATE, /* new and destroy only: states follow dumps */
	SHM_MODE_POLLING,   /* dumps only */
	SHM_MODE_COUNT
};

/* Why the mirror is not exact, as bits; 0 means exact. */
enum shm_doubt {
#define DOUBT(id, bit, name, reason, quality) SHM_DOUBT_##id = 1 << (bit),
#include "lib/shm/doubts.def"
#undef DOUBT
	SHM_DOUBT_BITS = 14
};

/*
 * How far the numbers can be trusted. 0 is the worst: a new segment
 * must not look exact.
 *
 * EXACT      compared with the kernel recently, and no missed or silent change is known or likely
 *	      since
 * VERIFIED counts are exact; some entries may change without an event, and their states date from
 *	      verified_real_ns. Normal after a start.
 * NOT_EXACT  events lost and not yet repaired, a residual, overload, or no events
 */
enum shm_quality {
	SHM_QUALITY_NOT_EXACT,
	SHM_QUALITY_VERIFIED,
	SHM_QUALITY_EXACT,
	SHM_QUALITY_COUNT
};

enum shm_quality_reason {
#define QUALITY_REASON(id, name, help) SHM_QUALITY_REASON_##id,
#include "lib/shm/quality_reasons.def"
#undef QUALITY_REASON
	SHM_QUALITY_REASON_COUNT
};

/* Ordered: the worst cause wins. UNKNOWN is 0, as in a new segment. */
enum shm_level {
	SHM_LEVEL_UNKNOWN,
	SHM_LEVEL_OK,
	SHM_LEVEL_HIGH,
	SHM_LEVEL_CRITICAL,
	SHM_LEVEL_FULL,
	SHM_LEVEL_COUNT
};

enum shm_level_reason {
#define LEVEL_REASON(id, name, unit, means) SHM_LEVEL_REASON_##id,
#include "lib/shm/level_reasons.def"
#undef LEVEL_REASON
	SHM_LEVEL_REASON_COUNT
};

enum shm_section_id {
	SHM_SECTION_LIVE,
	SHM_SECTION_CELLS,
	SHM_SECTION_ROWMAP,
	SHM_SECTION_ROWS,
	SHM_SECTION_RATES,
	SHM_SECTION_SLOTS,
	SHM_SECTION_LIFETIMES,
	SHM_SECTION_SECONDS,
	SHM_SECTION_MINUTES,
	SHM_SECTION_FORECAST,
	SHM_SECTION_PASTS,
	SHM_SECTION_TIMEOUTS,
	SHM_SECTION_DETAILS,
	SHM_SECTION_TALKERS,
	SHM_SECTION_FRAMES_SHORT,
	SHM_SECTION_FRAMES_LONG,
	SHM_SECTION_FRAME_HOSTS_SHORT,
	SHM_SECTION_FRAME_HOSTS_LONG,
	SHM_SECTION_NAT,
	SHM_SECTION_SETTINGS,
	SHM_SECTION_COUNT
};

struct shm_section {
	uint64_t offset_bytes;
	uint64_t size_bytes;
	uint32_t element_bytes;
	uint32_t elements;
};

struct shm_header {
	uint64_t magic;
	uint16_t version_major;
	uint16_t version_minor;
	uint32_t header_bytes;
	uint64_t total_bytes;	  /* of both files together */
	_Atomic uint64_t ready;	  /* SHM_MAGIC once the file is complete */
	_Atomic uint64_t stopped; /* CLOCK_REALTIME ns of a clean stop, else 0 */
	uint8_t boot_id[16];	  /* /proc/sys/kernel/random/boot_id */
	uint64_t instance_id;	  /* random, new at each start of an agent */
	uint64_t created_real_ns;
	uint64_t created_boot_ns;
	uint64_t netns_inode;
	uint32_t agent_pid; /* information only: pids mean nothing across containers */
	uint32_t section_count;
	char agent_version[32];
	char netns_name[64];
	struct shm_section sections[SHM_SECTION_COUNT];
	uint64_t hosts_offset_bytes; /* where the hosts file begins: bytes of this file */
	char host_name[64];	     /* of the machine, or the container, the agent runs on */
	uint8_t _reserved[32];
};

/* Of the hosts file; its first page. */
struct shm_hosts_header {
	uint64_t magic;
	uint16_t version_major;
	uint16_t version_minor;
	uint32_t header_bytes;
	uint64_t total_bytes; /* of the hosts file */
	uint64_t instance_id; /* that of the table's header */
};

struct shm_live {
	_Atomic uint64_t seq;
#define FIELD(field, means)				_Atomic int64_t field;
#define VALUE(field, family, label, label_value, scale) _Atomic int64_t field;
#include "lib/shm/metrics.def"
#undef FIELD
#undef VALUE
};

/* Counters of one row since the agent started; wrap after centuries. */
struct shm_row {
	_Atomic uint64_t new_entries;
	_Atomic uint64_t destroyed_entries;
	_Atomic uint64_t timed_entries; /* destroyed entries whose creation was seen... */
	_Atomic uint64_t timed_ms;	/* ...and the sum of their lifetimes */
};

/* Low 32 bits of the row's counters at rate_mark_boot_ns_{0,1}. */
struct shm_rate {
	_Atomic uint32_t new_entries[2];
	_Atomic uint32_t destroyed_entries[2];
};

/*
 * A port that has series of its own in /metrics. Counters are shown minus the base, their value
 * when the port got the slot: the base stays in the "other" series for good, so no series ever
 * falls.
 */
struct shm_slot {
	_Atomic uint32_t row;	     /* ROW_INVALID: free */
	_Atomic uint32_t generation; /* changes when the slot changes hands */
	_Atomic uint64_t base_new_entries;
	_Atomic uint64_t base_destroyed_entries;
};

struct shm_other {
	_Atomic uint64_t new_entries;
	_Atomic uint64_t destroyed_entries;
};

struct shm_slots {
	/* Covers slot[], and what other[][] takes over when a slot changes hands; counts per
	 * event are relaxed. */
	_Atomic uint64_t seq;
	struct shm_slot slot[SHM_SLOT_COUNT];
	struct shm_other other[L4_COUNT][DIR_COUNT];
};

/* Bucket i counts lifetimes below 2^(i-3) s: 0.125, 0.25, ... 2048; the last all. */
struct shm_lifetime {
	_Atomic uint64_t buckets[SHM_LIFETIME_BUCKETS];
	_Atomic uint64_t sum_ms;
};

struct shm_top {
	_Atomic uint32_t row; /* ROW_INVALID: none */
	_Atomic uint32_t entries;
};

/* One sample of history. Counts are those of the interval that ended then. */
struct shm_sample {
	_Atomic uint64_t real_ns; /* CLOCK_REALTIME at the end; 0: never written */
	_Atomic uint32_t count_entries;
	_Atomic uint32_t mirror_entries;
	_Atomic uint32_t max_entries;
	_Atomic uint32_t new_entries;
	_Atomic uint32_t destroyed_entries;
	_Atomic uint32_t drops;
	_Atomic uint32_t early_drops;
	_Atomic uint32_t lost_events;
	struct shm_top top[SHM_TOP_PORTS]; /* largest rows at that moment */
};

/* Sample i is at slot i % slots; head is the number of samples ever written. */
struct shm_history {
	_Atomic uint64_t head;
	uint64_t interval_ns;
	struct shm_sample samples[];
};

/* --- the forecast ------------------------------------------------------------ */

#define SHM_HORIZONS	  4u /* 30, 120, 600, 3600 s */
#define SHM_FULL_HORIZONS 8u /* 30, 60, 120, 300, 600, 1200, 1800, 3600 s */
#define SHM_REASONS	  8u
#define SHM_PASTS	  1536u
#define SHM_NEVER_MS	  UINT64_MAX /* not within the hour */
#define SHM_NOT_YET	  UINT32_MAX /* that moment has not come */

/* Which limit the forecast is about. */
enum shm_limit {
	SHM_LIMIT_NONE,	   /* nf_conntrack_max is 0 */
	SHM_LIMIT_MAX,	   /* nf_conntrack_max */
	SHM_LIMIT_CHAIN,   /* hash chains get too long before that */
	SHM_LIMIT_ASSUMED, /* --assume-max: a rehearsal */
	SHM_LIMIT_COUNT
};

enum shm_verdict {
	SHM_VERDICT_WATCHING,	/* cannot say yet */
	SHM_VERDICT_STEADY,	/* stays where it is */
	SHM_VERDICT_LEVELS_OFF, /* changes, and stays below the limit */
	SHM_VERDICT_FILLING,	/* full within the hour, more likely than not */
	SHM_VERDICT_FULL,
	SHM_VERDICT_DRAINING,
	SHM_VERDICT_UNLIMITED,
	SHM_VERDICT_COUNT
};

/* Why it cannot say. That the table is full it says all the same, without a number. */
enum shm_silence {
#define SILENCE(id, name, words) SHM_SILENCE_##id,
#include "lib/shm/silences.def"
#undef SILENCE
	SHM_SILENCE_COUNT
};

/* Entries at one horizon, as quantiles, and the record of such forecasts. */
struct shm_horizon {
	_Atomic uint32_t horizon_s;
	_Atomic uint32_t p50_entries;
	_Atomic uint32_t lo80_entries; /* 10 % */
	_Atomic uint32_t hi80_entries; /* 90 % */
	_Atomic uint32_t lo95_entries;
	_Atomic uint32_t hi95_entries;
	_Atomic uint32_t compared; /* past forecasts whose moment has come... */
	_Atomic uint32_t held;	   /* ...and whose 80 % interval held */
};

struct shm_chance {
	_Atomic uint32_t horizon_s;
	_Atomic uint32_t full_ppm; /* probability that it was full by then, in millionths */
	_Atomic uint32_t drop_ppm; /* of a first dropped packet */
	uint32_t _pad;
};

/* A class of entries that drives the forecast. */
struct shm_reason {
	_Atomic uint32_t key;	 /* l4proto | direction << 8 | port << 16 */
	_Atomic uint32_t pooled; /* 1: all ports without a class of their own */
	_Atomic uint32_t entries;
	_Atomic uint32_t entries_600; /* expected in ten minutes */
	_Atomic uint32_t settles_at_entries;
	_Atomic uint32_t new_milli_per_s;
	_Atomic int32_t slope_micro_per_s2; /* change of that rate */
	uint32_t _pad;
};

struct shm_forecast {
	_Atomic uint64_t seq;
	_Atomic uint64_t computed_boot_ns; /* 0: never */
	_Atomic uint64_t computed_real_ns;
	_Atomic uint64_t full_early_ms; /* 10 %, 50 %, 90 % quantile of the time to full */
	_Atomic uint64_t full_likely_ms;
	_Atomic uint64_t full_late_ms;
	_Atomic uint32_t limit_entries;	     /* 0: none */
	_Atomic uint32_t limit_kind;	     /* enum shm_limit */
	_Atomic uint32_t verdict;	     /* enum shm_verdict */
	_Atomic uint32_t alarm;		     /* 1: full within ten minutes, with hysteresis */
	_Atomic uint32_t watching_s;	     /* SHM_VERDICT_WATCHING: for how much longer */
	_Atomic uint32_t count_entries;	     /* the count it started from */
	_Atomic uint32_t settles_at_entries; /* if demand stays as it is */
	_Atomic uint32_t soft_entries;	     /* the kernel may evict these when full */
	_Atomic uint32_t cost_us;	     /* CPU time of the last forecast */
	_Atomic uint32_t reason_count;
	_Atomic uint32_t silence; /* enum shm_silence: why it cannot say */
	uint32_t _pad;
	struct shm_horizon horizon[SHM_HORIZONS];
	struct shm_chance chance[SHM_FULL_HORIZONS];
	struct shm_reason reason[SHM_REASONS];
};

/* A past forecast; one is kept each minute. came[] is filled in when its moment comes. */
struct shm_past {
	_Atomic uint64_t real_ns; /* when it was made; 0: never written */
	_Atomic uint32_t p50_entries[SHM_HORIZONS];
	_Atomic uint32_t lo80_entries[SHM_HORIZONS];
	_Atomic uint32_t hi80_entries[SHM_HORIZONS];
	_Atomic uint32_t came_entries[SHM_HORIZONS]; /* SHM_NOT_YET */
	_Atomic uint32_t full_likely_s;		     /* SHM_NOT_YET: not within the hour */
	_Atomic uint32_t alarm;
};

/* As struct shm_history. */
struct shm_pasts {
	_Atomic uint64_t head;
	uint64_t interval_ns;
	struct shm_past pasts[];
};

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
 * taken from its row its counts are added to the pool of that protocol and direction, so the sum
 * over all details and pools never falls. A reader may take differences between two copies of a
 * detail only where the generation is the same.
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
	uint32_t _pad;
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

/* --- what it looked like ---------------------------------------------------------- */

#define SHM_FRAMES	96u /* of each ring: 16 minutes every 10 s, 96 minutes every minute */
#define SHM_FRAME_CELLS 48u
#define SHM_FRAME_ROWS	24u
#define SHM_FRAME_HOSTS 8u

struct shm_frame_cell {
	_Atomic uint32_t cell; /* CELL_INVALID: none */
	_Atomic uint32_t entries;
};

struct shm_frame_row {
	_Atomic uint32_t row; /* ROW_INVALID: none */
	_Atomic uint32_t entries;
	_Atomic uint32_t new_entries; /* of the interval that ended then */
	_Atomic uint32_t destroyed_entries;
};

struct shm_frame {
	_Atomic uint64_t real_ns; /* 0: never written */
	_Atomic uint32_t count_entries;
	_Atomic uint32_t max_entries;
	_Atomic uint32_t mirror_entries;
	_Atomic uint32_t unassured_entries;
	_Atomic uint32_t rows_active; /* ports that hold entries */
	_Atomic uint32_t sources;     /* addresses that hold entries */
	_Atomic uint32_t new_entries; /* from here on: of the interval */
	_Atomic uint32_t destroyed_entries;
	_Atomic uint32_t drops;
	_Atomic uint32_t early_drops;
	_Atomic uint32_t insert_failed;
	_Atomic uint32_t chaintoolong;
	_Atomic uint32_t clash_resolved;
	_Atomic uint32_t found;
	_Atomic uint32_t invalid;
	_Atomic uint32_t lost_events;
	struct shm_frame_cell cells[SHM_FRAME_CELLS]; /* largest first */
	struct shm_frame_row rows[SHM_FRAME_ROWS];    /* largest first */
};

/* As struct shm_history. */
struct shm_table_log {
	_Atomic uint64_t head;
	uint64_t interval_ns;
	struct shm_frame frames[];
};

/* The hosts of the frame of the same real_ns, written before it. */
struct shm_frame_hosts {
	_Atomic uint64_t real_ns;
	struct shm_talker hosts[SHM_FRAME_HOSTS]; /* largest sources first */
};

struct shm_frame_hosts_log {
	_Atomic uint64_t head;
	uint64_t interval_ns;
	struct shm_frame_hosts frames[];
};

/* Bytes of section `id`, and of the whole file; constants of this version. */
uint64_t shm_section_bytes(enum shm_section_id id);
uint32_t shm_section_element_bytes(enum shm_section_id id);
uint32_t shm_section_elements(enum shm_section_id id);
uint64_t shm_layout(struct shm_section sections[SHM_SECTION_COUNT]);
/* Bytes of the table's own file: where the hosts file begins. */
uint64_t shm_hosts_offset(void);
/* Is section `id` in the hosts file? */
bool shm_section_names_hosts(enum shm_section_id id);

#endif
