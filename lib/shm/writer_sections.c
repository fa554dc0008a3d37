// SPDX-License-Identifier: GPL-2.0-or-later
/* Addresses of the sections, for the code that fills them. */
#include <string.h>

#include "lib/shm/reader.h"
#include "lib/shm/writer.h"

static void *section(struct segment *segment, enum shm_section_id id)
{
	return segment->base + segment->sections[id].offset_bytes;
}

struct shm_live *segment_live(struct segment *segment)
{
	return section(segment, SHM_SECTION_LIVE);
}

struct shm_slots *segment_slots(struct segment *segment)
{
	return section(segment, SHM_SECTION_SLOTS);
}

struct shm_rate *segment_rates(struct segment *segment)
{
	return section(segment, SHM_SECTION_RATES);
}

struct shm_history *segment_history(struct segment *segment, bool minutes)
{
	return section(segment, minutes ? SHM_SECTION_MINUTES : SHM_SECTION_SECONDS);
}

struct shm_forecast *segment_forecast(struct segment *segment)
{
	return section(segment, SHM_SECTION_FORECAST);
}

struct shm_pasts *segment_pasts(struct segment *segment)
{
	return section(segment, SHM_SECTION_PASTS);
}

_Atomic uint32_t *segment_timeouts(struct segment *segment)
{
	return section(segment, SHM_SECTION_TIMEOUTS);
}

struct shm_detail *segment_details(struct segment *segment)
{
	return section(segment, SHM_SECTION_DETAILS);
}

struct shm_talkers *segment_talkers(struct segment *segment)
{
	return section(segment, SHM_SECTION_TALKERS);
}

struct shm_nat *segment_nat(struct segment *segment)
{
	return section(segment, SHM_SECTION_NAT);
}

struct shm_settings *segment_settings(struct segment *segment)
{
	return section(segment, SHM_SECTION_SETTINGS);
}

struct shm_ages_set *segment_ages(struct segment *segment)
{
	return section(segment, SHM_SECTION_AGES);
}

struct shm_zone_cells *segment_zone_cells(struct segment *segment)
{
	return section(segment, SHM_SECTION_ZONE_CELLS);
}

struct shm_zones *segment_zones(struct segment *segment)
{
	return section(segment, SHM_SECTION_ZONES);
}

struct shm_table_log *segment_frames(struct segment *segment, bool minutes)
{
	return section(segment, minutes ? SHM_SECTION_FRAMES_LONG : SHM_SECTION_FRAMES_SHORT);
}

struct shm_frame_hosts_log *segment_frame_hosts(struct segment *segment, bool minutes)
{
	return section(segment,
		       minutes ? SHM_SECTION_FRAME_HOSTS_LONG : SHM_SECTION_FRAME_HOSTS_SHORT);
}

void segment_reader(const struct segment *segment, struct shm_reader *reader)
{
	memset(reader, 0, sizeof(*reader));
	reader->base = segment->base;
	reader->size_bytes = segment->size_bytes;
	for (unsigned int i = 0; i < SHM_SECTION_COUNT; i++)
		reader->sections[i] = segment->sections[i].offset_bytes;
}

_Atomic uint32_t *segment_cells(struct segment *segment)
{
	return section(segment, SHM_SECTION_CELLS);
}

_Atomic uint64_t *segment_rowmap(struct segment *segment)
{
	return section(segment, SHM_SECTION_ROWMAP);
}

struct shm_row *segment_rows(struct segment *segment)
{
	return section(segment, SHM_SECTION_ROWS);
}

struct shm_lifetime *segment_lifetimes(struct segment *segment)
{
	return section(segment, SHM_SECTION_LIFETIMES);
}
