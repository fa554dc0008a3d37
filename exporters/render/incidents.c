// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/incidents.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "exporters/render/age.h"
#include "exporters/render/forecast.h"
#include "exporters/render/json.h"
#include "exporters/render/port_name.h"
#include "exporters/render/table.h"
#include "exporters/render/talkers.h"

const struct column incidents_columns[] = {
	{"id", 26, "ID", "string", "its name, which begins with when it began; or that of a file"},
	{"state", 11, "STATE", "string",
	 "over; open: no end was seen yet; cut-off: none will be, for a reboot or a later one; or "
	 "unreadable"},
	{"began", 21, "BEGAN", "string|null", "when it began, RFC 3339, UTC"},
	{"ended", 21, "ENDED", "string|null", "when recovery was seen; null: not yet, or never"},
	{"worst", 9, "WORST", "string|null", "high (80 %), critical (95 %) or drops"},
	{"stages", 32, "STAGES", "array|null", "stages that have a snapshot"},
	{"peak_fill_ratio", 8, "PEAK", "number|null", "largest entries / limit"},
	{"peak_entries", 9, "ENTRIES", "integer|null", "entries at that moment"},
	{"limit_entries", 9, "LIMIT", "integer|null", "the limit at the newest stage"},
	{"limit", 6, "BY", "string|null",
	 "max (nf_conntrack_max), chain (length of hash chains), or nat: entries and limit are "
	 "ports of "
	 "the fullest NAT pool"},
	{"dropped", 8, "DROPPED", "integer|null", "packets dropped since it began"},
	{"evicted", 8, "EVICTED", "integer|null", "entries evicted since it began"},
	{"chain", 7, "CHAIN", "integer|null", "packets dropped for long chains since it began"},
	{"top_cell", 40, "LARGEST PORT", "object|null",
	 "the largest port and state, when it was worst"},
	{"pattern", 27, "PATTERN", "string|null",
	 "the surest known pattern then, see why; of the newest 8 incidents"},
	{"bytes", 8, "BYTES", "integer|null", "of its files"},
	{"problem", 0, "PROBLEM", "string", "why a file could not be read; empty for an incident"},
};
const size_t incidents_column_count = sizeof(incidents_columns) / sizeof(incidents_columns[0]);

const struct column incident_columns[] = {
	{"incident", 0, "", "object", "its row in the list"},
	{"shown", 0, "", "object",
	 "which stage is shown, when it was taken, how much of it was kept"},
	{"stages", 0, "", "array", "what was reached when"},
	{"status", 0, "", "object|null", "as of then; null: see shown.problem"},
	{"forecast", 0, "", "object|null", "as of then"},
	{"why", 0, "", "object|null", "as of then; addresses only for those who may see talkers"},
	{"talkers", 0, "", "array|null",
	 "as of then; null: not for this client, see why.hosts_hidden"},
	{"ports", 0, "", "array|null", "as of then, the largest first"},
	{"cells", 0, "", "array|null", "as of then, the largest first"},
	{"history", 0, "", "array|null", "the seconds before, oldest first"},
};
const size_t incident_column_count = sizeof(incident_columns) / sizeof(incident_columns[0]);

static const char *limit_name(uint32_t kind)
{
	return kind == SHM_LIMIT_MAX	    ? "max"
	       : kind == SHM_LIMIT_CHAIN    ? "chain"
	       : kind == INCIDENT_LIMIT_NAT ? "nat"
					    : "none";
}

static void time_or_null(struct rows *rows, uint64_t real_ns)
{
	if (real_ns)
		rows_time(rows, real_ns);
	else
		rows_value(rows, "null", "-");
}

