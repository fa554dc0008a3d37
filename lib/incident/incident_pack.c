// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/incident/incident_pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"
#include "lib/base/topn.h"
#include "lib/shm/layout.h"
#include "lib/shm/seq_retry.h"
#include "lib/shm/seqlock.h"

#define MINUTES_KEPT 120u
#define PASTS_KEPT   120u
#define DETAIL_ROWS  64u /* of the largest, have their detail kept */

/* A new piece costs two words: shorter gaps are written out. */
#define GAP_WORDS 2u

struct kept_row {
	uint32_t row;
	uint32_t entries;
};

struct pack {
	const struct shm_reader *from;
	uint8_t *out;
	size_t at;
	bool left_out;
	struct kept_row rows[INCIDENT_ROWS]; /* largest first; of equals the lower row */
	uint32_t row_count;
	uint32_t rows_active;
	uint32_t entries_kept;
};

static void emit(struct pack *pack, enum shm_section_id id, uint64_t offset, const uint64_t *words,
		 size_t count)
{
	const struct incident_piece piece = {id, (uint32_t)(count * 8), offset};

	if (INCIDENT_FILE_MAX - pack->at < sizeof(piece) + piece.size_bytes) {
		pack->left_out = true;
		return;
	}
	memcpy(pack->out + pack->at, &piece, sizeof(piece));
	memcpy(pack->out + pack->at + sizeof(piece), words, piece.size_bytes);
	pack->at += sizeof(piece) + piece.size_bytes;
}

/* Only what is not 0. */
static void emit_runs(struct pack *pack, enum shm_section_id id, uint64_t offset,
		      const uint64_t *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t first = i, end = i;

		if (words[i] == 0)
			continue;
		for (; i < count && i - end <= GAP_WORDS; i++)
			if (words[i] != 0)
				end = i;
		emit(pack, id, offset + first * 8, words + first, end + 1 - first);
		i = end;
	}
}

static void copy_words(const void *from, uint64_t *to, size_t count)
{
	const _Atomic uint64_t *words = from;

	for (size_t i = 0; i < count; i++)
		to[i] = peek_u64(&words[i]);
}

static size_t section_words(enum shm_section_id id)
{
	return (size_t)(shm_section_bytes(id) + 7u) / 8u;
}

/* A section small enough to be taken whole, with its lock if it has one. */
static int put_section(struct pack *pack, enum shm_section_id id, bool locked, bool sparse)
{
	const void *from = shm_reader_section(pack->from, id);
	const _Atomic uint64_t *seq = from;
	size_t count = section_words(id);
	uint64_t *words = malloc(count * 8);
	bool done = false;

	if (!words)
		return -ENOMEM;
	for (int i = 0; i < SEQ_ATTEMPTS && !done; i++, seq_nap_if_due(i)) {
		uint64_t at = 0;

		if (locked && !seq_read_begin(seq, &at))
			continue;
		copy_words(from, words, count);
		done = !locked || seq_read_valid(seq, at);
	}
	if (done && sparse)
		emit_runs(pack, id, 0, words, count);
	else if (done)
		emit(pack, id, 0, words, count);
	free(words);
	return done ? 0 : -EAGAIN;
}

/* The last `keep` elements of a ring, numbered from 0; each begins with its head and
 * its interval. */
static int put_ring(struct pack *pack, enum shm_section_id id, uint32_t keep)
{
	const uint8_t *ring = shm_reader_section(pack->from, id);
	const _Atomic uint64_t *head = (const _Atomic uint64_t *)(const void *)ring;
	size_t element = shm_section_element_bytes(id), head_bytes = sizeof(struct shm_history);
	uint64_t slots = shm_section_elements(id), end = observe_u64(head);
	uint64_t count = end < keep ? end : keep, first = end - count, after, torn;
	uint64_t *copy = malloc((size_t)count * element + 8), words[2];

	BUG_ON(element % 8);
	if (!copy)
		return -ENOMEM;
	for (uint64_t i = first; i < end; i++)
		copy_words(ring + head_bytes + i % slots * element,
			   copy + (i - first) * (element / 8), element / 8);
	/* Without what the writer overwrote meanwhile, and the slot it may be writing. */
	after = reobserve_u64(head);
	torn = after + 1 > first + slots ? after + 1 - slots - first : 0;
	torn = torn > count ? count : torn;
	words[0] = count - torn;
	copy_words(ring + 8, words + 1, 1);
	emit(pack, id, 0, words, 2);
	for (uint64_t i = torn; i < count; i++)
		emit_runs(pack, id, head_bytes + (i - torn) * element, copy + i * (element / 8),
			  element / 8);
	free(copy);
	return 0;
}

