// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A private copy of a segment at one moment: everything that is rendered,
 * served or computed outside the agent is a function of this and nothing else.
 *
 * The cells are read while the agent goes on writing, so a snapshot is not one instant, but it is
 * consistent: mirror_entries is set to the sum of the
 * cells that were read, and residual_entries to count - mirror_entries.
 *
 * Ownership: the caller owns the struct and what it points to;
 * snapshot_free() frees the latter, snapshot_init() makes an empty one. Threads:
 * none shared; each thread takes its own.
 */
#ifndef CONNTIDE_SHM_SNAPSHOT_H
#define CONNTIDE_SHM_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kernel/timeouts.h"
#include "lib/shm/layout.h"
#include "lib/shm/snap_forecast.h"
#include "lib/shm/snap_nat.h"
#include "lib/shm/snap_settings.h"
#include "lib/shm/snap_zone_cells.h"
#include "lib/shm/snap_zones.h"

/* Scalars of metrics.def, in its order. */
struct snap_live {
#define FIELD(field, means)				int64_t field;
#define VALUE(field, family, label, label_value, scale) int64_t field;
#include "lib/shm/metrics.def"
#undef FIELD
#undef VALUE
};

/* A row that holds entries, or whose counters changed lately, or that has a slot. */
struct snap_row {
	struct row_key key;
	int32_t slot;		  /* index of its slot, or -1: part of port="other" */
	uint32_t slot_generation; /* 0 without a slot */
	uint32_t entries;	  /* sum of states */
	uint32_t states[STATE_SLOTS_MAX];
	uint64_t new_entries; /* since the agent started */
	uint64_t destroyed_entries;
	uint64_t slot_new_entries; /* since the row got its slot */
	uint64_t slot_destroyed_entries;
	double new_per_s; /* over the last 10 to 20 s; NaN before */
	double destroyed_per_s;
	double mean_lifetime_s; /* since the agent started; NaN without any */
};

struct snap_other {
	uint64_t new_entries;
	uint64_t destroyed_entries;
};

struct snap_lifetime {
	uint64_t buckets[SHM_LIFETIME_BUCKETS];
	uint64_t sum_ms;
};

struct snap_top {
	struct row_key key;
	uint32_t entries; /* 0: no such row */
};

struct snap_sample {
	uint64_t real_ns;
	uint32_t count_entries;
	uint32_t mirror_entries;
	uint32_t max_entries;
	uint32_t new_entries;
	uint32_t destroyed_entries;
	uint32_t drops;
	uint32_t early_drops;
	uint32_t lost_events;
	struct snap_top top[SHM_TOP_PORTS];
};

enum snap_agent {
	SNAP_AGENT_UP,	     /* heartbeat fresh */
	SNAP_AGENT_STARTING, /* alive, first dump not finished */
	SNAP_AGENT_SILENT,   /* no heartbeat for SNAP_SILENT_NS: stopped, killed or starved */
	SNAP_AGENT_STOPPED,  /* ended cleanly */
	SNAP_AGENT_REBOOTED  /* the file is of an earlier boot */
};

#define SNAP_SILENT_NS (UINT64_C(5) * 1000000000u)

struct snapshot {
	enum snap_agent agent;
	/* The heartbeat lies in the future: its clock is not ours (another time namespace, a
	 * restored machine), so its age is not known. The agent counts as silent.
	 */
	bool clock_ahead;
	uint64_t age_ns; /* since the heartbeat; UINT64_MAX after a reboot, and when not known */
	uint64_t taken_real_ns;
	uint64_t stopped_real_ns; /* 0 unless stopped */
	uint64_t sequence;	  /* of the live block: changes with every publication */
	uint64_t instance_id;
	uint64_t created_real_ns;
	uint64_t netns_inode;
	uint32_t agent_pid;
	char netns_name[64];
	char host_name[64];
	char agent_version[32];
	struct snap_live live;
	struct snap_row *rows;
	size_t row_count;
	size_t row_room;
	struct snap_other other[L4_COUNT][DIR_COUNT];
	struct snap_lifetime lifetimes[L4_COUNT];
	uint32_t timeouts_s[TIMEOUT_COUNT]; /* 0: unknown */
	struct snap_forecast forecast;
	struct snap_nat nat;
	struct snap_settings settings;
	struct snap_zones zones;
	struct snap_zone_cells zone_cells;
};

struct snap_history {
	uint64_t interval_ns;
	struct snap_sample *samples; /* oldest first */
	size_t sample_count;
	size_t sample_room;
};

struct shm_reader;

void snapshot_init(struct snapshot *snap);
void snapshot_free(struct snapshot *snap);

/*
 * Copies the segment. 0; -EAGAIN when the live block was being written all the
 * time (a writer killed inside a write); -EFAULT when the file was cut under the
 * mapping; -ENOMEM. On failure *snap holds what it held before, except for rows.
 * `now_boot_ns`, `now_real_ns`: the clocks, read by the caller.
 */
int snapshot_take(struct shm_reader *reader, uint64_t now_boot_ns, uint64_t now_real_ns,
		  struct snapshot *snap);

void snap_history_init(struct snap_history *history);
void snap_history_free(struct snap_history *history);

/* The ring of seconds or of minutes. Errors as above. */
int snapshot_take_history(struct shm_reader *reader, bool minutes, struct snap_history *history);

/* "up", "starting", "silent", "stopped", "rebooted", and a sentence for people. */
const char *snap_agent_name(enum snap_agent agent);
const char *snap_agent_help(enum snap_agent agent);

/* "starting", "full", "no-update", "polling"; "unknown" for anything else. */
const char *snap_mode_name(int64_t mode);

/* "not_exact", "verified", "exact"; anything else is not_exact. */
const char *snap_quality_name(int64_t quality);
const char *snap_quality_reason_name(int64_t reason);
const char *snap_quality_reason_help(int64_t reason);

/* "UNKNOWN", "OK", "HIGH", "CRITICAL", "FULL"; anything else is UNKNOWN. */
const char *snap_level_name(int64_t level);
const char *snap_level_reason_name(int64_t reason);
const char *snap_level_reason_help(int64_t reason);

/* Name and sentence of one bit of `doubts`; NULL for a bit that means nothing. */
const char *snap_doubt_name(unsigned int bit);
const char *snap_doubt_help(unsigned int bit);

#endif
