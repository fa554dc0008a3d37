// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/shm/snapshot.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/shm/reader.h"
#include "lib/shm/seq_retry.h"
#include "lib/shm/seqlock.h"

/* Slots change hands once a second at most, in a burst of microseconds. */
#define MOVED_ATTEMPTS 16

#define LIVE_WORDS ((sizeof(struct shm_live) - sizeof(uint64_t)) / sizeof(uint64_t))
_Static_assert(sizeof(struct snap_live) == LIVE_WORDS * sizeof(uint64_t),
	       "snap_live mirrors shm_live word by word");

void snapshot_init(struct snapshot *snap)
{
	memset(snap, 0, sizeof(*snap));
	snap->agent = SNAP_AGENT_SILENT;
	snap->age_ns = UINT64_MAX;
}

void snapshot_free(struct snapshot *snap)
{
	free(snap->rows);
	snap_zone_cells_free(&snap->zone_cells);
	snapshot_init(snap);
}

static int copy_live(const struct shm_live *live, struct snap_live *to, uint64_t *ret_sequence)
{
	const _Atomic int64_t *words = &live->heartbeat_boot_ns;
	int64_t copy[LIVE_WORDS];

	for (int attempt = 0; attempt < SEQ_ATTEMPTS; attempt++, seq_nap_if_due(attempt)) {
		uint64_t at;

		if (!seq_read_begin(&live->seq, &at))
			continue;
		for (size_t i = 0; i < LIVE_WORDS; i++)
			copy[i] = atomic_load_explicit(&words[i], memory_order_relaxed);
		if (!seq_read_valid(&live->seq, at))
			continue;
		memcpy(to, copy, sizeof(*to));
		*ret_sequence = at;
		return 0;
	}
	return -EAGAIN;
}

/* The slots as they were at one moment, by row. */
struct slot_view {
	uint32_t row[SHM_SLOT_COUNT];
	uint32_t generation[SHM_SLOT_COUNT];
	uint64_t base_new[SHM_SLOT_COUNT];
	uint64_t base_destroyed[SHM_SLOT_COUNT];
	uint64_t seq;
	uint64_t filter; /* a bit per row % 64 that has a slot: most rows have none */
};

static int copy_slots(const struct shm_slots *slots, struct slot_view *view)
{
	for (int attempt = 0; attempt < SEQ_ATTEMPTS; attempt++, seq_nap_if_due(attempt)) {
		uint64_t at;

		if (!seq_read_begin(&slots->seq, &at))
			continue;
		for (unsigned int i = 0; i < SHM_SLOT_COUNT; i++) {
			const struct shm_slot *slot = &slots->slot[i];

			view->row[i] = peek_u32(&slot->row);
			view->generation[i] = peek_u32(&slot->generation);
			view->base_new[i] = peek_u64(&slot->base_new_entries);
			view->base_destroyed[i] = peek_u64(&slot->base_destroyed_entries);
		}
		view->filter = 0;
		for (unsigned int i = 0; i < SHM_SLOT_COUNT; i++)
			if (view->row[i] != ROW_INVALID)
				view->filter |= UINT64_C(1) << (view->row[i] % 64u);
		view->seq = at;
		if (seq_read_valid(&slots->seq, at))
			return 0;
	}
	return -EAGAIN;
}

static int slot_of_row(const struct slot_view *view, uint32_t row)
{
	if (!(view->filter >> (row % 64u) & 1u))
		return -1;
	for (unsigned int i = 0; i < SHM_SLOT_COUNT; i++)
		if (view->row[i] == row)
			return (int)i;
	return -1;
}

static uint64_t minus(uint64_t value, uint64_t base)
{
	return value > base ? value - base : 0;
}

