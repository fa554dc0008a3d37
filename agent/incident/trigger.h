// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When the table is worth keeping as an incident. Pure; a second at
 * a time, under any clock.
 *
 * An *episode* begins when the table passes 80 % of its limit (nf_conntrack_max, or
 * the entries at which hash chains get too long, where those are fewer), or when the
 * kernel drops: an entry evicted early, a chain too long, a packet dropped. The
 * kernel counts clashes and packets refused by protocol as dropped packets, too: below
 * half of the limit those say nothing about the table, and begin no episode. It ends once the
 * table has been below 75 % without drops for 30 s, so that hovering around 80 % is one episode.
 *
 * Ports of source NAT run out in a table that is nearly empty. The fullest pool is a limit as
 * the table's: 85 % of its ports held, 94 %, connections that found no port; it is calm below
 * 83 %. An episode is about that pool (INCIDENT_LIMIT_NAT) until the table is at 80 %.
 *
 * In an episode each stage (enum incident_stage) is due once, when it is reached. When several
 * are reached in one second only the worst is due: they would show the same table.
 *
 * A table that fills again and again must not fill the disk. Beginning an incident takes a token,
 * of which INCIDENTS_A_DAY come back over a day, and INCIDENTS_SPACING_NS since the last one
 * began. The last quarter of the tokens is reserved for 95 % and drops, half of that quarter for
 * drops, and drops need not wait. An episode refused at 80 % may still become an incident when it
 * gets worse; one that never does is counted as suppressed. Further stages of an incident cost no
 * token.
 *
 * A stage that could not be written is due again with the next stage and every
 * INCIDENTS_RETRY_NS; recovery INCIDENTS_RETRIES times.
 *
 * What is dropped when there are too many incidents: incident_trigger_victim().
 */
#ifndef CONNTIDE_AGENT_INCIDENT_TRIGGER_H
#define CONNTIDE_AGENT_INCIDENT_TRIGGER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/incident/incident.h"

#define INCIDENTS_HIGH_PPM	    800000u
#define INCIDENTS_CRITICAL_PPM	    950000u
#define INCIDENTS_CALM_PPM	    750000u
#define INCIDENTS_HALF_PPM	    500000u /* below this, dropped packets are no sign of a full table */
#define INCIDENTS_POOL_HIGH_PPM	    850000u
#define INCIDENTS_POOL_CRITICAL_PPM 940000u
#define INCIDENTS_POOL_CALM_PPM	    830000u
#define INCIDENTS_CALM_NS	    UINT64_C(30000000000)
#define INCIDENTS_SPACING_NS	    UINT64_C(900000000000)
#define INCIDENTS_RETRY_NS	    UINT64_C(60000000000)
#define INCIDENTS_RETRIES	    5u
#define INCIDENTS_A_DAY		    16u
#define INCIDENTS_DAY_NS	    UINT64_C(86400000000000)
#define INCIDENTS_NONE		    (-1)

struct incident_trigger_input {
	uint64_t now_ns; /* CLOCK_BOOTTIME */
	uint64_t now_real_ns;
	int64_t count_entries; /* -1: not known, as all of these */
	int64_t max_entries;   /* 0: no limit */
	int64_t chain_limit_entries;
	uint64_t drops; /* the kernel's counters since boot */
	uint64_t early_drops;
	uint64_t chain_drops;
	int64_t pool_ppm;  /* of the fullest NAT pool, held / size; 0 or less: there is none */
	int64_t pool_held; /* ports of it */
	int64_t pool_size;
	uint64_t pool_failures; /* connections that found no port, ever */
};

struct incident_trigger {
	bool seen;	  /* the counters of the second before are known */
	bool episode;	  /* an episode is under way... */
	bool begun;	  /* ...and it is, or was, an incident */
	uint32_t pending; /* a bit for each stage that is due */
	uint32_t asked;	  /* of these, the ones that are being written */
	uint32_t written; /* stages that are safe */
	uint32_t retries_left;
	uint64_t retry_ns;
	uint64_t calm_ns;	/* when it will have recovered; 0: not calm */
	uint64_t last_begin_ns; /* of an incident; 0: never */
	uint64_t tokens_ns;	/* INCIDENTS_DAY_NS / INCIDENTS_A_DAY each */
	uint64_t tokens_at_ns;
	uint64_t suppressed;
	struct incident_trigger_input last;
	/* Of the episode: began, stages, peak, limit, counters; the id once it has begun. */
	struct incident_head head;
};

void incident_trigger_init(struct incident_trigger *incidents, uint64_t now_ns);

/* Takes the tokens for `count` incidents that earlier agents began in the last day. */
void incident_trigger_spend(struct incident_trigger *incidents, uint64_t count);

/*
 * Continues an incident that an earlier agent of this boot left unfinished: `head` is
 * of its newest stage, `written` the stages it has.
 */
void incident_trigger_resume(struct incident_trigger *incidents, const struct incident_head *head,
			     uint32_t written);

/* Once a second. The stage that is due, or INCIDENTS_NONE. `random` names a new one. */
int incident_trigger_second(struct incident_trigger *incidents,
			    const struct incident_trigger_input *in, uint32_t random);

/* The stage that was due is being written. Without this it is due again next second. */
void incident_trigger_asked(struct incident_trigger *incidents, int stage);
/* ...and is safe, or not. */
void incident_trigger_answered(struct incident_trigger *incidents, int stage, bool written);

struct incident_list;

/*
 * Which one to drop when there are too many: never the newest quarter nor the one under way; of
 * the others the least severe, by worst stage, then peak fill, then age. Index into `list`
 * (newest first), or -1. `max_count`: how many may be there.
 */
int incident_trigger_victim(const struct incident_list *list, uint32_t max_count,
			    const char *current_id);

#endif
