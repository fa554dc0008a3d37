// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <string.h>

#include "exporters/advice/patterns.h"
#include "exporters/advice/whatif.h"
#include "exporters/advice/write.h"
#include "exporters/render/forecast_text.h"
#include "exporters/render/head.h"
#include "lib/health/health.h"

const struct column whatif_columns[] = {
	{"netns", 0, "", "string", "name of the network namespace's table"},
	{"changes", 0, "", "array", "what was asked, as understood"},
	{"entries", 0, "", "number", "the kernel's count"},
	{"level", 0, "", "string", "OK, HIGH, CRITICAL, FULL or UNKNOWN: as it is now"},
	{"settles_at_entries", 0, "", "number|null",
	 "where the table settles without a change, as in forecast; null: it cannot say"},
	{"settles_at_entries_then", 0, "", "number|null", "the same after the changes"},
	{"saves_entries", 0, "", "number|null",
	 "entries that would not be here now, had it been in force; null: cannot be counted"},
	{"saves_ratio", 0, "", "number|null", "the same, as a part of the entries"},
	{"saves_peak_entries", 0, "", "number|null",
	 "the same at the fullest moment of the last hour"},
	{"settles_fewer_entries", 0, "", "number|null",
	 "by how much lower the table settles; null: the forecast cannot say"},
	{"helps_from_seconds", 0, "", "number|null",
	 "after the changes: until the first entries fewer can be seen"},
	{"helps_fully_seconds", 0, "", "number|null", "the same, until all of it can"},
	{"time_to_full_seconds", 0, "", "object|null",
	 "early, likely and late without a change, as in forecast; null: it cannot say"},
	{"time_to_full_seconds_then", 0, "", "object|null",
	 "the same after the changes, where all are null when it is not full within the hour; "
	 "null: it cannot be said"},
	{"fill_ratio_now", 0, "", "number|null",
	 "settling entries / max; null without a limit, or where the forecast cannot say"},
	{"fill_ratio_then", 0, "", "number|null", "the same after the changes"},
	{"max_now", 0, "", "number", "nf_conntrack_max, 0 for none"},
	{"max_then", 0, "", "number", "the same after the changes"},
	{"buckets_now", 0, "", "number", "nf_conntrack_buckets"},
	{"buckets_then", 0, "", "number", "the same after the changes, as the kernel rounds it"},
	{"chain_limit_entries_then", 0, "", "number",
	 "entries at which chains are too long; 0: not known"},
	{"memory_bytes_now", 0, "", "number", "kernel memory of those entries and the buckets"},
	{"memory_bytes_then", 0, "", "number", "the same after the changes"},
	{"memory_bytes_then_when_full", 0, "", "number|null", "the same with max entries"},
	{"collector_lag_seconds_now", 0, "", "number", "how long expired entries wait, on average"},
	{"collector_lag_seconds_then", 0, "", "number", "the same after the changes"},
	{"classes", 0, "", "array", "ports that change most or hold most, by state"},
	{"warnings", 0, "", "array", "what must be known before"},
	{"nat", 0, "", "object|null",
	 "the fullest NAT pool: held_ports, size_ports, failing_share, held_ports_then, "
	 "size_ports_then, ratio_then and failing_share_then; null: not asked, or nothing is "
	 "translated"},
};
const size_t whatif_column_count = sizeof(whatif_columns) / sizeof(whatif_columns[0]);

/* The classes to show: those that change most, then those that hold most. */
struct pick_list {
	size_t index[WHATIF_ROWS];
	uint32_t count;
};

static double weight(const struct whatif_result *result, size_t i)
{
	double change = fabs(result->class_then[i] - result->class_now[i]);

	/* What is asked about is shown first, even when nothing comes of it. */
	return 1e6 * change + result->class_now[i] + (result->touched[i] ? 1 : 0);
}

static void pick(const struct whatif_result *result, struct pick_list *picks)
{
	picks->count = 0;
	for (size_t i = 0; i < result->model->count; i++) {
		uint32_t at = picks->count;

		if (!(weight(result, i) >= 0.5))
			continue;
		while (at > 0 && weight(result, picks->index[at - 1]) < weight(result, i))
			at--;
		if (at == WHATIF_ROWS)
			continue;
		if (picks->count < WHATIF_ROWS)
			picks->count++;
		memmove(&picks->index[at + 1], &picks->index[at],
			(picks->count - 1 - at) * sizeof(picks->index[0]));
		picks->index[at] = i;
	}
}

static double saved_ratio(const struct whatif_result *result)
{
	return result->model->entries > 0 ? result->counted.now_entries / result->model->entries
					  : 0;
}

static double settles(const struct whatif_result *result, double entries)
{
	return isnan(result->model->settles_at_entries) ? (double)NAN : entries;
}

static uint32_t warnings_of(const struct whatif_result *result, const struct snapshot *snap)
{
	return result->warnings | (health_fresh(snap) ? 0 : WARN(STALE));
}

/* --- text ------------------------------------------------------------------------------ */