/* The older of the two generations gives the longer, steadier window. */
static void fill_rates(const struct shm_rate *rate, const struct snap_live *live,
		       struct snap_row *row)
{
	int64_t marks[2] = {live->rate_mark_boot_ns_0, live->rate_mark_boot_ns_1};
	int older = marks[0] <= marks[1] ? 0 : 1;
	double seconds = ((double)live->heartbeat_boot_ns - (double)marks[older]) / 1e9;

	row->new_per_s = (double)NAN;
	row->destroyed_per_s = (double)NAN;
	if (marks[older] == 0 || seconds < 1)
		return;
	row->new_per_s =
		(uint32_t)((uint32_t)row->new_entries - peek_u32(&rate->new_entries[older])) /
		seconds;
	row->destroyed_per_s = (uint32_t)((uint32_t)row->destroyed_entries -
					  peek_u32(&rate->destroyed_entries[older])) /
			       seconds;
}

struct copy {
	struct shm_reader *reader;
	struct snapshot *snap;
	struct slot_view slots;
	const _Atomic uint32_t *cells;
	const struct shm_row *rows;
	const struct shm_rate *rates;
	bool full; /* rows_room was too small */
	bool zones_full;
	bool moved; /* a slot changed hands meanwhile: its counts may be included twice */
};

static void copy_slot(const struct slot_view *view, uint32_t row_index, struct snap_row *row)
{
	row->slot = slot_of_row(view, row_index);
	row->slot_generation = 0;
	row->slot_new_entries = row->slot_destroyed_entries = 0;
	if (row->slot < 0)
		return;
	row->slot_generation = view->generation[row->slot];
	row->slot_new_entries = minus(row->new_entries, view->base_new[row->slot]);
	row->slot_destroyed_entries =
		minus(row->destroyed_entries, view->base_destroyed[row->slot]);
}

/* Tens of thousands of rows are copied under a port scan: straight into place. */
static void copy_row(struct copy *copy, uint32_t row_index)
{
	struct snapshot *snap = copy->snap;
	const struct shm_row *from = &copy->rows[row_index];
	const struct l4proto_info *info;
	struct snap_row *row;
	uint32_t cell, slots;
	uint64_t timed;

	if (snap->row_count == snap->row_room) {
		copy->full = true;
		return;
	}
	row = &snap->rows[snap->row_count];
	if (!row_key_of(row_index, &row->key))
		return;
	info = l4proto_info(row->key.l4proto);
	cell = info->cell_base + ((row_index - info->row_base) << info->state_bits);
	slots = 1u << info->state_bits;
	memset(row->states, 0, sizeof(row->states));
	row->entries = 0;
	for (uint32_t i = 0; i < slots; i++) {
		row->states[i] = peek_u32(&copy->cells[cell + i]);
		row->entries += row->states[i];
	}
	row->new_entries = peek_u64(&from->new_entries);
	row->destroyed_entries = peek_u64(&from->destroyed_entries);
	copy_slot(&copy->slots, row_index, row);
	fill_rates(&copy->rates[row_index], &snap->live, row);
	timed = peek_u64(&from->timed_entries);
	row->mean_lifetime_s =
		timed ? (double)peek_u64(&from->timed_ms) / 1e3 / (double)timed : (double)NAN;
	snap->row_count++;
}

static void copy_rows(struct copy *copy)
{
	const _Atomic uint64_t *map = shm_reader_section(copy->reader, SHM_SECTION_ROWMAP);

	copy->snap->row_count = 0;
	copy->full = false;
	for (uint32_t i = 0; i < (ROW_COUNT + 63u) / 64u && !copy->full; i++) {
		uint64_t word = peek_u64(&map[i]);

		for (; word != 0 && !copy->full; word &= word - 1)
			copy_row(copy, i * 64u + (uint32_t)__builtin_ctzll(word));
	}
}

