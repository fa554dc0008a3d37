// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All that the forecast has learnt: one block without pointers, so that it may be copied.
 * Only lib/forecast and its tests look inside.
 */
#ifndef CONNTIDE_FORECAST_STATE_H
#define CONNTIDE_FORECAST_STATE_H

#include "lib/forecast/arrivals.h"
#include "lib/forecast/forecast.h"
#include "lib/forecast/full.h"
#include "lib/forecast/late.h"
#include "lib/forecast/parts.h"
#include "lib/forecast/pulses.h"
#include "lib/forecast/record.h"
#include "lib/forecast/season.h"
#include "lib/forecast/shift.h"
#include "lib/forecast/stays.h"

#define FC_MAGIC   UINT32_C(0x43544643)
#define FC_VERSION 1
#define FC_CLASSES FC_SEASON_N
#define FC_CELLS   200
#define FC_NO_CELL 255
#define FC_PLACES  256

struct fc_class {
	bool used, pooled;
	uint8_t l4proto, direction;
	uint16_t port;
	int64_t own_from_s; /* entries since before this are in the pooled class */
	int64_t last_seen_s;
	uint8_t cell[FC_STAGES];
	float first[FC_STAGES]; /* stage in which entries arrive, decayed counts */
	struct fc_arrivals arrivals;
	struct fc_pulses pulses;
	float to_return; /* thrown out at once, expected to come back */
	int64_t thrown_out_s;
};

/* What is known of a port, by a hash of its key. */
struct fc_place {
	uint32_t key;
	uint8_t class_id;
	uint8_t sights; /* without a class, less those of other ports of this hash */
};

struct forecast {
	uint32_t magic, version;
	uint64_t size;
	int64_t start_s, now_s, move_ns;
	bool have_stat, alarm, events_off;
	struct fc_stat stat;
	uint32_t n_cells, arrivals_this_s;
	int64_t unsure_until_s, silent_until_s; /* learn nothing; say nothing */
	uint8_t silence;			/* enum fc_silence: why, until then */
	double residual;			/* count - entries known */
	double pool; /* what if: entries kept open whatever comes; no part of what was learnt */
	struct fc_class cls[FC_CLASSES];
	struct fc_cell cell[FC_CELLS];
	struct fc_shift shift[FC_CLASSES];
	uint32_t sysctl_timeout_s[FC_L4PROTOS][FC_STAGES];
	struct fc_place place[FC_PLACES];
	uint32_t n_own; /* classes of one port */
	bool cells_full;
	int64_t no_class_s; /* no class was idle in this second */
	struct fc_late late;
	struct fc_demand demand;
	struct fc_season season;
	struct fc_full full;
	struct fc_record record;
	float normal[FC_NORMALS];
};

static inline int64_t fc_watched_s(const struct forecast *f)
{
	return f->now_s - f->start_s;
}

/* NULL: the class has none of that stage. */
static inline const struct fc_cell *fc_cell_at(const struct forecast *f, const struct fc_class *cl,
					       unsigned int stage)
{
	return cl->cell[stage] == FC_NO_CELL ? NULL : &f->cell[cl->cell[stage]];
}

static inline int32_t fc_class_entries(const struct forecast *f, const struct fc_class *cl)
{
	int32_t n = 0;
	unsigned int s;

	for (s = 0; s < FC_STAGES && cl->used; s++)
		n += fc_cell_at(f, cl, s) ? fc_cell_at(f, cl, s)->pop.total : 0;
	return n;
}

/* Of those counted, how many are in a stage. */
static inline double fc_known_entries(const struct forecast *f)
{
	double n = 0.0;
	unsigned int i;

	for (i = 0; i < f->n_cells; i++)
		n += f->cell[i].used ? f->cell[i].pop.total : 0;
	return n;
}

/*
 * Which class an entry belongs to (classes.c). Classes are bounded: the first ports seen get one
 * each, later ones when they have been seen often, the rest is pooled by protocol; a class that has
 * been empty for long gives its place to another. An entry is always in the class its port
 * had when it entered its stage, so that what is counted in is counted out of the same place.
 */
void fc_classes_init(struct forecast *f);
struct fc_class *fc_class_of(struct forecast *f, const struct fc_move *m, int64_t since_s,
			     bool unknown);
/* Of this port alone; NULL: it has none. */
const struct fc_class *fc_class_find(const struct forecast *f, uint8_t l4proto, uint8_t direction,
				     uint16_t port);
/* Made where there is none; NULL: no room. */
struct fc_cell *fc_cell_of(struct forecast *f, struct fc_class *cl, unsigned int stage);

#endif
