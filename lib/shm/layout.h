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
 *	ages		what the largest rows are made of, and how old and how idle the
 *			entries of the largest cells are: now, and at the fullest moment
 *			of each ten minutes of the last hour
 *	zones		the conntrack zones that hold most entries, under a seqlock
 *	zone cells	how many entries of a cell are in which zone, under a seqlock
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
 * row whose bit in the rowmap is 0. So are zone cells beyond their count.
 */
#ifndef CONNTIDE_SHM_LAYOUT_H
#define CONNTIDE_SHM_LAYOUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kernel/states.h"
#include "lib/shm/layout_ages.h"
#include "lib/shm/layout_detail.h"
#include "lib/shm/layout_forecast.h"
#include "lib/shm/layout_frames.h"

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
	SHM_SECTION_AGES,
	SHM_SECTION_ZONES,
	SHM_SECTION_ZONE_CELLS,
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
	uint8_t _reserved[8];
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
