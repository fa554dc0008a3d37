// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the table looked like, every ten seconds and every minute (lib/stats/table_log.h). Part
 * of layout.h, whose rules hold; included by it alone.
 */
#ifndef CONNTIDE_SHM_LAYOUT_FRAMES_H
#define CONNTIDE_SHM_LAYOUT_FRAMES_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib/shm/layout_detail.h"

#define SHM_FRAMES	96u /* of each ring: 16 minutes every 10 s, 96 minutes every minute */
#define SHM_FRAME_CELLS 48u
#define SHM_FRAME_ROWS	24u
#define SHM_FRAME_HOSTS 8u

struct shm_frame_cell {
	_Atomic uint32_t cell; /* CELL_INVALID: none */
	_Atomic uint32_t entries;
};

struct shm_frame_row {
	_Atomic uint32_t row; /* ROW_INVALID: none */
	_Atomic uint32_t entries;
	_Atomic uint32_t new_entries; /* of the interval that ended then */
	_Atomic uint32_t destroyed_entries;
};

struct shm_frame {
	_Atomic uint64_t real_ns; /* 0: never written */
	_Atomic uint32_t count_entries;
	_Atomic uint32_t max_entries;
	_Atomic uint32_t mirror_entries;
	_Atomic uint32_t unassured_entries;
	_Atomic uint32_t rows_active; /* ports that hold entries */
	_Atomic uint32_t sources;     /* addresses that hold entries */
	_Atomic uint32_t new_entries; /* from here on: of the interval */
	_Atomic uint32_t destroyed_entries;
	_Atomic uint32_t drops;
	_Atomic uint32_t early_drops;
	_Atomic uint32_t insert_failed;
	_Atomic uint32_t chaintoolong;
	_Atomic uint32_t clash_resolved;
	_Atomic uint32_t found;
	_Atomic uint32_t invalid;
	_Atomic uint32_t lost_events;
	struct shm_frame_cell cells[SHM_FRAME_CELLS]; /* largest first */
	struct shm_frame_row rows[SHM_FRAME_ROWS];    /* largest first */
};

/* As struct shm_history. */
struct shm_table_log {
	_Atomic uint64_t head;
	uint64_t interval_ns;
	struct shm_frame frames[];
};

/* The hosts of the frame of the same real_ns, written before it. */
struct shm_frame_hosts {
	_Atomic uint64_t real_ns;
	struct shm_talker hosts[SHM_FRAME_HOSTS]; /* largest sources first */
};

struct shm_frame_hosts_log {
	_Atomic uint64_t head;
	uint64_t interval_ns;
	struct shm_frame_hosts frames[];
};

#endif
