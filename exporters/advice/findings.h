// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is found when one asks why: struct why and its parts. Plain data; why.h says what
 * they mean and who fills them, patterns.h who fills the findings.
 */
#ifndef CONNTIDE_ADVICE_FINDINGS_H
#define CONNTIDE_ADVICE_FINDINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "exporters/advice/model.h"

#define WHY_HOLDERS  8u
#define WHY_GROWTHS  5u
#define WHY_HOSTS    3u
#define WHY_FINDINGS 24u
#define WHY_FIGURES  12u
#define WHY_ROWS     6u /* SIDE_PORTS */

enum confidence { CONFIDENCE_SURE, CONFIDENCE_LIKELY, CONFIDENCE_NOT_SURE };

enum pattern_id {
	PATTERN_TABLE_FULL,
	PATTERN_CHAIN_DROPS,
	PATTERN_EXPECTATIONS,
	PATTERN_NAT_POOL,
	PATTERN_NAT_COLLISIONS,
	PATTERN_INSERT_CLASH,
	PATTERN_LONG_TIMEOUT,
	PATTERN_UPSTREAM,
	PATTERN_HEALTH_CHECKS,
	PATTERN_TIME_WAIT,
	PATTERN_ASYMMETRIC,
	PATTERN_DEAD_BACKEND,
	PATTERN_SYN_FLOOD,
	PATTERN_UDP_STORM,
	PATTERN_UDP_STREAMS,
	PATTERN_LEFTOVERS,
	PATTERN_IDLE_ESTABLISHED,
	PATTERN_CLOSE_WAIT,
	PATTERN_ONE_HOST,
	PATTERN_PEER_TO_PEER,
	PATTERN_PORT_SCAN,
	PATTERN_OTHER_PROTOCOL,
	PATTERN_COUNT
};

struct pattern_info {
	const char *id; /* "upstream-without-keepalive": for machines, never changes */
	const char *title;
	const char *todo; /* a sentence */
};

/* A number a verdict rests on. */
struct figure {
	const char *name; /* with its unit, as JSON has it */
	double value;
};

struct finding {
	enum pattern_id pattern;
	enum confidence confidence;
	uint32_t entries;	       /* that belong to it; 0 where it is about losses */
	double share;		       /* of the table */
	struct row_key rows[WHY_ROWS]; /* the first is what it is about */
	uint32_t row_count;
	int state;			 /* of the rows, or -1 */
	struct row_key others[WHY_ROWS]; /* the side that comes in, largest first */
	uint32_t other_count;
	struct figure figures[WHY_FIGURES];
	uint32_t figure_count;
	bool has_host;
	bool host_is_source;
	struct snap_talker host;	  /* who does it, or towards whom */
	const struct snap_nat_pool *pool; /* what it is about, or NULL */
	const char *unsure;		  /* NULL, or what else it could be, or what is not known */
	char summary[320];		  /* a sentence, without addresses */
};

struct holder {
	const struct snap_row *row;
	double share;
	int state; /* the largest */
	double new_per_s;
	double stay_s;			      /* mean life; NaN */
	const struct snap_row_detail *detail; /* its own, or NULL: how its entries ended */
};

/* What grew, compared with an earlier moment or mean. */
struct growth {
	struct row_key key;
	int state;
	uint32_t entries;
	double before_entries;
};

struct host_growth {
	struct snap_talker host;
	double before_entries;
};

struct change_of_table {
	bool known;
	double over_s;	/* how long ago the moment was, or how long the mean is */
	double entries; /* the kernel's count now... */
	double before_entries;
	struct growth rows[WHY_GROWTHS]; /* largest first */
	uint32_t row_count;
	struct host_growth hosts[WHY_HOSTS];
	uint32_t host_count;
};

struct why {
	const struct snapshot *snap;
	const struct snap_detail *details;
	const struct model *model;
	bool urgent;
	struct holder holders[WHY_HOLDERS];
	uint32_t holder_count;
	struct change_of_table minutes;	       /* against a moment some minutes ago */
	struct change_of_table hour;	       /* against the mean of the hour before that */
	struct finding findings[WHY_FINDINGS]; /* surest and largest first */
	uint32_t finding_count;
};

#endif
