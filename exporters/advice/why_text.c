// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "exporters/advice/patterns.h"
#include "exporters/advice/why.h"
#include "exporters/render/age.h"
#include "exporters/render/forecast_text.h"
#include "exporters/render/head.h"
#include "exporters/render/rows.h"
#include "exporters/render/table.h"
#include "exporters/render/nat.h"
#include "exporters/render/talkers.h"
#include "lib/health/health.h"

static void add_row_name(const struct row_key *key, const struct services *services,
			 struct text *out)
{
	const char *service = services_name(services, key->l4proto, key->port);
	char text[32];

	text_add(out, row_text(key, text));
	if (*service)
		text_add_format(out, " (%s)", service);
}

static void add_head(const struct why *why, struct text *out)
{
	const struct snapshot *snap = why->snap;
	char words[FORECAST_WORDS_BYTES];

	head_banner(snap, out);
	text_add_format(out, "%s: ", snap->netns_name);
	head_fill(snap, out);
	text_add_format(out, ": %s", snap_level_name(health_level(snap)));
	text_add_format(out, ", %s\n", health_level_reason(snap, words));
	text_add_format(out, "%s; ", forecast_words(snap, words));
	text_add_format(out, "%s\n", forecast_settles(snap, words));
	if (!health_exact(snap)) {
		text_add_format(out, "data quality: %s; ", health_quality_words(snap, words));
		text_add_format(out, "%s\n", health_quality_reason(snap));
	}
}

static const struct column holder_columns[] = {
	{"", 8, "SHARE", "", ""},	   {"", 9, "ENTRIES", "", ""},
	{"", 32, "PORT", "", ""},	   {"", 20, "MOSTLY", "", ""},
	{"new_per_s", 7, "NEW/S", "", ""}, {"stay_s", 0, "LIFETIME", "", ""},
};

/* LIFETIME: of those that have ended. */
static void add_holder(const struct holder *holder, const struct services *services,
		       struct rows *rows)
{
	const struct snap_row *row = holder->row;
	struct text name;
	char text[64];

	text_init(&name);
	add_row_name(&row->key, services, &name);
	snprintf(text, sizeof(text), "%.1f %%", 100 * holder->share);
	rows_string(rows, text);
	rows_u64(rows, row->entries);
	rows_string(rows, text_failed(&name) ? "" : name.data);
	text_free(&name);
	snprintf(text, sizeof(text), "%.0f %% %s",
		 100.0 * row->states[holder->state] / row->entries,
		 state_text(&row->key, holder->state));
	rows_string(rows, text);
	snprintf(text, sizeof(text), isnan(holder->new_per_s) ? "-" : "%.4g", holder->new_per_s);
	rows_string(rows, text);
	snprintf(text, sizeof(text), isnan(holder->stay_s) ? "-" : "%.3g s", holder->stay_s);
	rows_string(rows, text);
}

static void add_holders(const struct why *why, const struct services *services, struct text *out)
{
	struct rows rows;

	text_add(out, "\nWhat holds it\n");
	if (!why->holder_count) {
		text_add_format(out, "  %s\n",
				health_empty(why->snap) ? health_empty_words() : "nothing");
		return;
	}
	rows_begin(&rows, out, ROWS_TEXT, holder_columns,
		   sizeof(holder_columns) / sizeof(holder_columns[0]));
	rows_spare(&rows, "stay_s new_per_s");
	for (uint32_t i = 0; i < why->holder_count; i++)
		add_holder(&why->holders[i], services, &rows);
	rows_end(&rows);
}