static void copy_others(struct copy *copy)
{
	const struct shm_slots *slots = shm_reader_section(copy->reader, SHM_SECTION_SLOTS);
	const struct shm_lifetime *lifetimes =
		shm_reader_section(copy->reader, SHM_SECTION_LIFETIMES);

	for (unsigned int p = 0; p < L4_COUNT; p++) {
		for (unsigned int d = 0; d < DIR_COUNT; d++) {
			const struct shm_other *from = &slots->other[p][d];

			copy->snap->other[p][d].new_entries = peek_u64(&from->new_entries);
			copy->snap->other[p][d].destroyed_entries =
				peek_u64(&from->destroyed_entries);
		}
		for (unsigned int i = 0; i < SHM_LIFETIME_BUCKETS; i++)
			copy->snap->lifetimes[p].buckets[i] = peek_u64(&lifetimes[p].buckets[i]);
		copy->snap->lifetimes[p].sum_ms = peek_u64(&lifetimes[p].sum_ms);
	}
}

static void copy_timeouts(struct copy *copy)
{
	const _Atomic uint32_t *timeouts = shm_reader_section(copy->reader, SHM_SECTION_TIMEOUTS);

	for (unsigned int i = 0; i < TIMEOUT_COUNT; i++)
		copy->snap->timeouts_s[i] = peek_u32(&timeouts[i]);
}

/* New marks were taken while the rows were read: the rates say nothing. */
static void check_rates(struct copy *copy)
{
	const struct shm_live *live = shm_reader_section(copy->reader, SHM_SECTION_LIVE);
	struct snapshot *snap = copy->snap;

	if (reobserve_i64(&live->rate_mark_boot_ns_0) == snap->live.rate_mark_boot_ns_0 &&
	    reobserve_i64(&live->rate_mark_boot_ns_1) == snap->live.rate_mark_boot_ns_1)
		return;
	for (size_t i = 0; i < snap->row_count; i++)
		snap->rows[i].new_per_s = snap->rows[i].destroyed_per_s = (double)NAN;
}

/* Names go to terminals, JSON and HTML: a corrupt one must do no harm there. */
static void make_printable(char *text, size_t room)
{
	text[room - 1] = '\0';
	for (; *text; text++)
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
}

static int copy_all(void *arg)
{
	struct copy *copy = arg;
	struct snapshot *snap = copy->snap;
	const struct shm_header *header = shm_reader_header(copy->reader);
	struct snap_live live;
	int err = copy_live(shm_reader_section(copy->reader, SHM_SECTION_LIVE), &live,
			    &snap->sequence);

	if (!err)
		err = copy_slots(shm_reader_section(copy->reader, SHM_SECTION_SLOTS), &copy->slots);
	if (err)
		return err;
	snap->live = live;
	snap->instance_id = header->instance_id;
	snap->created_real_ns = header->created_real_ns;
	snap->netns_inode = header->netns_inode;
	snap->agent_pid = header->agent_pid;
	snap->stopped_real_ns = peek_u64(&header->stopped);
	memcpy(snap->netns_name, header->netns_name, sizeof(snap->netns_name));
	memcpy(snap->agent_version, header->agent_version, sizeof(snap->agent_version));
	memcpy(snap->host_name, header->host_name, sizeof(snap->host_name));
	make_printable(snap->host_name, sizeof(snap->host_name));
	make_printable(snap->netns_name, sizeof(snap->netns_name));
	make_printable(snap->agent_version, sizeof(snap->agent_version));
	copy_rows(copy);
	check_rates(copy);
	copy_others(copy);
	copy->moved = !seq_read_valid(
		&((const struct shm_slots *)shm_reader_section(copy->reader, SHM_SECTION_SLOTS))
			 ->seq,
		copy->slots.seq);
	copy_timeouts(copy);
	snap_forecast_copy(shm_reader_section(copy->reader, SHM_SECTION_FORECAST), &snap->forecast);
	snap_nat_copy(shm_reader_section(copy->reader, SHM_SECTION_NAT), &snap->nat);
	snap_settings_copy(shm_reader_section(copy->reader, SHM_SECTION_SETTINGS), &snap->settings);
	snap_zones_copy(shm_reader_section(copy->reader, SHM_SECTION_ZONES), &snap->zones);
	copy->zones_full = !snap_zone_cells_copy(
		shm_reader_section(copy->reader, SHM_SECTION_ZONE_CELLS), &snap->zone_cells);
	return 0;
}

