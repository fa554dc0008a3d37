// SPDX-License-Identifier: GPL-2.0-or-later
/* Compiled with -Wpadded: a hole in a shared struct is a compile error. */
#include "lib/shm/layout.h"
#include "lib/kernel/timeouts.h"

_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics must be lock-free between processes");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "32-bit atomics must be lock-free between processes");

#define SHM_AT(type, field, offset)                                                                \
	_Static_assert(offsetof(struct type, field) == (offset),                                   \
		       #type "." #field " moved: raise SHM_VERSION_MAJOR")
#define SHM_SIZE(type, bytes)                                                                      \
	_Static_assert(sizeof(struct type) == (bytes), #type " changed size: raise the version")

SHM_AT(shm_section, offset_bytes, 0);
SHM_AT(shm_section, size_bytes, 8);
SHM_AT(shm_section, element_bytes, 16);
SHM_AT(shm_section, elements, 20);
SHM_SIZE(shm_section, 24);

SHM_AT(shm_header, magic, 0);
SHM_AT(shm_header, version_major, 8);
SHM_AT(shm_header, version_minor, 10);
SHM_AT(shm_header, header_bytes, 12);
SHM_AT(shm_header, total_bytes, 16);
SHM_AT(shm_header, ready, 24);
SHM_AT(shm_header, stopped, 32);
SHM_AT(shm_header, boot_id, 40);
SHM_AT(shm_header, instance_id, 56);
SHM_AT(shm_header, created_real_ns, 64);
SHM_AT(shm_header, created_boot_ns, 72);
SHM_AT(shm_header, netns_inode, 80);
SHM_AT(shm_header, agent_pid, 88);
SHM_AT(shm_header, section_count, 92);
SHM_AT(shm_header, agent_version, 96);
SHM_AT(shm_header, netns_name, 128);
SHM_AT(shm_header, sections, 192);
SHM_AT(shm_header, hosts_offset_bytes, 744);
SHM_AT(shm_header, host_name, 752);
SHM_AT(shm_header, _reserved, 816);
SHM_SIZE(shm_header, 824);

SHM_AT(shm_hosts_header, magic, 0);
SHM_AT(shm_hosts_header, version_major, 8);
SHM_AT(shm_hosts_header, total_bytes, 16);
SHM_AT(shm_hosts_header, instance_id, 24);
SHM_SIZE(shm_hosts_header, 32);

SHM_AT(shm_live, seq, 0);
SHM_AT(shm_live, heartbeat_boot_ns, 8);
SHM_AT(shm_live, count_entries, 376);

SHM_AT(shm_row, new_entries, 0);
SHM_AT(shm_row, destroyed_entries, 8);
SHM_AT(shm_row, timed_entries, 16);
SHM_AT(shm_row, timed_ms, 24);
SHM_SIZE(shm_row, 32);

SHM_AT(shm_rate, new_entries, 0);
SHM_AT(shm_rate, destroyed_entries, 8);
SHM_SIZE(shm_rate, 16);

SHM_AT(shm_slot, row, 0);
SHM_AT(shm_slot, generation, 4);
SHM_AT(shm_slot, base_new_entries, 8);
SHM_AT(shm_slot, base_destroyed_entries, 16);
SHM_SIZE(shm_slot, 24);

SHM_SIZE(shm_other, 16);
SHM_AT(shm_slots, seq, 0);
SHM_AT(shm_slots, slot, 8);
SHM_AT(shm_slots, other, 1544);
SHM_SIZE(shm_slots, 1992);

SHM_AT(shm_lifetime, buckets, 0);
SHM_AT(shm_lifetime, sum_ms, 128);
SHM_SIZE(shm_lifetime, 136);

SHM_SIZE(shm_top, 8);
SHM_AT(shm_sample, real_ns, 0);
SHM_AT(shm_sample, count_entries, 8);
SHM_AT(shm_sample, mirror_entries, 12);
SHM_AT(shm_sample, max_entries, 16);
SHM_AT(shm_sample, new_entries, 20);
SHM_AT(shm_sample, destroyed_entries, 24);
SHM_AT(shm_sample, drops, 28);
SHM_AT(shm_sample, early_drops, 32);
SHM_AT(shm_sample, lost_events, 36);
SHM_AT(shm_sample, top, 40);
SHM_SIZE(shm_sample, 80);

SHM_AT(shm_history, head, 0);
SHM_AT(shm_history, interval_ns, 8);
SHM_AT(shm_history, samples, 16);

SHM_SIZE(shm_horizon, 32);
SHM_SIZE(shm_chance, 16);
SHM_SIZE(shm_reason, 32);
SHM_AT(shm_forecast, limit_entries, 48);
SHM_AT(shm_forecast, horizon, 96);
SHM_AT(shm_forecast, chance, 224);
SHM_AT(shm_forecast, reason, 352);
SHM_SIZE(shm_forecast, 608);
SHM_SIZE(shm_past, 80);
SHM_AT(shm_pasts, pasts, 16);

SHM_SIZE(shm_stays, 200);
SHM_AT(shm_detail, ends, 8);
SHM_AT(shm_detail, whole, 48);
SHM_AT(shm_detail, tail, 248);
SHM_AT(shm_detail, states, 448);
SHM_SIZE(shm_detail, 3648);

SHM_SIZE(shm_talker, 32);
SHM_AT(shm_talker_list, talker, 16);
SHM_SIZE(shm_talker_list, 1040);
SHM_AT(shm_talkers, list, 16);
SHM_SIZE(shm_talkers, 5216);

SHM_SIZE(shm_nat_pool, 112);
SHM_AT(shm_nat, pool, 32);
SHM_SIZE(shm_nat, 3616);

SHM_SIZE(shm_setting_change, 32);
SHM_SIZE(shm_setting, 16);
SHM_AT(shm_settings, setting, 16);
SHM_AT(shm_settings, change, 1040);
SHM_SIZE(shm_settings, 2064);
SHM_AT(shm_zones, zone, 24);
SHM_SIZE(shm_zones, 280);
SHM_SIZE(shm_zone_cell, 16);
SHM_AT(shm_zone_cells, cell, 24);
SHM_SIZE(shm_zone_cells, 131096);

SHM_SIZE(shm_ages_row, 32);
SHM_SIZE(shm_ages_cell, 660);
SHM_AT(shm_ages, row, 48);
SHM_AT(shm_ages, cell, 816);
SHM_SIZE(shm_ages, 32496);
SHM_AT(shm_ages_set, ages, 16);
SHM_SIZE(shm_ages_set, 32512);

SHM_AT(shm_frame, cells, 72);
SHM_AT(shm_frame, rows, 456);
SHM_SIZE(shm_frame, 840);
SHM_AT(shm_frame_hosts, hosts, 8);
SHM_SIZE(shm_frame_hosts, 264);
SHM_AT(shm_frame_hosts_log, frames, 16);
SHM_AT(shm_table_log, frames, 16);

static const struct {
	uint32_t element_bytes;
	uint32_t elements;
	uint32_t head_bytes;
	uint32_t names_hosts; /* 1: holds addresses, and is in the hosts file */
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
	[SHM_SECTION_FORECAST] = {sizeof(struct shm_forecast), 1, 0, 0},
	[SHM_SECTION_PASTS] = {sizeof(struct shm_past), SHM_PASTS, sizeof(struct shm_pasts), 0},
	[SHM_SECTION_TIMEOUTS] = {sizeof(uint32_t), TIMEOUT_COUNT, 0, 0},
	[SHM_SECTION_DETAILS] = {sizeof(struct shm_detail), SHM_DETAILS + SHM_DETAIL_POOLS, 0, 0},
	[SHM_SECTION_TALKERS] = {sizeof(struct shm_talkers), 1, 0, 1},
	[SHM_SECTION_FRAMES_SHORT] = {sizeof(struct shm_frame), SHM_FRAMES,
				      sizeof(struct shm_table_log), 0},
	[SHM_SECTION_FRAMES_LONG] = {sizeof(struct shm_frame), SHM_FRAMES,
				     sizeof(struct shm_table_log), 0},
	[SHM_SECTION_FRAME_HOSTS_SHORT] = {sizeof(struct shm_frame_hosts), SHM_FRAMES,
					   sizeof(struct shm_frame_hosts_log), 1},
	[SHM_SECTION_FRAME_HOSTS_LONG] = {sizeof(struct shm_frame_hosts), SHM_FRAMES,
					  sizeof(struct shm_frame_hosts_log), 1},
	[SHM_SECTION_NAT] = {sizeof(struct shm_nat), 1, 0, 1},
	[SHM_SECTION_SETTINGS] = {sizeof(struct shm_settings), 1, 0, 0},
	[SHM_SECTION_AGES] = {sizeof(struct shm_ages_set), SHM_AGE_SETS, 0, 0},
	[SHM_SECTION_ZONES] = {sizeof(struct shm_zones), 1, 0, 0},
	[SHM_SECTION_ZONE_CELLS] = {sizeof(struct shm_zone_cells), 1, 0, 0},
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

bool shm_section_names_hosts(enum shm_section_id id)
{
	return geometry[id].names_hosts != 0;
}

/* Those of one file, from `at` on; returns where they end. */
static uint64_t place(struct shm_section *sections, uint32_t names_hosts, uint64_t at)
{
	for (enum shm_section_id id = 0; id < SHM_SECTION_COUNT; id++) {
		if (geometry[id].names_hosts != names_hosts)
			continue;
		sections[id].offset_bytes = at;
		sections[id].size_bytes = shm_section_bytes(id);
		sections[id].element_bytes = shm_section_element_bytes(id);
		sections[id].elements = shm_section_elements(id);
		at += (sections[id].size_bytes + SHM_PAGE_BYTES - 1u) / SHM_PAGE_BYTES *
		      SHM_PAGE_BYTES;
	}
	return at;
}

uint64_t shm_hosts_offset(void)
{
	struct shm_section sections[SHM_SECTION_COUNT];

	return place(sections, 0, SHM_PAGE_BYTES);
}

uint64_t shm_layout(struct shm_section sections[SHM_SECTION_COUNT])
{
	return place(sections, 1, place(sections, 0, SHM_PAGE_BYTES) + SHM_PAGE_BYTES);
}
