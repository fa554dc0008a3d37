// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/mirror/mirror_offline.h"

#include <errno.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/sparse.h"
#include "lib/shm/seqlock.h"

#define CELL_BYTES	((size_t)CELL_COUNT * sizeof(uint32_t))
#define ROWMAP_BYTES	((size_t)(ROW_COUNT + 63u) / 64u * sizeof(uint64_t))
#define ROW_BYTES	((size_t)ROW_COUNT * sizeof(struct shm_row))
#define LIFETIMES_BYTES ((size_t)L4_COUNT * sizeof(struct shm_lifetime))

int mirror_offline_histogram(struct histogram *hist)
{
	memset(hist, 0, sizeof(*hist));
	hist->cells = sparse_alloc(CELL_BYTES);
	hist->rowmap = sparse_alloc(ROWMAP_BYTES);
	hist->rows = sparse_alloc(ROW_BYTES);
	hist->slots = sparse_alloc(sizeof(struct shm_slots));
	hist->lifetimes = sparse_alloc(LIFETIMES_BYTES);
	if (!hist->cells || !hist->rowmap || !hist->rows || !hist->slots || !hist->lifetimes)
		return -ENOMEM;
	for (unsigned int i = 0; i < SHM_SLOT_COUNT; i++)
		poke_u32(&hist->slots->slot[i].row, ROW_INVALID);
	return 0;
}

void mirror_offline_histogram_free(struct histogram *hist)
{
	sparse_free(hist->cells, CELL_BYTES);
	sparse_free(hist->rowmap, ROWMAP_BYTES);
	sparse_free(hist->rows, ROW_BYTES);
	sparse_free(hist->slots, sizeof(struct shm_slots));
	sparse_free(hist->lifetimes, LIFETIMES_BYTES);
	memset(hist, 0, sizeof(*hist));
}

int mirror_offline_create(struct mirror_offline *offline, uint32_t limit_entries)
{
	int err;

	memset(offline, 0, sizeof(*offline));
	err = mirror_offline_histogram(&offline->hist);
	local_addrs_init(&offline->addrs);
	local_addrs_finish(&offline->addrs);
	resync_init(&offline->resync);
	if (!err)
		err = verify_create(&offline->verify, 32, 1);
	if (!err)
		err = mirror_create(&offline->mirror, limit_entries, &offline->hist,
				    &offline->addrs, &offline->verify);
	if (!err)
		mirror_set_time(&offline->mirror, 1000 * NS_PER_S);
	return err;
}

void mirror_offline_destroy(struct mirror_offline *offline)
{
	mirror_destroy(&offline->mirror);
	verify_destroy(&offline->verify);
	local_addrs_free(&offline->addrs);
	mirror_offline_histogram_free(&offline->hist);
}

void mirror_offline_pass(struct mirror_offline *offline, uint64_t ns)
{
	mirror_set_time(&offline->mirror, offline->mirror.now_ns + ns);
}

void mirror_offline_time(struct mirror_offline *offline, uint64_t boot_ns)
{
	mirror_set_time(&offline->mirror, boot_ns);
	mirror_purge_tombstones(&offline->mirror);
}

enum resync_result mirror_offline_sweep(struct mirror_offline *offline)
{
	enum resync_result result = RESYNC_PENDING;

	while (offline->resync.phase == RESYNC_COUNTING || offline->resync.phase == RESYNC_SWEEPING)
		result = resync_sweep(&offline->resync, &offline->mirror);
	return result;
}

static void print_row(const struct histogram *hist, uint32_t row, const char **separator, FILE *out)
{
	uint32_t first = row_first_cell(row);
	struct row_key key;

	if (!row_key_of(row, &key))
		return;
	for (uint32_t i = 0; i < row_state_slots(row); i++) {
		uint32_t entries = peek_u32(&hist->cells[first + i]);

		if (!entries)
			continue;
		fprintf(out,
			"%s\n{\"l4proto\":\"%s\",\"direction\":\"%s\",\"port\":%u,\"state\":\"%s\","
			"\"entries\":%u}",
			*separator, l4proto_info(key.l4proto)->name, direction_name(key.direction),
			key.port, state_name(key.l4proto, i), entries);
		*separator = ",";
	}
}

int mirror_offline_print_cells(const struct histogram *hist, FILE *out)
{
	const char *separator = "";

	fputs("[", out);
	for (uint32_t row = 0; row < ROW_COUNT; row++)
		if (histogram_row_active(hist, row))
			print_row(hist, row, &separator, out);
	fputs("\n]\n", out);
	return ferror(out) ? -EIO : 0;
}