static int grow_rows(struct snapshot *snap)
{
	size_t room = snap->row_room ? 4 * snap->row_room : 256;
	struct snap_row *rows = realloc(snap->rows, room * sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	snap->rows = rows;
	snap->row_room = room;
	return 0;
}

/* Takes again until there is room, and no slot changed hands meanwhile. Memory grows outside the
 * guard: a jump out of realloc would leak it. */
static int copy_with_room(struct copy *copy)
{
	struct snapshot *snap = copy->snap;
	int err = 0, again = 0;

	do {
		if (copy->full || !snap->rows)
			err = grow_rows(snap);
		if (!err && copy->zones_full)
			err = snap_zone_cells_grow(&snap->zone_cells);
		if (err) {
			snap->zone_cells.count = 0;
			return err;
		}
		err = shm_guarded(copy_all, copy);
	} while (!err &&
		 (copy->full || copy->zones_full || (copy->moved && ++again < MOVED_ATTEMPTS)));
	if (copy->zones_full)
		snap->zone_cells.count = 0;
	return err || !copy->moved ? err : -EAGAIN;
}

static void health_agent(const struct shm_reader *reader, uint64_t now_boot_ns,
			 struct snapshot *snap)
{
	const struct shm_header *header = shm_reader_header(reader);
	uint64_t beat = (uint64_t)snap->live.heartbeat_boot_ns;

	/* It may be slightly newer than `now`, which was read first. */
	snap->clock_ahead = beat > now_boot_ns && beat - now_boot_ns > SNAP_SILENT_NS;
	snap->age_ns = now_boot_ns > beat ? now_boot_ns - beat : 0;
	if (snap->clock_ahead)
		snap->age_ns = UINT64_MAX;
	if (memcmp(header->boot_id, reader->boot_id, sizeof(reader->boot_id)) != 0) {
		snap->agent = SNAP_AGENT_REBOOTED;
		snap->age_ns = UINT64_MAX;
	} else if (snap->stopped_real_ns != 0) {
		snap->agent = SNAP_AGENT_STOPPED;
	} else if (snap->age_ns > SNAP_SILENT_NS) {
		snap->agent = SNAP_AGENT_SILENT;
	} else if (snap->live.mode == SHM_MODE_STARTING) {
		snap->agent = SNAP_AGENT_STARTING;
	} else {
		snap->agent = SNAP_AGENT_UP;
	}
}

int snapshot_take(struct shm_reader *reader, uint64_t now_boot_ns, uint64_t now_real_ns,
		  struct snapshot *snap)
{
	struct copy copy = {.reader = reader, .snap = snap};
	int64_t mirror = 0;
	int err;

	if (!reader->base)
		return -ENOENT;
	copy.cells = shm_reader_section(reader, SHM_SECTION_CELLS);
	copy.rows = shm_reader_section(reader, SHM_SECTION_ROWS);
	copy.rates = shm_reader_section(reader, SHM_SECTION_RATES);
	err = copy_with_room(&copy);
	if (err)
		return err;
	snap_zone_cells_sort(&snap->zone_cells);
	for (size_t i = 0; i < snap->row_count; i++)
		mirror += snap->rows[i].entries;
	snap->live.mirror_entries = mirror;
	/* The count may be anything: the file is outside input. */
	if (__builtin_sub_overflow(snap->live.count_entries, mirror, &snap->live.residual_entries))
		snap->live.residual_entries = INT64_MAX;
	snap->taken_real_ns = now_real_ns;
	health_agent(reader, now_boot_ns, snap);
	return 0;
}