/* --- rows ------------------------------------------------------------------------ */

static uint32_t row_entries(const struct pack *pack, uint32_t row)
{
	const _Atomic uint32_t *cells = shm_reader_section(pack->from, SHM_SECTION_CELLS);
	uint32_t first = row_first_cell(row), entries = 0;

	for (uint32_t i = 0; i < row_state_slots(row); i++)
		entries += peek_u32(&cells[first + i]);
	return entries;
}

static void consider_row(struct pack *pack, uint32_t row)
{
	const struct topn top = TOPN(pack->rows, pack->row_count, entries);
	struct kept_row kept = {row, 0};

	if (row >= ROW_COUNT)
		return;
	kept.entries = row_entries(pack, row);
	pack->rows_active += kept.entries > 0;
	topn_add(&top, &kept);
}

static void choose_rows(struct pack *pack)
{
	const _Atomic uint64_t *map = shm_reader_section(pack->from, SHM_SECTION_ROWMAP);

	for (uint32_t i = 0; i < (ROW_COUNT + 63u) / 64u; i++) {
		uint64_t word = peek_u64(&map[i]);

		for (; word != 0; word &= word - 1)
			consider_row(pack, i * 64u + (uint32_t)__builtin_ctzll(word));
	}
}

/* The map comes last and is always part of the body: a row without its bit does not exist. */
static void put_row(struct pack *pack, uint32_t row)
{
	const char *cells = shm_reader_section(pack->from, SHM_SECTION_CELLS);
	const struct shm_row *rows = shm_reader_section(pack->from, SHM_SECTION_ROWS);
	const struct shm_rate *rates = shm_reader_section(pack->from, SHM_SECTION_RATES);
	uint64_t words[STATE_SLOTS_MAX / 2], cells_at = (uint64_t)row_first_cell(row) * 4u;
	size_t count = row_state_slots(row) / 2u;

	copy_words(cells + cells_at, words, count);
	emit_runs(pack, SHM_SECTION_CELLS, cells_at, words, count);
	copy_words(&rows[row], words, sizeof(rows[row]) / 8);
	emit_runs(pack, SHM_SECTION_ROWS, row * sizeof(rows[row]), words, sizeof(rows[row]) / 8);
	copy_words(&rates[row], words, sizeof(rates[row]) / 8);
	emit_runs(pack, SHM_SECTION_RATES, row * sizeof(rates[row]), words, sizeof(rates[row]) / 8);
}

static int put_rows(struct pack *pack)
{
	uint64_t *map = calloc((ROW_COUNT + 63u) / 64u, 8);

	if (!map)
		return -ENOMEM;
	for (uint32_t i = 0; i < pack->row_count; i++) {
		uint32_t row = pack->rows[i].row;

		map[row / 64] |= UINT64_C(1) << row % 64;
		put_row(pack, row);
		pack->entries_kept += pack->rows[i].entries;
	}
	emit_runs(pack, SHM_SECTION_ROWMAP, 0, map, (ROW_COUNT + 63u) / 64u);
	free(map);
	return 0;
}

static bool wants_detail(const struct pack *pack, uint32_t index, uint32_t row)
{
	if (row == ROW_INVALID || index >= SHM_DETAILS)
		return row != ROW_INVALID;
	for (uint32_t i = 0; i < pack->row_count && i < DETAIL_ROWS; i++)
		if (pack->rows[i].row == row)
			return true;
	return false;
}

static void put_details(struct pack *pack)
{
	const struct shm_detail *details = shm_reader_section(pack->from, SHM_SECTION_DETAILS);
	uint64_t words[sizeof(details[0]) / 8];
	const _Atomic uint64_t *owner; /* row and generation, one word */

	for (uint32_t i = 0; i < SHM_DETAILS + SHM_DETAIL_POOLS; i++) {
		if (!wants_detail(pack, i, peek_u32(&details[i].row)))
			continue;
		owner = (const _Atomic uint64_t *)(const void *)&details[i];
		words[0] = observe_u64(owner);
		copy_words(&details[i].ends, words + 1, sizeof(words) / 8 - 1);
		/* It changed hands meanwhile. */
		if (reobserve_u64(owner) != words[0])
			continue;
		/* The owner may be 0, and must be written. */
		emit(pack, SHM_SECTION_DETAILS, i * sizeof(words), words, 1);
		emit_runs(pack, SHM_SECTION_DETAILS, i * sizeof(words) + 8, words + 1,
			  sizeof(words) / 8 - 1);
	}
}