/* Stages that `bits` names, as a list for programs and for people. */
static void add_stages(struct rows *rows, uint32_t bits)
{
	char json[96] = "[", plain[64] = "";

	for (unsigned int i = 0; i < INCIDENT_STAGES; i++) {
		const char *name = incident_stage_name(i);
		size_t at = strlen(json), end = strlen(plain);

		if (!(bits & 1u << i))
			continue;
		snprintf(json + at, sizeof(json) - at, "%s\"%s\"", at > 1 ? "," : "", name);
		snprintf(plain + end, sizeof(plain) - end, "%s%s", end ? " " : "", name);
	}
	strcat(json, "]");
	rows_value(rows, json, plain);
}

struct top_cell {
	struct row_key key;
	const char *l4proto;
	const char *direction;
	const char *state;
};

static bool find_top_cell(const struct incident_head *head, struct top_cell *top_cell)
{
	unsigned int state = 0;
	const struct l4proto_info *info;

	if (!cell_key_of(head->top_cell, &top_cell->key, &state))
		return false;
	info = l4proto_info(top_cell->key.l4proto);
	top_cell->l4proto = info ? info->name : "unknown";
	top_cell->direction = direction_name(top_cell->key.direction);
	top_cell->state = state_name(top_cell->key.l4proto, state);
	if (!top_cell->state)
		top_cell->state = "unknown";
	return top_cell->direction != NULL;
}

static void add_top_cell(struct rows *rows, const struct incident_head *head)
{
	char json[256], plain[160], row[ROW_FIELD_BYTES];
	struct top_cell top_cell;

	if (!find_top_cell(head, &top_cell)) {
		rows_value(rows, "null", "-");
		return;
	}
	snprintf(json, sizeof(json),
		 "{\"l4proto\":\"%s\",\"direction\":\"%s\",\"port\":%u,\"entries\":%" PRIu32
		 ",\"state\":\"%s\",\"state_entries\":%" PRIu32 "}",
		 top_cell.l4proto, top_cell.direction, top_cell.key.port, head->top_row_entries,
		 top_cell.state, head->top_cell_entries);
	snprintf(plain, sizeof(plain), "%s=%" PRIu32 " %s=%" PRIu32,
		 row_field(rows->format, &top_cell.key, row), head->top_row_entries, top_cell.state,
		 head->top_cell_entries);
	rows_value(rows, json, plain);
}

static void add_item(struct rows *rows, const struct incident_item *item, const char *pattern,
		     const uint8_t boot_id[16])
{
	const struct incident_head *head = &item->last;
	int worst = incident_worst(head->stage_real_ns);

	rows_string(rows, head->id);
	rows_string(rows, incident_state(item, boot_id));
	time_or_null(rows, head->began_real_ns);
	time_or_null(rows, head->stage_real_ns[INCIDENT_RECOVERED]);
	if (worst < 0)
		rows_value(rows, "null", "-");
	else
		rows_string(rows, incident_stage_name((unsigned int)worst));
	add_stages(rows, item->stages);
	rows_share(rows, head->peak_fill_ppm / 1e6);
	rows_u64(rows, head->peak_entries);
	rows_u64(rows, head->limit_entries);
	rows_string(rows, limit_name(head->limit_kind));
	rows_u64(rows, head->drops);
	rows_u64(rows, head->early_drops);
	rows_u64(rows, head->chain_drops);
	add_top_cell(rows, &item->worst);
	if (pattern)
		rows_string(rows, pattern);
	else
		rows_value(rows, "null", "-");
	rows_u64(rows, item->size_bytes);
	rows_string(rows, "");
}

static void add_bad(struct rows *rows, const struct incident_bad *bad)
{
	rows_string(rows, bad->name);
	rows_string(rows, "unreadable");
	for (size_t i = 2; i + 1 < incidents_column_count; i++)
		rows_value(rows, "null", "-");
	rows_string(rows, incident_explain(bad->error));
}

void render_incidents(const struct incident_list *list, const uint8_t boot_id[16],
		      const char *const patterns[INCIDENT_PATTERNS], size_t limit,
		      enum rows_format format, struct text *out)
{
	struct rows rows;

