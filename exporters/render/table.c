// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "exporters/render/age.h"
#include "exporters/render/forecast_text.h"
#include "exporters/render/head.h"
#include "exporters/render/nat.h"
#include "exporters/render/port_name.h"
#include "exporters/render/rows.h"
#include "exporters/render/select.h"
#include "exporters/render/settings.h"
#include "lib/base/clock.h"
#include "lib/health/health.h"
#include "lib/kernel/states.h"

#define LINE  80u
#define LABEL 12u
/* "; 65504 more: 1048576 entries" */
#define ZONES_REST	  30u
#define SETTINGS_LINES	  3u
#define SETTINGS_SHOWN_NS (UINT64_C(24) * 3600 * 1000000000u)

static void label(struct text *out, const char *name)
{
	size_t from = out->bytes;

	text_add(out, name);
	text_pad(out, from, LABEL);
}

static void add_loss(struct text *out, const char *name, int64_t milli_per_s, bool *any)
{
	if (milli_per_s <= 0)
		return;
	text_add_format(out, "%s%s %.*f/s", *any ? ", " : "", name, milli_per_s < 10000 ? 1 : 0,
			(double)milli_per_s / 1e3);
	*any = true;
}

static void add_losses(const struct snapshot *snap, struct text *out)
{
	const struct snap_live *live = &snap->live;
	bool any = false;

	if (health_fresh(snap)) {
		label(out, "losses");
		add_loss(out, "dropped", live->dropped_milli_per_s, &any);
		add_loss(out, "evicted", live->evicted_milli_per_s, &any);
		add_loss(out, "chain", live->chain_milli_per_s, &any);
		add_loss(out, "insert_failed", live->insert_failed_milli_per_s, &any);
		text_add(out, any ? "\n" : "none at present\n");
	}
	label(out, health_fresh(snap) ? "" : "losses");
	text_add_format(out,
			"since boot: dropped %" PRId64 ", evicted %" PRId64 ", chain %" PRId64
			", insert_failed %" PRId64 "\n",
			live->stat_drop, live->stat_early_drop, live->stat_chaintoolong,
			live->stat_insert_failed);
}

static void add_fill(const struct snapshot *snap, struct text *out)
{
	char words[FORECAST_WORDS_BYTES];

	label(out, "level");
	/* Where the numbers are old, the banner has said why. */
	text_add_format(out, "%s%s%s\n", snap_level_name(health_level(snap)),
			health_fresh(snap) ? ": " : "",
			health_fresh(snap) ? health_level_reason(snap, words) : "");
	label(out, "table");
	head_fill(snap, out);
	text_add_char(out, '\n');
	if (health_empty(snap)) {
		label(out, "");
		text_add_format(out, "%s\n", health_empty_words());
	}
	add_losses(snap, out);
	label(out, "forecast");
	text_add_format(out, "%s\n", forecast_words(snap, words));
	label(out, "");
	text_add_format(out, "%s\n", forecast_settles(snap, words));
}

static void add_chains(const struct snapshot *snap, struct text *out)
{
	const struct snap_live *live = &snap->live;

	label(out, "chains");
	text_add_format(
		out, "%" PRId64 " buckets; inserts begin to fail at about %" PRId64 " entries%s\n",
		live->buckets, live->chain_limit_entries,
		live->max_entries > 0 && live->chain_limit_entries < live->max_entries
			? ", BELOW the limit: raise nf_conntrack_buckets"
			: "");
}

/* "7: 120, 0: 31, 9: 4", where another zone than 0 is used; the largest, as many as the line has
 * room for. */
static void add_zones(const struct snapshot *snap, struct text *out)
{
	const struct snap_zones *zones = &snap->zones;
	uint64_t others = zones->other_entries;
	uint32_t shown = 0, left;
	size_t from = out->bytes;
	char part[32];

	if (zones->count == 0 || (zones->count == 1 && zones->zones[0].zone == 0))
		return;
	label(out, "zones");
	for (; shown < zones->count; shown++) {
		snprintf(part, sizeof(part), "%s%u: %" PRIu32, shown ? ", " : "",
			 zones->zones[shown].zone, zones->zones[shown].entries);
		if (out->bytes - from + strlen(part) > LINE - ZONES_REST)
			break;
		text_add(out, part);
	}
	for (uint32_t i = shown; i < zones->count; i++)
		others += zones->zones[i].entries;
	left = zones->used > shown ? zones->used - shown : 0;
	if (left)
		text_add_format(out, "; %" PRIu32 " more: %" PRIu64, left, others);
	text_add(out, " entries\n");
}

/* A second limit, which most hosts are nowhere near. */
static void add_expectations(const struct snapshot *snap, bool verbose, struct text *out)
{
	const struct snap_live *live = &snap->live;

	if (live->expectations <= 0 ||
	    (!verbose && live->expectations < live->expectations_max / 2))
		return;
	label(out, "expected");
	text_add_format(out, "%" PRId64 " of %" PRId64 " expectations\n", live->expectations,
			live->expectations_max);
}

struct table_peak table_peak_of(const struct snap_history *history, uint64_t now_real_ns,
				uint64_t seconds)
{
	struct table_peak peak = {0, 0};

	for (size_t i = 0; history && i < history->sample_count; i++) {
		const struct snap_sample *sample = &history->samples[i];

		if (sample->real_ns == 0 || sample->real_ns > now_real_ns ||
		    now_real_ns - sample->real_ns > seconds * NS_PER_S ||
		    (peak.real_ns && sample->count_entries < peak.entries))
			continue;
		peak = (struct table_peak){sample->count_entries, sample->real_ns};
	}
	return peak;
}

