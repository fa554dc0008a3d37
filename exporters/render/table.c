// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exporters/render/age.h"
#include "exporters/render/forecast_text.h"
#include "exporters/render/head.h"
#include "exporters/render/rows.h"
#include "exporters/render/select.h"
#include "exporters/render/settings.h"
#include "lib/health/health.h"

#define SETTINGS_LINES	  3u
#define SETTINGS_SHOWN_NS (UINT64_C(24) * 3600 * 1000000000u)

static void label(struct text *out, const char *name)
{
	size_t from = out->bytes;

	text_add(out, name);
	text_pad(out, from, 12);
}

static void add_fill(const struct snapshot *snap, struct text *out)
{
	const struct snap_live *live = &snap->live;
	char words[FORECAST_WORDS_BYTES];

	label(out, "level");
	text_add_format(out, "%s: %s\n", snap_level_name(health_level(snap)),
			health_level_reason(snap, words));
	label(out, "table");
	head_fill(snap, out);
	text_add_char(out, '\n');
	label(out, "forecast");
	text_add_format(out, "%s\n", forecast_words(snap, words));
	label(out, "");
	text_add_format(out, "%s\n", forecast_settles(snap, words));
	label(out, "chains");
	text_add_format(
		out, "%" PRId64 " buckets; inserts begin to fail at about %" PRId64 " entries%s\n",
		live->buckets, live->chain_limit_entries,
		live->max_entries > 0 && live->chain_limit_entries < live->max_entries
			? ", BELOW the limit: raise nf_conntrack_buckets"
			: "");
	if (live->expectations > 0) {
		label(out, "expected");
		text_add_format(out, "%" PRId64 " of %" PRId64 " expectations\n",
				live->expectations, live->expectations_max);
	}
	label(out, "lost");
	text_add_format(out,
			"%" PRId64 " dropped, %" PRId64 " evicted, %" PRId64 " chain, %" PRId64
			" insert_failed since boot\n",
			live->stat_drop, live->stat_early_drop, live->stat_chaintoolong,
			live->stat_insert_failed);
}

/* Of the last day, the latest first. */
static void add_settings(const struct snapshot *snap, struct text *out)
{
	const struct snap_settings *settings = &snap->settings;
	char words[SETTING_WORDS_BYTES];

	for (uint32_t i = 0; i < settings->count && i < SETTINGS_LINES; i++) {
		if (settings->changes[i].real_ns + SETTINGS_SHOWN_NS < snap->taken_real_ns)
			break;
		label(out, i ? "" : "settings");
		text_add_format(out, "%s\n", setting_words(&settings->changes[i], true, words));
	}
}

static void add_trust(const struct snapshot *snap, struct text *out)
{
	const struct snap_live *live = &snap->live;
	char age[32], words[HEALTH_WORDS_BYTES];

	label(out, "agent");
	text_add_format(out, "%s, mode %s, version %s, numbers are %s%s\n", health_state(snap),
			snap_mode_name(live->mode), snap->agent_version,
			format_age(snap->age_ns, age), snap->age_ns == UINT64_MAX ? "" : " old");
	if (!health_up(snap)) {
		label(out, "");
		text_add_format(out, "%s\n", health_reason(snap));
	}
	label(out, "quality");
	text_add_format(out, "%s: %s\n", health_quality_words(snap, words),
			health_quality_reason(snap));
	label(out, "mirror");
	text_add_format(out,
			"%" PRId64 " entries, residual %" PRId64 ", silent %" PRId64
			", unassured %" PRId64 "\n",
			live->mirror_entries, live->residual_entries, live->silent_entries,
			live->unassured_entries);
	for (unsigned int bit = 0; bit < SHM_DOUBT_BITS; bit++) {
		if (!(live->doubts & (int64_t)1 << bit))
			continue;
		label(out, "");
		text_add_format(out, "%s: %s\n", snap_doubt_name(bit), snap_doubt_help(bit));
	}
	label(out, "events");
	text_add_format(
		out,
		"%" PRId64 " lost; %" PRId64 " resyncs valid, %" PRId64 " not; last ended %s\n",
		live->events_lost, live->resyncs_valid, live->resyncs_invalid,
		live->last_resync_real_ns ? format_time((uint64_t)live->last_resync_real_ns, age)
					  : "never");
}

void table_status(const struct snapshot *snap, const struct services *services, size_t ports,
		  struct text *out)
{
	struct selection selection;
	struct select select;

	head_banner(snap, out);
	label(out, "netns");
	text_add_format(out, "%s\n", snap->netns_name);
	add_fill(snap, out);
	add_settings(snap, out);
	add_trust(snap, out);
	if (!ports)
		return;
	select_init(&select);
	select.limit = ports;
	if (select_ports(snap, &select, &selection) < 0)
		out->failed = true;
	text_add_char(out, '\n');
	render_ports(snap, &selection, services, ROWS_TEXT, out);
	if (selection.matches > selection.count)
		text_add_format(out, "and %zu more: conntide ports\n",
				selection.matches - selection.count);
	selection_free(&selection);
}

void table_line(const struct snapshot *snap, struct text *out)
{
	char words[HEALTH_WORDS_BYTES];

	text_add_format(out, "%s%s: ", health_rehearsal(snap) ? "REHEARSAL, " : "",
			snap->netns_name);
	head_fill(snap, out);
	text_add_format(out, ": %s, mirror %" PRId64 " (%s), agent %s\n",
			snap_level_name(health_level(snap)), snap->live.mirror_entries,
			health_quality_words(snap, words), health_state(snap));
}
