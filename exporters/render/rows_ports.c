// SPDX-License-Identifier: GPL-2.0-or-later
/* Ports and cells as rows. */
#include "exporters/render/port_name.h"
#include "exporters/render/rows.h"

#include <string.h>

#include "exporters/render/zones.h"
#include "lib/kernel/states.h"

#define ZONES_MEANS                                                                                \
	"these entries by conntrack zone, of the last second; empty where only zone 0 is used. "   \
	"\"other\": not known of which zone"
#define ZONES_SHOWN 3u
#define COLUMNS_MAX 16u

const struct column cells_columns[] = {
	{"l4proto", 8, "PROTO", "string", "protocol"},
	{"direction", 10, "DIRECTION", "string", "inbound, outbound, forwarded or loopback"},
	{"port", 6, "PORT", "integer", "destination port of the original tuple, 0 without ports"},
	{"state", 18, "STATE", "string", "state of the entries"},
	{"entries", 9, "ENTRIES", "integer", "entries in that state"},
	{"zones", 0, "ZONES", "object", ZONES_MEANS},
};
const size_t cells_column_count = sizeof(cells_columns) / sizeof(cells_columns[0]);

const struct column ports_columns[] = {
	{"l4proto", 7, "PROTO", "string", "protocol"},
	{"direction", 10, "DIRECTION", "string", "inbound, outbound, forwarded or loopback"},
	{"port", 6, "PORT", "integer", "destination port of the original tuple, 0 without ports"},
	{"service", 14, "SERVICE", "string", "name of the port in the services database, or empty"},
	{"entries", 9, "ENTRIES", "integer", "entries, of the state asked for if one was"},
	{"share", 8, "SHARE", "number", "entries as a part of all entries in the mirror, 0 to 1"},
	{"new_per_second", 7, "NEW/S", "number|null", "entries created, over 10 to 20 seconds"},
	{"destroyed_per_second", 8, "ENDED/S", "number|null", "entries destroyed, likewise"},
	{"mean_lifetime_seconds", 11, "LIFETIME/S", "number|null",
	 "mean lifetime of entries seen from birth to end"},
	{"zones", 16, "ZONES", "object", ZONES_MEANS},
	{"states", 0, "STATES", "object", "entries by state"},
};
const size_t ports_column_count = sizeof(ports_columns) / sizeof(ports_columns[0]);

static const char *direction_text(const struct row_key *key)
{
	const char *name = direction_name(key->direction);

	return name ? name : "unknown";
}

static const char *state_text(const struct row_key *key, unsigned int state)
{
	const char *name = state_name(key->l4proto, state);

	return name ? name : "unknown";
}

/* Where people read it, the column of zones stands only where zones are used. */
struct shown {
	struct column columns[COLUMNS_MAX];
	size_t count;
	bool zones;
};

static void choose(const struct snapshot *snap, enum rows_format format,
		   const struct column *columns, size_t count, struct shown *shown)
{
	shown->zones = format != ROWS_TEXT || zones_used(snap);
	shown->count = 0;
	for (size_t i = 0; i < count && shown->count < COLUMNS_MAX; i++)
		if (shown->zones || strcmp(columns[i].name, "zones") != 0)
			shown->columns[shown->count++] = columns[i];
}

static void add_zones(struct rows *rows, const struct zone_parts *parts)
{
	struct text json, plain;

	text_init(&json);
	text_init(&plain);
	zone_parts_json(parts, &json);
	if (parts->count || parts->rest)
		zone_parts_plain(parts, rows->format == ROWS_CSV ? ";" : "  ",
				 rows->format == ROWS_CSV ? 0 : ZONES_SHOWN, &plain);
	if (text_failed(&json) || text_failed(&plain))
		rows->out->failed = true;
	rows_value(rows, json.data ? json.data : "{}", plain.data ? plain.data : "-");
	text_free(&json);
	text_free(&plain);
}

/* Of a selection by zone it is that zone. */
static void rows_zones(struct rows *rows, const struct snapshot *snap,
		       const struct selection *selection, const struct pick *pick)
{
	uint32_t first = row_first_cell(row_of(pick->row->key)) + pick->state;
	struct zone_part only = {(uint16_t)selection->zone, pick->entries};
	struct zone_parts parts = {.parts = &only, .count = pick->entries > 0};

	if (selection->zone > 0 || (selection->zone == 0 && zones_used(snap))) {
		add_zones(rows, &parts);
		return;
	}
	if (zone_parts_make(snap, first, first + pick->states, pick->entries, &parts) < 0)
		rows->out->failed = true;
	add_zones(rows, &parts);
	zone_parts_free(&parts);
}

void render_cells(const struct snapshot *snap, const struct selection *selection,
		  enum rows_format format, struct text *out)
{
	struct shown shown;
	struct rows rows;

	choose(snap, format, cells_columns, cells_column_count, &shown);
	rows_begin(&rows, out, format, shown.columns, shown.count);
	for (size_t i = 0; i < selection->count; i++) {
		const struct pick *pick = &selection->picks[i];
		const struct row_key *key = &pick->row->key;

		rows_protocol(&rows, key->l4proto, key->port);
		rows_string(&rows, direction_text(key));
		rows_port_of(&rows, key->l4proto, key->port);
		rows_string(&rows, state_text(key, pick->state));
		rows_u64(&rows, pick->entries);
		if (shown.zones)
			rows_zones(&rows, snap, selection, pick);
	}
	rows_end(&rows);
}

static void add_port(struct rows *rows, const struct snapshot *snap,
		     const struct selection *selection, const struct pick *pick,
		     const struct services *services, bool zones)
{
	const struct snap_row *row = pick->row;
	int64_t all = snap->live.mirror_entries;

	rows_protocol(rows, row->key.l4proto, row->key.port);
	rows_string(rows, direction_text(&row->key));
	rows_port_of(rows, row->key.l4proto, row->key.port);
	rows_string(rows, services_name(services, row->key.l4proto, row->key.port));
	rows_u64(rows, pick->entries);
	rows_share(rows, all > 0 ? pick->entries / (double)all : 0.0);
	rows_double(rows, row->new_per_s);
	rows_double(rows, row->destroyed_per_s);
	rows_double(rows, row->mean_lifetime_s);
	if (zones)
		rows_zones(rows, snap, selection, pick);
	rows_states(rows, row);
}

void render_ports(const struct snapshot *snap, const struct selection *selection,
		  const struct services *services, enum rows_format format, struct text *out)
{
	struct shown shown;
	struct rows rows;

	choose(snap, format, ports_columns, ports_column_count, &shown);
	rows_begin(&rows, out, format, shown.columns, shown.count);
	rows_spare(&rows, "mean_lifetime_seconds destroyed_per_second service share "
			  "new_per_second");
	for (size_t i = 0; i < selection->count; i++)
		add_port(&rows, snap, selection, &selection->picks[i], services, shown.zones);
	rows_end(&rows);
}
