// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What could be known: two forecasters that cheat. Included by gen_main.c and
 * the tests of the simulator.
 *
 * At an instant the simulator's state is forked and played on for an hour many
 * times, each with other random numbers. Quantiles, p_full and p_drop are
 * shares of these paths. Counts come from three times as many more that play
 * ten minutes.
 *
 * Both know the model, the rates and their present shape, every entry with its
 * age and deadline, the collector's phase, retries under way, and what is no
 * shock (change_is_shock(): rhythms, dumps). Neither knows what is chance: the
 * arrivals to come, how much longer a connection stays (redrawn given its
 * age), which connection leaks (redrawn), when a lookup meets an expired entry.
 *
 *   causal       knows no shock after the instant: what has begun goes on as it
 *                is, a ramp goes on rising. At instants the scores call known
 *                it knows as much as the other.
 *   clairvoyant  knows the shocks to come
 *
 * Cheats a little: a burst or batch that has begun, within its last second or
 * two, and round trips under way go on as they did.
 */
#ifndef CONNTIDE_TEST_ORACLE_H
#define CONNTIDE_TEST_ORACLE_H

#include "sim.h"

#define ORACLE_PATHS_MAX 1024

/*
 * Plays the scenario and answers every `every`th EVAL, one JSON line each as
 * conntide-replay --forecast does, and with "now", the count of that second: a
 * run that writes a trace takes other turns than one that does not, so `out`
 * must write one (to nowhere, if it was written before). at_eval of `out` is
 * taken. paths: 1..ORACLE_PATHS_MAX; every: >= 1. Returns 0, -EINVAL or -ENOMEM.
 */
int oracle_run(const struct scenario *sc, unsigned int paths, unsigned int every,
	       struct sim_out *out, FILE *causal, FILE *clairvoyant);

#endif
