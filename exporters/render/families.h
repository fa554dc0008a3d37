// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A snapshot as metric families: built once, grouped by family, written by
 * prom_text. Names, types and help come from metrics.def.
 *
 * Series are bounded whatever the traffic is: ports have series of their own
 * only while the agent gives them a slot, everything else is summed up in
 * port="other". The sum over conntide_entries is mirror_entries, always.
 */
#ifndef CONNTIDE_RENDER_FAMILIES_H
#define CONNTIDE_RENDER_FAMILIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exporters/render/text.h"
#include "lib/shm/snap_detail.h"
#include "lib/shm/snap_nat.h"
#include "lib/shm/snapshot.h"

enum family_id {
#define FAMILY(id, name, type, unit, means, act) FAMILY_##id,
#include "lib/shm/metrics.def"
#undef FAMILY
	FAMILY_COUNT
};

/* UNTYPED: the kernel's names, whose endings fit no type ("unknown" in OpenMetrics). */
enum family_type { FAMILY_GAUGE, FAMILY_COUNTER, FAMILY_HISTOGRAM, FAMILY_UNTYPED };

struct family_info {
	const char *name; /* counters with _total */
	enum family_type type;
	const char *unit;
	const char *means;
	const char *act; /* may be "" */
};

const struct family_info *family_info(enum family_id id);
const char *family_type_name(enum family_type type);
/* The same as OpenMetrics has it. */
const char *family_type_openmetrics(enum family_type type);

/* "conntide_entries" or "entries"; FAMILY_COUNT when there is no such family. */
enum family_id family_by_name(const char *name);

enum sample_suffix { SUFFIX_NONE, SUFFIX_BUCKET, SUFFIX_COUNT, SUFFIX_SUM };

struct sample {
	enum family_id family;
	enum sample_suffix suffix;
	bool integer;
	int64_t number;	 /* when integer */
	double value;	 /* when not */
	size_t label_at; /* in labels.data, without braces */
	size_t label_bytes;
};

struct families {
	struct sample *samples; /* grouped by family, in the order of metrics.def */
	size_t count;
	size_t room;
	struct text labels;
	bool failed; /* out of memory */
};

/*
 * What has been shown before, so that a series that was shown stays, as 0. One per table; zeroed
 * before its first use. Kept by the caller between scrapes. What was shown for a slot is valid
 * for one port, one hand-over and one agent: a new agent numbers from the beginning.
 *
 * With too many series, the entries by state of the last slots join "other", for good, so that
 * nothing flaps. Their counters stay, because a counter that depends on the exporter's limit
 * would fall when the exporter restarts. Only if the limit is too small even for the counters do
 * all of them join "other", at once.
 */
struct series_memory {
	uint64_t instance_id;
	uint16_t slot_states[SHM_SLOT_COUNT];
	uint32_t slot_generation[SHM_SLOT_COUNT];
	struct row_key slot_key[SHM_SLOT_COUNT];
	uint16_t other_states[L4_COUNT][DIR_COUNT];
	uint32_t slots_hidden; /* slots from the end whose entries are part of "other" */
	bool counters_hidden;
};

#define SERIES_LIMIT_DEFAULT 400u

struct families_options {
	bool compat_node_exporter;
	uint32_t series_limit; /* 0: none */
	uint32_t series_taken; /* samples that the caller will add */
	const char *revision;  /* of the exporter, for build_info */
	const char *version;
	const struct snap_nat *nat; /* NULL: addresses must not be shown, or there are none */
	const struct snap_talker_list *sources; /* NULL: not known */
	bool shows_hosts;			/* addresses of sources, too */
};

void families_init(struct families *families);
void families_free(struct families *families);

/*
 * Appends all families of one table. `snap` may be NULL: there is no table, and
 * `missing_state` ("missing", "unreadable") says why. Numbers of a table that is
 * not fresh are left out: conntide_up, state and heartbeat remain.
 */
void families_build(struct families *families, const struct snapshot *snap, const char *netns,
		    const char *missing_state, const struct families_options *options,
		    struct series_memory *memory);

/* Samples of the caller's own; labels: "" or a list like `reason="body"`. */
/* Integers that may be negative. */
void families_add_integer(struct families *families, enum family_id id, const char *labels,
			  int64_t number);
void families_add_u64(struct families *families, enum family_id id, const char *labels,
		      uint64_t value);
void families_add_double(struct families *families, enum family_id id, const char *labels,
			 double value);

/* The forecast's, for families.c; `prefix`: labels that every series carries. */
void families_add_forecast(struct families *families, const struct snapshot *snap,
			   const char *prefix);

/* The same of NAT pools: a summary, and the pools, which name addresses. */
void families_add_nat(struct families *families, const struct snap_live *live, const char *prefix);
void families_add_nat_pools(struct families *families, const struct snap_nat *nat,
			    const char *prefix);

/* The share of the largest source and, if the options allow it, the sources by address. */
void families_add_talkers(struct families *families, const struct snapshot *snap,
			  const struct families_options *options, const char *prefix);

void families_add_zones(struct families *families, const struct snap_zones *zones,
			const char *prefix);
void families_add_settings(struct families *families, const struct snap_settings *settings,
			   const char *prefix);

/* Groups by family, keeping the order within one. After the last addition. */
void families_sort(struct families *families);

#endif