	rows_begin(&rows, out, format, incidents_columns, incidents_column_count);
	rows_spare(&rows, "bytes limit chain stages limit_entries ended began peak_entries "
			  "worst evicted top_cell dropped pattern");
	for (size_t i = 0; i < list->count && (!limit || i < limit); i++)
		add_item(&rows, &list->items[i],
			 patterns && i < INCIDENT_PATTERNS ? patterns[i] : NULL, boot_id);
	for (size_t i = 0; i < list->bad_count && i < INCIDENT_BAD_KEPT; i++)
		add_bad(&rows, &list->bad[i]);
	rows_end(&rows);
}

/* --- one incident ------------------------------------------------------------------ */

static void json_stages(const struct incident_view *view, struct text *out)
{
	const struct incident_item *item = view->item;
	const char *separator = "";
	char time[32];

	text_add(out, ",\n\"stages\":[");
	for (unsigned int i = 0; i < INCIDENT_STAGES; i++) {
		if (!item->last.stage_real_ns[i] && !(item->stages & 1u << i))
			continue;
		text_add_format(out, "%s\n{\"stage\":\"%s\",\"means\":", separator,
				incident_stage_name(i));
		text_add_json_string(out, incident_stage_help(i));
		text_add_format(out, ",\"time\":\"%s\",\"snapshot\":%s}",
				format_time(item->last.stage_real_ns[i], time),
				item->stages & 1u << i ? "true" : "false");
		separator = ",";
	}
	text_add_char(out, ']');
}

static void json_table(const struct incident_view *view, struct text *out)
{
	struct selection selection;
	struct select select;

	select_init(&select);
	text_add(out, ",\n\"status\":");
	json_status(view->snap, out);
	select.limit = view->limit;
	if (select_ports(view->snap, &select, &selection) < 0)
		out->failed = true;
	text_add(out, ",\"forecast\":");
	render_forecast_json(view->snap, out);
	text_add(out, ",\"why\":");
	text_add(out, view->why->data ? view->why->data : "null");
	text_add(out, ",\"talkers\":");
	if (view->talkers)
		render_talkers(view->snap, view->talkers,
			       &(struct talkers_wanted){-1, view->limit, ROWS_JSON, NULL},
			       view->services, out);
	else
		text_add(out, "null");
	text_add(out, ",\"ports\":");
	render_ports(view->snap, &selection, view->services, ROWS_JSON, out);
	selection_free(&selection);
	select.limit = view->limit ? view->limit : INCIDENT_CELLS_SHOWN;
	if (select_cells(view->snap, &select, &selection) < 0)
		out->failed = true;
	text_add(out, ",\"cells\":");
	render_cells(view->snap, &selection, ROWS_JSON, out);
	selection_free(&selection);
	text_add(out, ",\"history\":");
	render_history(view->history, &view->snap->settings, 0, 0, ROWS_JSON, out);
}

void json_incident(const struct incident_view *view, struct text *out)
{
	const struct incident_head *shown = view->shown;
	struct rows rows;
	char time[32];

	text_add(out, "{\"incident\":");
	rows_begin(&rows, out, ROWS_NDJSON, incidents_columns, incidents_column_count);
	add_item(&rows, view->item, view->pattern, view->boot_id);
	rows_end(&rows);
	text_add_format(out,
			",\"shown\":{\"stage\":\"%s\",\"time\":\"%s\",\"entries\":%" PRIu32
			",\"limit_entries\":%" PRIu32 ",\"ports\":%" PRIu32
			",\"ports_kept\":%" PRIu32 ",\"entries_kept\":%" PRIu32
			",\"complete\":%s,\"problem\":",
			incident_stage_name(shown->stage), format_time(shown->taken_real_ns, time),
			shown->entries, shown->limit_entries, shown->rows_active, shown->rows_kept,
			shown->entries_kept, shown->left_out ? "false" : "true");
	text_add_json_string(out, view->problem);
	text_add_char(out, '}');
	json_stages(view, out);
	if (view->snap)
		json_table(view, out);
	else
		text_add(out, ",\n\"status\":null,\"forecast\":null,\"why\":null,"
			      "\"talkers\":null,\"ports\":null,"
			      "\"cells\":null,\"history\":null");
	text_add(out, "}\n");
}

