// SPDX-License-Identifier: GPL-2.0-or-later
/* Fills a set of ages as the agent would have counted it, for made-up tables. */
#ifndef CONNTIDE_TESTS_FIXTURE_AGES_H
#define CONNTIDE_TESTS_FIXTURE_AGES_H

#include <stdint.h>

#include "lib/shm/layout.h"

/* So many entries of the cell, spread evenly between 0 and `span_s` in their state; of none
 * it is known how idle it is. What was there before is gone; what has no room is left out. */
void fixture_ages_cell(struct shm_ages_set *set, uint32_t cell, uint32_t entries, double span_s);

/* Time after which none of a state is left: its timeout, and half a minute for the collector;
 * of long ones two hours, for which the agent has run. */
double fixture_ages_span_s(uint32_t timeout_s);

/* Parts of the row, in the order of struct shm_ages_row: src_nat, dst_nat, helper, ipv6, zoned. */
void fixture_ages_facts(struct shm_ages_set *set, uint32_t row, const uint32_t parts[5]);

#endif
