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
 *	header		identity, geometry; constant after publication, but for
 *			`stopped`
 *	live		scalars of metrics.def under a seqlock, once a second
 *	cells		u32 a cell: the histogram, relaxed, at any moment
 *	rowmap		1 bit a row: rows that may hold anything
 *	rows		counters of each row
 *	rates		two older copies of the counters of each row: rates
 *	slots		the ports with series of their own, under a seqlock
 *	lifetimes	log-scaled histograms of entry lifetimes
 *	history		rings of samples, a second and a minute apart
 *
 * Rules: fixed-width fields, offsets and never pointers, no implicit padding,
 * units in names. Host byte order: the segment never leaves the machine.
 * Whoever moves a field raises SHM_VERSION_MAJOR; whoever appends one raises
 * SHM_VERSION_MINOR; tests/lint/layout_frozen.py holds the offsets.
 *
 * Cells, rows and rates are sparse: a page nobody touched costs nothing, so a
 * reader must not touch a row whose bit in the rowmap is 0.
 */
#ifndef CONNTIDE_SHM_LAYOUT_H
#define CONNTIDE_SHM_LAYOUT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/shm/states.h"

#define SHM_MAGIC	  UINT64_C(0x454449544e4e4f43) /* "CONNTIDE" in memory */
#define SHM_VERSION_MAJOR 1
#define SHM_VERSION_MINOR 0
#define SHM_PAGE_BYTES	  4096u
#define SHM_FILE_SUFFIX	  ".table"

#define SHM_SLOT_COUNT	     64u
#define SHM_LIFETIME_BUCKETS 16u
#define SHM_TOP_PORTS	     5u
#define SHM_HISTORY_SECONDS  3840u
#define SHM_HISTORY_MINUTES  1536u

/* What the agent does at present; degradation goes one step at a time. */
enum shm_mode {
	SHM_MODE_STARTING,  /* first dump not finished */
	SHM_MODE_FULL,	    /* new, update and destroy events */
	SHM_MODE_NO_UPDATE, /* new and destroy only: states follow dumps */
	SHM_MODE_POLLING,   /* dumps only */
	SHM_MODE_COUNT
};

/* Why the mirror is not called exact; 0 means exact. */
enum shm_doubt {
	SHM_DOUBT_STARTING = 1 << 0, /* no valid resync yet */
	SHM_DOUBT_LOSS = 1 << 1,     /* events lost since the last valid resync */
	SHM_DOUBT_MUTE = 1 << 2,     /* mute entries */
	SHM_DOUBT_DEGRADED = 1 << 3, /* not subscribed to everything */
	SHM_DOUBT_RESIDUAL = 1 << 4, /* kernel count and mirror differ at rest */
	SHM_DOUBT_VERIFY = 1 << 5,   /* entries wait for verification */
	SHM_DOUBT_SILENT = 1 << 6,   /* silent changes were found lately */
	SHM_DOUBT_MEMORY = 1 << 7,   /* mirror or segment is at its limit */
	SHM_DOUBT_RESYNC = 1 << 8,   /* the last resync was not valid */
	SHM_DOUBT_UNKNOWN = 1 << 9,  /* entries in state unknown */
	SHM_DOUBT_BITS = 10
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
	uint64_t total_bytes;
	_Atomic uint64_t ready;	  /* SHM_MAGIC once the file is complete */
	_Atomic uint64_t stopped; /* CLOCK_REALTIME ns of a clean stop, else 0 */
	uint8_t boot_id[16];	  /* /proc/sys/kernel/random/boot_id */
	uint64_t instance_id;	  /* random, another for each start of an agent */
	uint64_t created_real_ns;
	uint64_t created_boot_ns;
	uint64_t netns_inode;
	uint32_t agent_pid; /* information only: pids mean nothing across containers */
	uint32_t section_count;
	char agent_version[32];
	char netns_name[64];
	struct shm_section sections[SHM_SECTION_COUNT];
	uint8_t _reserved[128];
};

struct shm_live {
	_Atomic uint64_t seq;
#define FIELD(field, means)				  _Atomic int64_t field;
#define VALUE(field, family, label, label_value, scale)	  _Atomic int64_t field;
#include "lib/shm/metrics.def"
#undef FIELD
#undef VALUE
};

/* Counters of one row since the agent started; wrap after centuries. */
struct shm_row {
	_Atomic uint64_t new_entries;
	_Atomic uint64_t destroyed_entries;
	_Atomic uint64_t timed_entries; /* destroyed ones whose birth was seen... */
	_Atomic uint64_t timed_ms;	/* ...and the sum of their lifetimes */
};

