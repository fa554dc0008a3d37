// SPDX-License-Identifier: GPL-2.0-or-later
/* The parts of the model; model.h says what they mean. Plain data. */
#ifndef CONNTIDE_ADVICE_MODEL_DATA_H
#define CONNTIDE_ADVICE_MODEL_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kernel/gc.h"
#include "lib/kernel/timeouts.h"
#include "lib/shm/snap_detail.h"
#include "lib/shm/snapshot.h"

/* Above this a timeout is long: entries outlast what can be watched. */
#define LONG_TIMEOUT_S 600.0

enum basis { BASIS_MEASURED, BASIS_TIMEOUTS, BASIS_PRESENT };

struct phase {
	uint8_t state;
	int16_t timeout;      /* enum timeout_id; -1: none known */
	double own_timeout_s; /* of a policy or helper: the settings have no hold; 0: none */
	uint32_t entries;     /* there now */
	double left_s;
	double expiring;
	double active_s;
	double standing_entries;
	double stay_s;			  /* mean of a stay there; NaN: not known */
	const struct snap_stays *waiting; /* NULL: what packets end does not depend on it */
	double lives;			  /* that its stays belong to */
};

struct class
{
	const struct snap_row *row;
	enum basis basis;
	double new_per_s;     /* NaN: not known yet */
	double lasting_per_s; /* the same; less where the load has just ended */
	uint32_t first_phase; /* in model.phases */
	uint32_t phase_count; /* states that hold entries, or held some */
};

/* What the kernel is set to, and what of it a what-if may change. */
struct settings {
	double timeouts_s[TIMEOUT_COUNT];
	double max_entries; /* 0: no limit */
	double buckets;
	double chain_limit_entries; /* 0: not known */
	unsigned int tick_hz;	    /* CONFIG_HZ; 0: not known; nothing changes it */
};

struct model {
	const struct snapshot *snap; /* what it was built from */
	const struct snap_detail *details;
	struct class *classes;
	size_t count;
	struct phase *phases;
	size_t phase_count;
	struct settings settings;
	double watch_s; /* for how long the agent has run */
	struct gc_packets packets;
	double audits_per_s;   /* entries that the agent asks the kernel for, one after the other */
	double lag_s;	       /* measured, or as the collector's interval has it */
	double interval_s;     /* of the collector, as computed; lib/kernel/gc.h */
	double reckoned_lag_s; /* what that interval makes of it */
	double entries;	       /* the kernel's count */
	double steady_entries; /* of this model alone: never shown as a forecast */
	/*
	 * What is shown is the forecast's: its settling value, or where it cannot say what
	 * is there now. The model only says by what part a change moves that; what it has
	 * is shown times `scale`.
	 */
	double settles_at_entries; /* NaN: the forecast cannot say */
	double shown_entries;
	double scale;
};

#endif
