// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who is in a stage, by second of entry: rings that grow coarser with age. Level l holds
 * FC_SLOTS slots of fc_width_s[l] seconds; what leaves one level moves into the next, so that
 * any entry is found by when it came, in O(1). Seconds of the forecast's clock. Pure.
 */
#ifndef CONNTIDE_FORECAST_POPULATION_H
#define CONNTIDE_FORECAST_POPULATION_H

#include <stdbool.h>
#include <stdint.h>

#define FC_LEVELS 4
#define FC_SLOTS  256

extern const int fc_width_s[FC_LEVELS];

struct fc_population {
	int32_t total, unknown; /* unknown: since when is not known */
	int32_t n[FC_LEVELS][FC_SLOTS];
};

/* Entries that came within the same slot, for walking through all of known age. */
struct fc_slot {
	unsigned int level, at; /* zero before the first */
	bool begun;
	int64_t since_s; /* the slot's beginning */
	int width_s;
	int32_t entries;
};

void fc_population_add(struct fc_population *p, int64_t now_s, int64_t since_s, bool unknown);
void fc_population_remove(struct fc_population *p, int64_t now_s, int64_t since_s, bool unknown);
/* Once a second, after now_s was raised by one. */
void fc_population_fold(struct fc_population *p, int64_t now_s);
/* The next slot that holds somebody; false: there is none. */
bool fc_population_next(const struct fc_population *p, int64_t now_s, struct fc_slot *slot);
/* Takes at most n out of a slot; how many it took. */
int32_t fc_population_drop(struct fc_population *p, const struct fc_slot *slot, int32_t n);

#endif