/* Low 32 bits of the row's counters at rate_mark_boot_ns_{0,1}. */
struct shm_rate {
	_Atomic uint32_t new_entries[2];
	_Atomic uint32_t destroyed_entries[2];
};

/*
 * A port that has series of its own in /metrics. Counters are shown minus the
 * base, which is what the port had when it got the slot: that part is counted in
 * the "other" series for ever, so no series of either ever runs backwards.
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
	_Atomic uint64_t seq; /* covers slot[]; other[][] is relaxed */
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

/* Bytes of section `id`, and of the whole file; constants of this version. */
uint64_t shm_section_bytes(enum shm_section_id id);
uint32_t shm_section_element_bytes(enum shm_section_id id);
uint32_t shm_section_elements(enum shm_section_id id);
uint64_t shm_layout(struct shm_section sections[SHM_SECTION_COUNT]);

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics must be lock-free between processes");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "32-bit atomics must be lock-free between processes");

#define SHM_AT(type, field, offset)                                                                \
	_Static_assert(offsetof(struct type, field) == (offset),                                   \
		       #type "." #field " moved: raise SHM_VERSION_MAJOR")
#define SHM_SIZE(type, bytes)                                                                      \
	_Static_assert(sizeof(struct type) == (bytes), #type " changed size: raise the version")

SHM_AT(shm_section, offset_bytes, 0);
SHM_AT(shm_section, size_bytes, 8);
SHM_AT(shm_section, element_bytes, 16);
SHM_AT(shm_section, elements, 20);
SHM_SIZE(shm_section, 24);

SHM_AT(shm_header, magic, 0);
SHM_AT(shm_header, version_major, 8);
SHM_AT(shm_header, version_minor, 10);
SHM_AT(shm_header, header_bytes, 12);
SHM_AT(shm_header, total_bytes, 16);
SHM_AT(shm_header, ready, 24);
SHM_AT(shm_header, stopped, 32);
SHM_AT(shm_header, boot_id, 40);
SHM_AT(shm_header, instance_id, 56);
SHM_AT(shm_header, created_real_ns, 64);
SHM_AT(shm_header, created_boot_ns, 72);
SHM_AT(shm_header, netns_inode, 80);
SHM_AT(shm_header, agent_pid, 88);
SHM_AT(shm_header, section_count, 92);
SHM_AT(shm_header, agent_version, 96);
SHM_AT(shm_header, netns_name, 128);
SHM_AT(shm_header, sections, 192);
SHM_AT(shm_header, _reserved, 408);
SHM_SIZE(shm_header, 536);

SHM_AT(shm_live, seq, 0);
SHM_AT(shm_live, heartbeat_boot_ns, 8);
SHM_AT(shm_live, count_entries, 120);

SHM_AT(shm_row, new_entries, 0);
SHM_AT(shm_row, destroyed_entries, 8);
SHM_AT(shm_row, timed_entries, 16);
SHM_AT(shm_row, timed_ms, 24);
SHM_SIZE(shm_row, 32);

SHM_AT(shm_rate, new_entries, 0);
SHM_AT(shm_rate, destroyed_entries, 8);
SHM_SIZE(shm_rate, 16);

SHM_AT(shm_slot, row, 0);
SHM_AT(shm_slot, generation, 4);
SHM_AT(shm_slot, base_new_entries, 8);
SHM_AT(shm_slot, base_destroyed_entries, 16);
SHM_SIZE(shm_slot, 24);

SHM_SIZE(shm_other, 16);
SHM_AT(shm_slots, seq, 0);
SHM_AT(shm_slots, slot, 8);
SHM_AT(shm_slots, other, 1544);
SHM_SIZE(shm_slots, 1992);

SHM_AT(shm_lifetime, buckets, 0);
SHM_AT(shm_lifetime, sum_ms, 128);
SHM_SIZE(shm_lifetime, 136);

SHM_SIZE(shm_top, 8);
SHM_AT(shm_sample, real_ns, 0);
SHM_AT(shm_sample, count_entries, 8);
SHM_AT(shm_sample, mirror_entries, 12);
SHM_AT(shm_sample, max_entries, 16);
SHM_AT(shm_sample, new_entries, 20);
SHM_AT(shm_sample, destroyed_entries, 24);
SHM_AT(shm_sample, drops, 28);
SHM_AT(shm_sample, early_drops, 32);
SHM_AT(shm_sample, lost_events, 36);
SHM_AT(shm_sample, top, 40);
SHM_SIZE(shm_sample, 80);

SHM_AT(shm_history, head, 0);
SHM_AT(shm_history, interval_ns, 8);
SHM_AT(shm_history, samples, 16);

#endif
