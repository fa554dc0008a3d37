// SPDX-License-Identifier: GPL-2.0-or-later
/* Compiled with -Wpadded: a hole in a shared struct is a compile error. */
#include "lib/shm/layout.h"

static const struct {
	uint32_t element_bytes;
	uint32_t elements;
	uint32_t head_bytes;
	uint32_t _pad;
} geometry[SHM_SECTION_COUNT] = {
	[SHM_SECTION_LIVE] = {sizeof(struct shm_live), 1, 0, 0},
	[SHM_SECTION_CELLS] = {sizeof(uint32_t), CELL_COUNT, 0, 0},
	[SHM_SECTION_ROWMAP] = {sizeof(uint64_t), (ROW_COUNT + 63u) / 64u, 0, 0},
	[SHM_SECTION_ROWS] = {sizeof(struct shm_row), ROW_COUNT, 0, 0},
	[SHM_SECTION_RATES] = {sizeof(struct shm_rate), ROW_COUNT, 0, 0},
	[SHM_SECTION_SLOTS] = {sizeof(struct shm_slots), 1, 0, 0},
	[SHM_SECTION_LIFETIMES] = {sizeof(struct shm_lifetime), L4_COUNT, 0, 0},
	[SHM_SECTION_SECONDS] = {sizeof(struct shm_sample), SHM_HISTORY_SECONDS,
				 sizeof(struct shm_history), 0},
	[SHM_SECTION_MINUTES] = {sizeof(struct shm_sample), SHM_HISTORY_MINUTES,
				 sizeof(struct shm_history), 0},
};

uint64_t shm_section_bytes(enum shm_section_id id)
{
	return (uint64_t)geometry[id].element_bytes * geometry[id].elements +
	       geometry[id].head_bytes;
}

uint32_t shm_section_element_bytes(enum shm_section_id id)
{
	return geometry[id].element_bytes;
}

uint32_t shm_section_elements(enum shm_section_id id)
{
	return geometry[id].elements;
}

uint64_t shm_layout(struct shm_section sections[SHM_SECTION_COUNT])
{
	uint64_t at = SHM_PAGE_BYTES;

	for (enum shm_section_id id = 0; id < SHM_SECTION_COUNT; id++) {
		sections[id].offset_bytes = at;
		sections[id].size_bytes = shm_section_bytes(id);
		sections[id].element_bytes = shm_section_element_bytes(id);
		sections[id].elements = shm_section_elements(id);
		at += (sections[id].size_bytes + SHM_PAGE_BYTES - 1u) / SHM_PAGE_BYTES *
		      SHM_PAGE_BYTES;
	}
	return at;
}
