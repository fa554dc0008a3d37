// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/library/conntide.h"
#include "lib/base/clock.h"
#include "lib/health/health.h"
#include "lib/kernel/states.h"
#include "lib/shm/reader.h"
#include "lib/shm/snapshot.h"

#define RUNTIME_DIR "/run/conntide"
#define NAME	    "host"

struct conntide_table {
	struct shm_reader reader;
	struct snapshot snap;
	bool read;
	char words[HEALTH_WORDS_BYTES];
	char error[512];
};

static int failed(struct conntide_table *table, int err)
{
	if (err)
		shm_reader_explain(&table->reader, err, table->error, sizeof(table->error));
	else
		table->error[0] = '\0';
	return err;
}

int conntide_open(const char *runtime_dir, const char *name, struct conntide_table **ret_table)
{
	struct conntide_table *table = calloc(1, sizeof(*table));
	int err;

	*ret_table = table;
	if (!table)
		return -ENOMEM;
	snapshot_init(&table->snap);
	if (name && !shm_name_is_good(name)) {
		strcpy(table->error, "not the name of a table");
		return -EINVAL;
	}
	err = shm_reader_init(&table->reader, runtime_dir ? runtime_dir : RUNTIME_DIR,
			      name ? name : NAME);
	if (!err)
		err = shm_reader_install_guard();
	return failed(table, err);
}

int conntide_read(struct conntide_table *table)
{
	int err = shm_reader_refresh(&table->reader);

	snapshot_free(&table->snap);
	snapshot_init(&table->snap);
	if (!err)
		err = snapshot_take(&table->reader, clock_boot_ns(), clock_real_ns(), &table->snap);
	table->read = !err;
	return failed(table, err);
}

static double per_s(int64_t milli)
{
	return (double)milli / 1e3;
}

int conntide_status(struct conntide_table *table, struct conntide_status *ret_status)
{
	const struct snapshot *snap = &table->snap;
	const struct snap_live *live = &snap->live;
	uint64_t full_ms;
	uint32_t settles;

	if (!table->read)
		return -ENODATA;
	full_ms = health_forecast(snap) ? snap->forecast.full_likely_ms : SHM_NEVER_MS;
	*ret_status = (struct conntide_status){
		.fresh = health_fresh(snap),
		.age_seconds = snap->age_ns == UINT64_MAX ? -1.0 : (double)snap->age_ns / 1e9,
		.entries = live->count_entries,
		.max = live->max_entries,
		.limit = live->limit_entries,
		.fill_ratio = health_fill_ratio(live),
		.level = snap_level_name(health_level(snap)),
		.reason = health_level_reason(snap, table->words),
		.quality = snap_quality_name(health_quality(snap)),
		.settles_at = health_settles_at(snap, &settles) ? (int64_t)settles : -1,
		.full_seconds = full_ms == SHM_NEVER_MS ? -1.0 : (double)full_ms / 1e3,
		.dropped_per_s = per_s(live->dropped_milli_per_s),
		.evicted_per_s = per_s(live->evicted_milli_per_s),
		.chain_per_s = per_s(live->chain_milli_per_s),
		.insert_failed_per_s = per_s(live->insert_failed_milli_per_s),
	};
	return 0;
}

size_t conntide_cells(const struct conntide_table *table, struct conntide_cell *cells, size_t room)
{
	size_t count = 0;

	for (size_t i = 0; table->read && i < table->snap.row_count; i++) {
		const struct snap_row *row = &table->snap.rows[i];

		for (unsigned int state = 0; state < STATE_SLOTS_MAX; state++) {
			if (!row->states[state])
				continue;
			if (count < room)
				cells[count] = (struct conntide_cell){
					.l4proto = l4proto_info(row->key.l4proto)->name,
					.direction = direction_name(row->key.direction),
					.state = state_name(row->key.l4proto, state),
					.port = row->key.port,
					.entries = row->states[state],
				};
			count++;
		}
	}
	return count;
}

const char *conntide_error(const struct conntide_table *table)
{
	return table ? table->error : "out of memory";
}

void conntide_close(struct conntide_table *table)
{
	if (!table)
		return;
	snapshot_free(&table->snap);
	shm_reader_close(&table->reader);
	free(table);
}
