// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which class an entry belongs to. Classes are bounded: the first ports seen get one each,
 * later ones when they have been seen often, the rest is pooled by protocol; a class that has
 * been empty for long gives its place to another. An entry is always in the class its port
 * had when it entered its stage, so that what is counted in is counted out of the same place.
 */
#ifndef CONNTIDE_FORECAST_CLASSES_H
#define CONNTIDE_FORECAST_CLASSES_H

#include "lib/forecast/state.h"

void fc_classes_init(struct forecast *f);
struct fc_class *fc_class_of(struct forecast *f, const struct fc_move *m, int64_t since_s,
			     bool unknown);
/* Of this port alone; NULL: it has none. */
const struct fc_class *fc_class_find(const struct forecast *f, uint8_t l4proto, uint8_t direction,
				     uint16_t port);
/* Made where there is none; NULL: no room. */
struct fc_cell *fc_cell_of(struct forecast *f, struct fc_class *cl, unsigned int stage);

#endif