static void label(struct text *out, const char *name)
{
	size_t from = out->bytes;

	text_add(out, name);
	text_pad(out, from, 12);
}

static void text_summary(const struct incident_view *view, struct text *out)
{
	const struct incident_head *head = &view->item->last;
	const char *unit = head->limit_kind == INCIDENT_LIMIT_NAT ? "ports" : "entries";
	struct top_cell top_cell;
	char time[32], name[PORT_NAME_BYTES];

	label(out, "incident");
	text_add_format(out, "%s of %s: %s\n", head->id, head->netns_name,
			incident_state(view->item, view->boot_id));
	for (unsigned int i = 0; i < INCIDENT_STAGES; i++) {
		if (!head->stage_real_ns[i])
			continue;
		label(out, incident_stage_name(i));
		text_add_format(out, "%s: %s\n", format_time(head->stage_real_ns[i], time),
				incident_stage_help(i));
	}
	label(out, "peak");
	text_add_format(out, "%" PRIu32 " %s, %.1f %% of the limit, at %s\n", head->peak_entries,
			unit, head->peak_fill_ppm / 1e4, format_time(head->peak_real_ns, time));
	label(out, "limit");
	text_add_format(out, "%" PRIu32 " %s: %s\n", head->limit_entries, unit,
			head->limit_kind == SHM_LIMIT_CHAIN ? "the length of hash chains"
			: head->limit_kind == INCIDENT_LIMIT_NAT
				? "the size of the fullest NAT pool"
			: head->limit_kind == SHM_LIMIT_MAX ? "nf_conntrack_max"
							    : "none");
	label(out, "lost");
	text_add_format(out,
			"%" PRIu64 " dropped, %" PRIu64 " evicted, %" PRIu64
			" dropped for long chains since it began\n",
			head->drops, head->early_drops, head->chain_drops);
	if (!find_top_cell(&view->item->worst, &top_cell))
		return;
	label(out, "largest");
	text_add_format(out, "%s %s: %" PRIu32 " entries, of them %" PRIu32 " %s\n",
			port_name(top_cell.key.l4proto, top_cell.key.port, name),
			top_cell.direction, view->item->worst.top_row_entries,
			view->item->worst.top_cell_entries, top_cell.state);
}

void text_incident(const struct incident_view *view, struct text *out)
{
	struct talkers_wanted wanted = {.kind = -1, .format = ROWS_TEXT};
	const struct incident_head *shown = view->shown;
	char time[32];

	text_summary(view, out);
	text_add_format(out, "\nAt %s (%s):\n\n", format_time(shown->taken_real_ns, time),
			incident_stage_name(shown->stage));
	if (!view->snap) {
		text_add_format(out, "%s\n", view->problem);
		return;
	}
	table_status(
		view->snap,
		&(struct table_wanted){.services = view->services,
				       .ports = view->limit ? view->limit : INCIDENT_PORTS_SHOWN,
				       .verbose = true},
		out);
	if (shown->rows_active > shown->rows_kept)
		text_add_format(out, "of %" PRIu32 " ports the largest %" PRIu32 " were kept\n",
				shown->rows_active, shown->rows_kept);
	text_add(out, "\nThe forecast it had then:\n\n");
	render_forecast_text(view->snap, view->services, out);
	text_add(out, "\nWhy, as far as it was known then:\n\n");
	text_add(out, view->why->data ? view->why->data : "");
	if (view->talkers) {
		text_add(out, "\nWho held most entries then:\n\n");
		wanted.limit = view->limit ? view->limit : INCIDENT_HOSTS_SHOWN;
		render_talkers(view->snap, view->talkers, &wanted, view->services, out);
	}
	text_add(out, "\nThe seconds before:\n\n");
	render_history(view->history, &view->snap->settings, 0, INCIDENT_LINES_SHOWN, ROWS_TEXT,
		       out);
}