static void add_change(const struct change_of_table *change, const struct services *services,
		       bool hosts, struct text *out)
{
	char address[ADDRESS_BYTES];

	text_add_format(out, " %+.0f entries (%.0f before)\n",
			change->entries - change->before_entries, change->before_entries);
	if (!change->row_count)
		text_add(out, "  nothing grew\n");
	for (uint32_t i = 0; i < change->row_count; i++) {
		const struct growth *growth = &change->rows[i];
		size_t from = out->bytes;

		text_add_format(out, "  %+.0f", growth->entries - growth->before_entries);
		text_pad(out, from, 12);
		add_row_name(&growth->key, services, out);
		text_add_format(out, " %s: %.0f -> %u\n", state_text(&growth->key, growth->state),
				growth->before_entries, growth->entries);
	}
	for (uint32_t i = 0; hosts && i < change->host_count; i++) {
		size_t from = out->bytes;

		text_add_format(out, "  %+.0f",
				change->hosts[i].host.entries - change->hosts[i].before_entries);
		text_pad(out, from, 12);
		text_add_format(out, "from host %s\n",
				format_address(&change->hosts[i].host, false, address));
	}
}

static void add_changes(const struct why *why, const struct services *services, bool hosts,
			struct text *out)
{
	char age[32];

	text_add(out, "\nWhat grew");
	if (why->minutes.known) {
		text_add_format(out, " in the last %s:",
				format_age((uint64_t)(why->minutes.over_s * 1e9), age));
		add_change(&why->minutes, services, hosts, out);
	} else {
		text_add(out, ": not known yet, the agent has not run for long enough\n");
	}
	if (!why->hour.known)
		return;
	text_add_format(out, "Against the mean of the %s before:",
			format_age((uint64_t)(why->hour.over_s * 1e9), age));
	add_change(&why->hour, services, hosts, out);
}

/* As many in a line as 80 columns hold. */
static void add_figures(const struct finding *finding, struct text *out)
{
	size_t line = out->bytes;
	const char *separator = "     ";

	for (uint32_t i = 0; i < finding->figure_count; i++) {
		char text[80];
		int bytes;

		if (!isfinite(finding->figures[i].value))
			continue;
		bytes = snprintf(text, sizeof(text), "%s %.6g", finding->figures[i].name,
				 finding->figures[i].value);
		if (*separator == ',' && out->bytes - line + (size_t)bytes > 76) {
			text_add(out, ",\n");
			line = out->bytes;
			separator = "     ";
		}
		text_add(out, separator);
		text_add(out, text);
		separator = ", ";
	}
	text_add_char(out, '\n');
}

static void add_finding(const struct finding *finding, uint32_t number, bool hosts,
			struct text *out)
{
	const struct pattern_info *info = pattern_info(finding->pattern);
	char address[ADDRESS_BYTES], pool[NAT_NAME_BYTES];

	text_add_format(out, "  %u. %s (%s)\n     %s: %s.\n", number, info->title,
			confidence_name(finding->confidence), info->id, finding->summary);
	if (finding->pool && hosts)
		text_add_format(out, "     pool: %s\n", nat_pool_name(finding->pool, pool));
	else if (finding->pool)
		text_add(out, "     which addresses: conntide nat\n");
	if (finding->has_host && hosts)
		text_add_format(out, "     %s: %s\n", finding->pool ? "held most by" : "host",
				format_address(&finding->host, false, address));
	else if (finding->has_host)
		text_add(out, "     which host: conntide talkers, or this page over loopback\n");
	add_figures(finding, out);
	if (finding->unsure)
		text_add_format(out, "     %s: %s.\n",
				finding->confidence == CONFIDENCE_NOT_SURE ? "not sure" : "but",
				finding->unsure);
	text_add_format(out, "     what to do: %s.\n", info->todo);
}

void why_text(const struct why *why, const struct services *services, bool hosts, struct text *out)
{
	add_head(why, out);
	add_holders(why, services, out);
	add_changes(why, services, hosts, out);
	text_add(out, "\nWhy\n");
	for (uint32_t i = 0; i < why->finding_count; i++)
		add_finding(&why->findings[i], i + 1, hosts, out);
	if (!why->finding_count)
		text_add(out, "  no known pattern: nothing stands out\n");
	else
		text_add_format(out, "%s: conntide advice lists what to type, and what it saves\n",
				why->urgent ? "The table needs help now"
					    : "Nothing has to be done now");
}
