// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table as a monitoring plugin says it (Nagios, Icinga, Naemon, Sensu; monitoring-plugins.org
 * guidelines): one of four words that is also the exit status, one line, performance data.
 *
 * By default the word follows the level: HIGH is WARNING; CRITICAL and FULL are CRITICAL. A
 * threshold that is given stands in for what the level says of fill and forecast. What a
 * threshold cannot express keeps its level: a full table, NAT pools, chains, expectations.
 *
 * Pure; fill is a ratio, times are ms.
 */
#ifndef CONNTIDE_RENDER_PLUGIN_H
#define CONNTIDE_RENDER_PLUGIN_H

#include "exporters/render/text.h"
#include "lib/shm/snapshot.h"

/* The values are exit statuses. */
enum plugin_word { PLUGIN_OK, PLUGIN_WARNING, PLUGIN_CRITICAL, PLUGIN_UNKNOWN };

struct plugin_threshold {
	bool given;
	double fill_ratio; /* from here on; not finite: none */
	uint64_t full_ms;  /* full within this; 0: none */
};

struct plugin_thresholds {
	struct plugin_threshold warning;
	struct plugin_threshold critical;
};

/* "80%", "80", "30m", "80%,30m". 0 or -EINVAL. */
int plugin_threshold_parse(const char *list, struct plugin_threshold *ret_threshold);

const char *plugin_word_name(enum plugin_word word);
enum plugin_word plugin_word(const struct snapshot *snap, const struct plugin_thresholds *at);

/* "WORD - text | data" and a newline, or the same as JSON. */
void plugin_text(const struct snapshot *snap, const struct plugin_thresholds *at, struct text *out);
void plugin_json(const struct snapshot *snap, const struct plugin_thresholds *at, struct text *out);

/* When there is no table: UNKNOWN, and why. */
void plugin_missing_text(const char *why, struct text *out);
void plugin_missing_json(const char *netns, const char *why, struct text *out);

#endif