static void find_top_cell(const struct pack *pack, struct incident_head *head)
{
	const _Atomic uint32_t *cells = shm_reader_section(pack->from, SHM_SECTION_CELLS);
	uint32_t first;

	head->top_row = ROW_INVALID;
	head->top_cell = CELL_INVALID;
	head->top_row_entries = head->top_cell_entries = 0;
	if (pack->row_count == 0 || pack->rows[0].entries == 0)
		return;
	head->top_row = pack->rows[0].row;
	head->top_row_entries = pack->rows[0].entries;
	first = row_first_cell(head->top_row);
	for (uint32_t i = 0; i < row_state_slots(head->top_row); i++) {
		uint32_t entries = peek_u32(&cells[first + i]);

		if (i > 0 && entries <= head->top_cell_entries)
			continue;
		head->top_cell = first + i;
		head->top_cell_entries = entries;
	}
}

static int put_all(struct pack *pack)
{
	int err = put_section(pack, SHM_SECTION_LIVE, true, false);

	if (!err)
		err = put_section(pack, SHM_SECTION_SLOTS, true, false);
	if (!err)
		err = put_section(pack, SHM_SECTION_LIFETIMES, false, true);
	if (!err)
		err = put_section(pack, SHM_SECTION_FORECAST, true, true);
	if (!err)
		err = put_section(pack, SHM_SECTION_TIMEOUTS, false, true);
	if (!err)
		err = put_section(pack, SHM_SECTION_TALKERS, true, true);
	if (!err)
		err = put_section(pack, SHM_SECTION_NAT, true, true);
	if (!err)
		err = put_section(pack, SHM_SECTION_SETTINGS, true, true);
	if (!err)
		err = put_section(pack, SHM_SECTION_ZONES, true, true);
	choose_rows(pack);
	if (!err)
		err = put_rows(pack);
	if (!err)
		err = put_ring(pack, SHM_SECTION_SECONDS, INCIDENT_SECONDS);
	if (!err)
		err = put_ring(pack, SHM_SECTION_FRAMES_SHORT, SHM_FRAMES);
	if (!err)
		err = put_ring(pack, SHM_SECTION_FRAMES_LONG, SHM_FRAMES);
	if (!err)
		err = put_ring(pack, SHM_SECTION_FRAME_HOSTS_SHORT, SHM_FRAMES);
	if (!err)
		err = put_ring(pack, SHM_SECTION_FRAME_HOSTS_LONG, SHM_FRAMES);
	if (!err)
		err = put_ring(pack, SHM_SECTION_MINUTES, MINUTES_KEPT);
	if (!err)
		err = put_ring(pack, SHM_SECTION_PASTS, PASTS_KEPT);
	if (!err)
		put_details(pack);
	return err;
}

static void fill_head(const struct pack *pack, struct incident_head *head)
{
	const struct shm_header *header = shm_reader_header(pack->from);

	head->version_major = SHM_VERSION_MAJOR;
	head->version_minor = SHM_VERSION_MINOR;
	memcpy(head->boot_id, header->boot_id, sizeof(head->boot_id));
	memcpy(head->netns_name, header->netns_name, sizeof(head->netns_name));
	memcpy(head->agent_version, header->agent_version, sizeof(head->agent_version));
	head->instance_id = header->instance_id;
	head->created_real_ns = header->created_real_ns;
	head->created_boot_ns = header->created_boot_ns;
	head->netns_inode = header->netns_inode;
	head->agent_pid = header->agent_pid;
	head->rows_active = pack->rows_active;
	head->rows_kept = pack->row_count;
	head->entries_kept = pack->entries_kept;
	head->left_out = pack->left_out;
	find_top_cell(pack, head);
}

int incident_pack(const struct shm_reader *from, struct incident_head *head, void *out,
		  size_t *ret_bytes)
{
	struct pack *pack = calloc(1, sizeof(*pack));
	int err;

	if (!pack)
		return -ENOMEM;
	pack->from = from;
	pack->out = out;
	pack->at = sizeof(*head);
	err = put_all(pack);
	if (!err) {
		fill_head(pack, head);
		incident_seal(head, pack->out + sizeof(*head), pack->at - sizeof(*head));
		memcpy(out, head, sizeof(*head));
		*ret_bytes = pack->at;
	}
	free(pack);
	return err;
}