static void add_fill(const char *what, double entries, const struct settings *settings,
		     struct text *out)
{
	double fill = whatif_fill(entries, settings);
	size_t from = out->bytes;

	text_add(out, what);
	text_pad(out, from, 10);
	text_add_format(out, "%.0f entries", entries);
	if (!isnan(fill))
		text_add_format(out, " of %.0f, %.1f %% full", settings->max_entries, 100 * fill);
	else
		text_add(out, ", no limit");
	text_add_format(out, ", %.1f MiB of kernel memory\n",
			whatif_memory_bytes(entries, settings) / 1048576);
}

/* Where it fills. */
static void add_full(const struct whatif_result *result, const struct snapshot *snap,
		     struct text *out)
{
	char words[FORECAST_WORDS_BYTES];
	struct whatif_full now, then;

	whatif_full_now(snap, &now);
	if (!now.known || isinf(now.likely_s))
		return;
	whatif_full_then(result, snap, &then);
	text_add_format(out, "full      %s; then %s\n", forecast_words(snap, words),
			!then.known	       ? "it cannot be said"
			: isinf(then.likely_s) ? "not within the hour"
					       : "the same");
}

static void add_class(const struct whatif_result *result, size_t i, const struct services *services,
		      struct text *out)
{
	const struct class *class = &result->model->classes[i];
	const char *service =
		services_name(services, class->row->key.l4proto, class->row->key.port);
	size_t from = out->bytes;
	char text[32];

	text_add_format(out, "  %s", row_text(&class->row->key, text));
	if (*service)
		text_add_format(out, " (%s)", service);
	text_pad(out, from, 36);
	text_add_format(out, "%.0f -> %.0f", result->class_now[i] * result->model->scale,
			result->class_then[i] * result->model->scale);
	if (!isnan(class->new_per_s))
		text_add_format(out, ", %.4g new/s", class->new_per_s * result->times[i]);
	if (class->basis != BASIS_MEASURED)
		text_add_format(out, " (from %s)",
				class->basis == BASIS_TIMEOUTS ? "the kernel's timeouts"
							       : "what is there now");
	text_add_char(out, '\n');
}

void whatif_text(const struct whatif *whatif, const struct whatif_result *result,
		 const struct snapshot *snap, const struct services *services, struct text *out)
{
	uint32_t warnings = warnings_of(result, snap);
	struct pick_list picks;
	char key[WHATIF_KEY_BYTES], words[FORECAST_WORDS_BYTES];

	head_banner(snap, out);
	text_add_format(out, "%s, what if:", snap->netns_name);
	for (size_t i = 0; i < whatif->count; i++)
		text_add_format(out, " %s", change_text(&whatif->changes[i], key));
	whatif_nat_changes(&whatif->nat, out);
	text_add(out,
		 whatif->count || whatif_nat_asked(&whatif->nat) ? "\n" : " nothing changes\n");
	whatif_nat_text(&whatif->nat, &snap->live, out);
	add_fill("there", result->model->entries, &result->model->settings, out);
	if (isnan(result->model->settles_at_entries)) {
		text_add_format(out, "settles   %s; what follows is of the present entries\n",
				forecast_settles(snap, words));
		add_fill("then", whatif_then(result), &result->then, out);
	} else {
		add_fill("settles", whatif_now(result), &result->model->settings, out);
		add_fill("then", whatif_then(result), &result->then, out);
	}
	add_full(result, snap, out);
	if (isnan(result->counted.now_entries))
		text_add(out, "saves     not known: what it changes cannot be counted\n");
	else
		text_add_format(out, "saves     %.0f entries now, %.1f %%\n",
				result->counted.now_entries, 100 * saved_ratio(result));
	text_add_format(out,
			"expired entries wait %.0f s for the kernel's collector on average, then "
			"%.0f s\n",
			result->model->lag_s, result->lag_then_s);
	pick(result, &picks);
	for (uint32_t i = 0; i < picks.count; i++)
		add_class(result, picks.index[i], services, out);
	for (unsigned int i = 0; i < WARN_COUNT; i++)
		if (warnings & UINT32_C(1) << i)
			text_add_format(out, "- %s\n", warning_text((enum warning)i));
}

/* --- JSON ------------------------------------------------------------------------------ */

static void write_phases(const struct whatif_result *result, size_t index, struct json *json)
{
	const struct class *class = &result->model->classes[index];
	double scale = result->model->scale;

	json_open_array(json, "phases");
	for (uint32_t i = 0; i < class->phase_count; i++) {
		uint32_t at = class->first_phase + i;
		const struct phase *phase = &result->model->phases[at];
		bool timed = phase->timeout >= 0;

		json_open_object(json, NULL);
		json_string(json, "state", state_name(class->row->key.l4proto, phase->state));
		json_number(json, "entries", phase->entries);
		json_number(json, "mean_stay_seconds", write_round(phase->stay_s));
		json_string(json, "timeout",
			    timed ? timeout_info((unsigned int)phase->timeout)->name : NULL);
		json_number(json, "timeout_seconds_then",
			    timed ? result->then.timeouts_s[phase->timeout] : (double)NAN);
		json_number(json, "expiring_ratio", write_round(phase->expiring));
		json_number(json, "standing_entries", write_round(phase->standing_entries));
		json_number(json, "settles_at_entries",
			    write_round(settles(result, result->phase_now[at] * scale)));
		json_number(json, "settles_at_entries_then",
			    write_round(settles(result, result->phase_then[at] * scale)));
		json_close(json);
	}
	json_close(json);
}

