// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a snapshot means, said once for every rendering: is it fresh, is it exact,
 * how bad is the fill, and why. Pure.
 */
#ifndef CONNTIDE_HEALTH_HEALTH_H
#define CONNTIDE_HEALTH_HEALTH_H

#include <stdbool.h>

#include "lib/shm/snapshot.h"

enum level { LEVEL_OK, LEVEL_HIGH, LEVEL_CRITICAL, LEVEL_FULL, LEVEL_UNKNOWN };

/* The same thresholds as the alerts in dashboards/. */
#define LEVEL_HIGH_RATIO     0.80
#define LEVEL_CRITICAL_RATIO 0.95

/* count / max; -1 when there is no limit or none is known. */
double health_fill_ratio(const struct snap_live *live);

/* The agent is alive: the numbers are those of the last seconds. */
bool health_fresh(const struct snapshot *snap);

/* Fresh, subscribed to everything, first dump done: conntide_up. */
bool health_up(const struct snapshot *snap);

/* What the agent says, but never for numbers that are not fresh. */
bool health_exact(const struct snapshot *snap);

/* There is a forecast, made within SNAP_SILENT_NS of the agent's last sign of life. */
bool health_forecast_recent(const struct snapshot *snap);

/*
 * It says something about the future, now: the agent is up and has watched long
 * enough. Else none of its numbers is served as if it were true.
 */
bool health_forecast(const struct snapshot *snap);

/* As above; or it did when the agent, which is silent now, gave its last sign of
 * life: for those who ask for old numbers. */
bool health_forecast_shown(const struct snapshot *snap);

/* Never better than UNKNOWN when the numbers are not fresh. */
enum level health_level(const struct snapshot *snap);
const char *health_level_name(enum level level);

/* "up", "degraded", or the name of the agent's state. */
const char *health_state(const struct snapshot *snap);

/* A sentence: why the numbers are not to be trusted fully, or that they are. */
const char *health_reason(const struct snapshot *snap);

#endif