static void add_peak(const char *name, const char *span, const struct table_peak *peak,
		     struct text *out)
{
	char time[32];

	label(out, name);
	text_add_format(out, "%s: %" PRIu32 " entries, %s\n", span, peak->entries,
			format_time(peak->real_ns, time));
}

/* The rings are not of one age: what is largest in the last hour is at least that in the day. */
static void add_peaks(const struct table_wanted *wanted, struct text *out)
{
	const struct table_peak *hour = &wanted->hour, *day = &wanted->day;
	bool same = hour->entries >= day->entries;

	if (hour->real_ns)
		add_peak("peak", same ? "last hour and day" : "last hour", hour, out);
	if (day->real_ns && !same)
		add_peak(hour->real_ns ? "" : "peak", "last day", day, out);
}

/* "tcp/443 inbound (https)  11926, 73 %: SYN_RECV 5450, TIME_WAIT 4312" */
static void add_port(const struct snapshot *snap, const struct services *services,
		     const struct snap_row *row, struct text *out)
{
	const char *service = services_name(services, row->key.l4proto, row->key.port);
	double all = (double)snap->live.mirror_entries;
	double percent = all > 0 ? 100 * row->entries / all : 0;
	unsigned int shown = STATE_SLOTS_MAX;
	size_t from = out->bytes;
	char part[48], name[PORT_NAME_BYTES];

	text_add_format(out, "%s %s", port_name(row->key.l4proto, row->key.port, name),
			direction_name(row->key.direction));
	if (*service)
		text_add_format(out, " (%.12s)", service);
	text_pad(out, from, 30);
	text_add_format(out, "%" PRIu32 ", %s%.0f %%", row->entries,
			percent > 0 && percent < 1 ? "<" : "",
			percent > 0 && percent < 1 ? 1 : percent);
	for (unsigned int n = 0; n < 2; n++) {
		unsigned int best = STATE_SLOTS_MAX;

		for (unsigned int s = 0; s < STATE_SLOTS_MAX; s++)
			if (s != shown && row->states[s] && state_name(row->key.l4proto, s) &&
			    (best == STATE_SLOTS_MAX || row->states[s] > row->states[best]))
				best = s;
		if (best == STATE_SLOTS_MAX)
			break;
		snprintf(part, sizeof(part), "%s%s %" PRIu32, n ? ", " : ": ",
			 state_name(row->key.l4proto, best), row->states[best]);
		/* The second only where the line has room for it. */
		if (n && out->bytes - from + strlen(part) > LINE - LABEL)
			break;
		text_add(out, part);
		shown = best;
	}
	text_add_char(out, '\n');
}

static void add_top(const struct snapshot *snap, const struct table_wanted *wanted,
		    struct text *out)
{
	struct selection selection;
	struct select select;

	select_init(&select);
	select.limit = wanted->top;
	if (!wanted->top)
		return;
	if (select_ports(snap, &select, &selection) < 0)
		out->failed = true;
	for (size_t i = 0; i < selection.count; i++) {
		label(out, i ? "" : "ports");
		add_port(snap, wanted->services, selection.picks[i].row, out);
	}
	selection_free(&selection);
}

static void add_nat(const struct snapshot *snap, struct text *out)
{
	char words[NAT_WORDS_BYTES];

	if (!*nat_words(&snap->live, words))
		return;
	label(out, "nat");
	text_add_format(out, "%s: conntide nat\n", words);
}

static void add_quality(const struct snapshot *snap, struct text *out)
{
	char words[HEALTH_WORDS_BYTES];

	label(out, "quality");
	text_add_format(out, "%s%s%s\n", health_quality_words(snap, words),
			health_fresh(snap) ? ": " : "",
			health_fresh(snap) ? health_quality_reason(snap) : "");
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
	char age[32];

	label(out, "agent");
	text_add_format(out, "%s, mode %s, version %s, numbers are %s%s\n", health_state(snap),
			snap_mode_name(live->mode), snap->agent_version,
			format_age(snap->age_ns, age), snap->age_ns == UINT64_MAX ? "" : " old");
	if (!health_up(snap)) {
		label(out, "");
		text_add_format(out, "%s\n", health_reason(snap));
	}
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

static void add_ports(const struct snapshot *snap, const struct table_wanted *wanted,
		      struct text *out)
{
	struct selection selection;
	struct select select;

	select_init(&select);
	select.limit = wanted->ports;
	if (!wanted->ports)
		return;
	if (select_ports(snap, &select, &selection) < 0)
		out->failed = true;
	text_add_char(out, '\n');
	render_ports(snap, &selection, wanted->services, ROWS_TEXT, out);
	if (selection.matches > selection.count)
		text_add_format(out, "and %zu more: conntide ports\n",
				selection.matches - selection.count);
	selection_free(&selection);
}

void table_status(const struct snapshot *snap, const struct table_wanted *wanted, struct text *out)
{
	head_banner(snap, out);
	add_fill(snap, out);
	add_peaks(wanted, out);
	add_top(snap, wanted, out);
	add_nat(snap, out);
	add_zones(snap, out);
	add_expectations(snap, wanted->verbose, out);
	add_quality(snap, out);
	add_settings(snap, out);
	label(out, "netns");
	text_add_format(out, "%s%s%s\n", snap->netns_name, *snap->host_name ? " on " : "",
			snap->host_name);
	if (wanted->verbose) {
		add_chains(snap, out);
		add_trust(snap, out);
	} else if (snap->live.max_entries > 0 &&
		   snap->live.chain_limit_entries < snap->live.max_entries) {
		add_chains(snap, out);
	}
	add_ports(snap, wanted, out);
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