static void write_class(const struct whatif_result *result, size_t i,
			const struct services *services, struct json *json)
{
	const struct class *class = &result->model->classes[i];
	double scale = result->model->scale;

	json_open_object(json, NULL);
	write_row(json, &class->row->key, services);
	json_number(json, "entries", class->row->entries);
	json_string(json, "basis", basis_name(class->basis));
	json_number(json, "new_per_second_now", write_round(class->new_per_s));
	json_number(json, "new_per_second_then", write_round(class->new_per_s * result->times[i]));
	json_number(json, "settles_at_entries",
		    write_round(settles(result, result->class_now[i] * scale)));
	json_number(json, "settles_at_entries_then",
		    write_round(settles(result, result->class_then[i] * scale)));
	write_phases(result, i, json);
	json_close(json);
}

static void write_full(const char *name, const struct whatif_full *full, struct json *json)
{
	if (!full->known) {
		json_number(json, name, (double)NAN);
		return;
	}
	json_open_object(json, name);
	json_number(json, "early", full->early_s);
	json_number(json, "likely", full->likely_s);
	json_number(json, "late", full->late_s);
	json_close(json);
}

static void write_times(const struct whatif_result *result, const struct snapshot *snap,
			struct json *json)
{
	struct whatif_full full;

	whatif_full_now(snap, &full);
	write_full("time_to_full_seconds", &full, json);
	whatif_full_then(result, snap, &full);
	write_full("time_to_full_seconds_then", &full, json);
}

static void write_sums(const struct whatif_result *result, struct json *json)
{
	const struct settings *now = &result->model->settings;
	const struct settings *then = &result->then;

	json_number(json, "entries", result->model->entries);
	json_number(json, "settles_at_entries", round(settles(result, whatif_now(result))));
	json_number(json, "settles_at_entries_then", round(settles(result, whatif_then(result))));
	json_number(json, "saves_entries", round(result->counted.now_entries));
	json_number(json, "saves_ratio", write_round(saved_ratio(result)));
	json_number(json, "saves_peak_entries", round(result->counted.peak_entries));
	json_number(json, "settles_fewer_entries",
		    round(settles(result, whatif_now(result) - whatif_then(result))));
	json_number(json, "helps_from_seconds", round(result->counted.begins_s));
	json_number(json, "helps_fully_seconds", round(result->counted.full_s));
	json_number(json, "fill_ratio_now",
		    write_round(whatif_fill(settles(result, whatif_now(result)), now)));
	json_number(json, "fill_ratio_then",
		    write_round(whatif_fill(settles(result, whatif_then(result)), then)));
	json_number(json, "max_now", now->max_entries);
	json_number(json, "max_then", then->max_entries);
	json_number(json, "buckets_now", now->buckets);
	json_number(json, "buckets_then", then->buckets);
	json_number(json, "chain_limit_entries_then", round(then->chain_limit_entries));
	json_number(json, "memory_bytes_now", round(whatif_memory_bytes(whatif_now(result), now)));
	json_number(json, "memory_bytes_then",
		    round(whatif_memory_bytes(whatif_then(result), then)));
	json_number(json, "memory_bytes_then_when_full",
		    then->max_entries > 0 ? round(whatif_memory_bytes(then->max_entries, then))
					  : (double)NAN);
	json_number(json, "collector_lag_seconds_now", write_round(result->model->lag_s));
	json_number(json, "collector_lag_seconds_then", write_round(result->lag_then_s));
}

void whatif_json(const struct whatif *whatif, const struct whatif_result *result,
		 const struct snapshot *snap, const struct services *services, struct text *out)
{
	char key[WHATIF_KEY_BYTES];
	struct pick_list picks;
	struct json json;

	pick(result, &picks);
	json_begin(&json);
	if (health_rehearsal(snap))
		json_string(&json, "REHEARSAL", health_rehearsal_words());
	json_string(&json, "netns", snap->netns_name);
	json_string(&json, "level", snap_level_name(health_level(snap)));
	json_open_array(&json, "changes");
	for (size_t i = 0; i < whatif->count; i++)
		json_string(&json, NULL, change_text(&whatif->changes[i], key));
	whatif_nat_json_changes(&whatif->nat, &json);
	json_close(&json);
	write_sums(result, &json);
	write_times(result, snap, &json);
	whatif_nat_json(&whatif->nat, &snap->live, &json);
	json_open_array(&json, "classes");
	for (uint32_t i = 0; i < picks.count; i++)
		write_class(result, picks.index[i], services, &json);
	json_close(&json);
	write_warnings(&json, warnings_of(result, snap));
	json_end(&json, out);
}
