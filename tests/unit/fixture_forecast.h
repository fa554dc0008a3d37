// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands of segment-fixture that write a forecast. Until the first of them the
 * segment has none.
 *
 *	forecast FIELD VALUE		a scalar of struct shm_forecast, by its name
 *	outlook I LO95 LO80 P50 HI80 HI95 COMPARED HELD
 *	chance I FULL_PPM DROP_PPM
 *	reason I L4PROTO DIRECTION PORT POOLED ENTRIES ENTRIES_600 STEADY MILLI MICRO
 *	past P50 LO80 HI80 CAME|- FULL_S|- ALARM	for all horizons; the newest one
 *	hang-forecast			a writer that died inside a write
 */
#ifndef CONNTIDE_TESTS_FIXTURE_FORECAST_H
#define CONNTIDE_TESTS_FIXTURE_FORECAST_H

#include <stdbool.h>

#include "lib/shm/layout.h"

/* False: no command of these. */
bool forecast_command(const char *line, struct shm_forecast *forecast, struct shm_pasts *pasts);

/* It was made at the last heartbeat. */
void forecast_beat(struct shm_forecast *forecast, uint64_t boot_ns, uint64_t real_ns);

#endif
