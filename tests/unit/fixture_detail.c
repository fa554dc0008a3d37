// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/fixture_detail.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/kernel/timeouts.h"
#include "lib/shm/seqlock.h"

static unsigned int ring; /* of the last `frame` */

static void empty_frame(struct shm_frame *frame)
{
	memset(frame, 0, sizeof(*frame));
	for (unsigned int i = 0; i < SHM_FRAME_CELLS; i++)
		poke_u32(&frame->cells[i].cell, CELL_INVALID);
	for (unsigned int i = 0; i < SHM_FRAME_ROWS; i++)
		poke_u32(&frame->rows[i].row, ROW_INVALID);
}

void detail_init(struct fixture_detail *details)
{
	for (unsigned int i = 0; i < SHM_DETAILS; i++)
		poke_u32(&details->details[i].row, ROW_INVALID);
	for (unsigned int i = 0; i < SHM_DETAIL_POOLS; i++)
		poke_u32(&details->details[SHM_DETAILS + i].row,
			 row_of((struct row_key){(uint8_t)(i / DIR_COUNT), (uint8_t)(i % DIR_COUNT),
						 0}));
	for (unsigned int i = 0; i < 2; i++)
		details->frames[i]->interval_ns = (i ? 60 : 10) * NS_PER_S;
}

static uint32_t row_named(const char *l4proto, const char *direction, unsigned int port)
{
	return row_of((struct row_key){(uint8_t)l4proto_by_name(l4proto),
				       (uint8_t)direction_by_name(direction), (uint16_t)port});
}

static struct shm_detail *detail_of(struct fixture_detail *details, uint32_t row)
{
	for (unsigned int i = 0; i < SHM_DETAILS; i++) {
		struct shm_detail *detail = &details->details[i];

		if (peek_u32(&detail->row) == row)
			return detail;
		if (peek_u32(&detail->row) == ROW_INVALID) {
			poke_u32(&detail->row, row);
			return detail;
		}
	}
	return &details->details[0];
}

static void add_stays(struct shm_detail *detail, unsigned int l4proto, const char *state,
		      unsigned long long n, double seconds)
{
	int index = state_by_name(l4proto, state);
	struct shm_stays *stays = !strcmp(state, "whole")  ? &detail->whole
				  : !strcmp(state, "tail") ? &detail->tail
							   : &detail->states[index < 0 ? 0 : index];
	double edge = 1.0 / 16;
	unsigned int bucket = 0;

	while (seconds >= edge && bucket + 1 < SHM_STAY_BUCKETS) {
		bucket++;
		edge *= 2;
	}
	bump_u64(&stays->buckets[bucket], n);
	bump_u64(&stays->sum_ms, (uint64_t)(1e3 * seconds * (double)n));
}

static int kind_of(const char *name)
{
	static const char *const kinds[] = {"source", "destination", "service", "source64",
					    "destination64"};

	for (int i = 0; i < (int)SHM_TALKER_KINDS; i++)
		if (!strcmp(name, kinds[i]))
			return i;
	return 0;
}

static void add_talker(struct shm_talkers *talkers, const char *kind, const char *address,
		       const unsigned int n[4], const char *l4proto)
{
	struct shm_talker_list *list = &talkers->list[kind_of(kind)];
	uint32_t at = peek_u32(&list->count);
	struct shm_talker *talker = &list->talker[at % SHM_TALKERS];
	bool ipv6 = strchr(address, ':') != NULL;
	uint64_t words[2] = {0, 0};

	inet_pton(ipv6 ? AF_INET6 : AF_INET, address, words);
	seq_write_begin(&talkers->seq);
	poke_u64(&talkers->taken_boot_ns, clock_boot_ns());
	poke_u64(&talker->address[0], words[0]);
	poke_u64(&talker->address[1], words[1]);
	poke_u32(&talker->key, (ipv6 ? AF_INET6 : AF_INET) |
				       (l4proto[0] ? (uint32_t)l4proto_by_name(l4proto) << 8 : 0) |
				       n[3] << 16);
	poke_u32(&talker->entries, n[0]);
	poke_u32(&talker->error_entries, n[1]);
	poke_u32(&talker->more_entries, n[2]);
	poke_u32(&list->count, at + 1);
	poke_u32(&list->tracked, at + 1);
	poke_u32(&list->room, 65536);
	seq_write_end(&talkers->seq);
}

static void put_address(_Atomic uint64_t to[2], const char *address)
{
	uint64_t words[2] = {0, 0};

	inet_pton(strchr(address, ':') ? AF_INET6 : AF_INET, address, words);
	poke_u64(&to[0], words[0]);
	poke_u64(&to[1], words[1]);
}

/* n: port, used, closing, size, likely_ms. */
static void add_pool(struct shm_nat *nat, bool udp, char addresses[3][64], const unsigned int n[5])
{
	uint32_t at = peek_u32(&nat->count);
	struct shm_nat_pool *pool = &nat->pool[at % SHM_NAT_POOLS];
	bool ipv6 = strchr(addresses[0], ':') != NULL;

	seq_write_begin(&nat->seq);
	poke_u64(&nat->taken_boot_ns, clock_boot_ns());
	put_address(pool->address, addresses[0]);
	put_address(pool->remote, addresses[1]);
	put_address(pool->client, addresses[2]);
	poke_u32(&pool->key, (ipv6 ? AF_INET6 : AF_INET) |
				     (udp ? (uint32_t)IPPROTO_UDP : IPPROTO_TCP) << 8 | n[0] << 16);
	poke_u32(&pool->zone_flags, (SHM_NAT_TRANSLATED | SHM_NAT_RECLAIMS) << 16);
	poke_u32(&pool->range, n[3] == 64512 ? 1024u | 65535u << 16 : 0);
	poke_u32(&pool->used, n[1]);
	poke_u32(&pool->closing, n[2]);
	poke_u32(&pool->held, n[1] - n[2]);
	poke_u32(&pool->size, n[3]);
	poke_u32(&pool->client_used, n[1] / 2);
	poke_u32(&pool->new_milli_per_s, 12500);
	poke_u32(&pool->failing_ppm, n[1] * 10ull > n[3] * 9ull ? 40000 : 0);
	poke_u32(&pool->expected_ppm, n[1] * 10ull > n[3] * 9ull ? 40000 : 0);
	poke_u32(&pool->early_ms, n[4] ? n[4] / 2 : SHM_NAT_NEVER);
	poke_u32(&pool->likely_ms, n[4] ? n[4] : SHM_NAT_NEVER);
	poke_u32(&pool->late_ms, SHM_NAT_NEVER);
	poke_u32(&nat->count, at + 1);
	poke_u32(&nat->tracked, at + 1);
	poke_u32(&nat->room, 65536);
	seq_write_end(&nat->seq);
}

static bool nat_command(const char *line, struct shm_nat *nat)
{
	char l4proto[16], addresses[3][64];
	unsigned int n[5];

	if (sscanf(line, "nat %15s %63s %63s %u %63s %u %u %u %u", l4proto, addresses[0],
		   addresses[1], &n[0], addresses[2], &n[1], &n[2], &n[3], &n[4]) != 9)
		return false;
	add_pool(nat, !strcmp(l4proto, "udp"), addresses, n);
	return true;
}

static void unlist(struct shm_zone_cells *cells, uint32_t zone, uint32_t entries)
{
	seq_write_begin(&cells->seq);
	poke_u32(&cells->unlisted_entries, entries);
	for (uint32_t i = 0; i < peek_u32(&cells->count); i++)
		if (peek_u32(&cells->cell[i].zone) == zone)
			poke_u32(&cells->cell[i].unlisted_entries, entries);
	seq_write_end(&cells->seq);
}

static bool zone_command(const char *line, struct shm_zone_cells *cells)
{
	uint32_t at = peek_u32(&cells->count), zone, port, entries;
	char l4proto[16], direction[16], state[24];

	if (sscanf(line, "zones-unlisted %u %u", &zone, &entries) == 2) {
		unlist(cells, zone, entries);
		return true;
	}
	if (at == SHM_ZONE_CELLS || sscanf(line, "zone-cell %u %15s %15s %u %23s %u", &zone,
					   l4proto, direction, &port, state, &entries) != 6)
		return false;
	seq_write_begin(&cells->seq);
	poke_u32(&cells->cell[at].cell,
		 row_first_cell(row_named(l4proto, direction, port)) +
			 (uint32_t)state_by_name((unsigned int)l4proto_by_name(l4proto), state));
	poke_u32(&cells->cell[at].zone, zone);
	poke_u32(&cells->cell[at].entries, entries);
	poke_u32(&cells->count, at + 1);
	seq_write_end(&cells->seq);
	return true;
}

static struct shm_frame *last_frame(struct fixture_detail *details)
{
	uint64_t head = peek_u64(&details->frames[ring]->head);

	return &details->frames[ring]->frames[(head ? head - 1 : 0) % SHM_FRAMES];
}

static void new_frame(struct fixture_detail *details, const char *name, const unsigned int n[3])
{
	struct shm_table_log *frames;
	struct shm_frame *frame;
	uint64_t head;

	ring = !strcmp(name, "hour");
	frames = details->frames[ring];
	head = peek_u64(&frames->head);
	frame = &frames->frames[head % SHM_FRAMES];
	empty_frame(frame);
	poke_u64(&frame->real_ns, clock_real_ns());
	poke_u32(&frame->count_entries, n[0]);
	poke_u32(&frame->max_entries, n[1]);
	poke_u32(&frame->sources, n[2]);
	publish_u64(&frames->head, head + 1);
}

/* As people come: a fifth more or less, all sides of one matter alike, the same a minute. */
static void vary_frame(struct shm_frame *to, const struct shm_frame *one, unsigned int i)
{
	static const uint32_t tenths[3] = {10, 12, 8};

	for (unsigned int j = 0; j < SHM_FRAME_ROWS; j++)
		poke_u32(&to->rows[j].new_entries,
			 peek_u32(&one->rows[j].new_entries) * tenths[i % 3] / 10);
}

/* The last `n` + 1 are the last one, an interval apart, the newest of now. */
static void repeat_frame(struct fixture_detail *details, unsigned int n)
{
	struct shm_table_log *frames = details->frames[ring];
	struct shm_frame *one = last_frame(details);
	uint64_t first = peek_u64(&frames->head) - 1;

	for (unsigned int i = 0; i <= n; i++) {
		struct shm_frame *to = &frames->frames[(first + i) % SHM_FRAMES];

		if (to != one)
			memcpy((void *)to, (void *)one, sizeof(*to));
		if (to != one)
			vary_frame(to, one, i);
		poke_u64(&to->real_ns, clock_real_ns() - (n - i) * frames->interval_ns);
	}
	publish_u64(&frames->head, first + n + 1);
}

static void add_frame_row(struct shm_frame *frame, uint32_t row, const unsigned int n[3])
{
	for (unsigned int i = 0; i < SHM_FRAME_ROWS; i++) {
		if (peek_u32(&frame->rows[i].row) != ROW_INVALID)
			continue;
		poke_u32(&frame->rows[i].entries, n[0]);
		poke_u32(&frame->rows[i].new_entries, n[1]);
		poke_u32(&frame->rows[i].destroyed_entries, n[2]);
		poke_u32(&frame->rows[i].row, row);
		return;
	}
}

static void add_frame_cell(struct shm_frame *frame, uint32_t row, int state, unsigned int entries)
{
	for (unsigned int i = 0; i < SHM_FRAME_CELLS; i++) {
		if (peek_u32(&frame->cells[i].cell) != CELL_INVALID)
			continue;
		poke_u32(&frame->cells[i].entries, entries);
		poke_u32(&frame->cells[i].cell,
			 row_first_cell(row) + (uint32_t)(state < 0 ? 0 : state));
		return;
	}
}

static bool frame_command(const char *line, struct fixture_detail *details)
{
	char name[16], direction[16], state[24];
	unsigned int port, n[4];

	if (sscanf(line, "frame %15s %u %u %u", name, &n[0], &n[1], &n[2]) == 4) {
		new_frame(details, name, n);
	} else if (sscanf(line, "frame-row %15s %15s %u %u %u %u", name, direction, &port, &n[0],
			  &n[1], &n[2]) == 6) {
		add_frame_row(last_frame(details), row_named(name, direction, port), n);
	} else if (sscanf(line, "frame-cell %15s %15s %u %23s %u", name, direction, &port, state,
			  &n[0]) == 5) {
		add_frame_cell(last_frame(details), row_named(name, direction, port),
			       state_by_name((unsigned int)l4proto_by_name(name), state), n[0]);
	} else if (sscanf(line, "frame-lost %u %u %u %u", &n[0], &n[1], &n[2], &n[3]) == 4) {
		struct shm_frame *frame = last_frame(details);

		poke_u32(&frame->drops, n[0]);
		poke_u32(&frame->chaintoolong, n[1]);
		poke_u32(&frame->insert_failed, n[2]);
		poke_u32(&frame->found, n[3]);
	} else if (sscanf(line, "frames %u", &n[0]) == 1) {
		repeat_frame(details, n[0]);
	} else {
		return false;
	}
	return true;
}

bool detail_command(const char *line, struct fixture_detail *details)
{
	char name[64], direction[64], state[24] = "";
	unsigned long long n, ends[SHM_END_COUNT];
	unsigned int port, values[4] = {0};
	double seconds;

	if (frame_command(line, details) || nat_command(line, details->nat) ||
	    zone_command(line, details->zone_cells))
		return true;
	if (sscanf(line, "timeout %63s %u", name, &port) == 2 && timeout_by_name(name) >= 0) {
		poke_u32(&details->timeouts[timeout_by_name(name)], port);
	} else if (sscanf(line, "stays %63s %63s %u %23s %llu %lf", name, direction, &port, state,
			  &n, &seconds) == 6) {
		add_stays(detail_of(details, row_named(name, direction, port)),
			  (unsigned int)l4proto_by_name(name), state, n, seconds);
	} else if (sscanf(line, "ends %63s %63s %u %llu %llu %llu %llu %llu", name, direction,
			  &port, &ends[0], &ends[1], &ends[2], &ends[3], &ends[4]) == 8) {
		struct shm_detail *detail = detail_of(details, row_named(name, direction, port));

		for (unsigned int i = 0; i < SHM_END_COUNT; i++)
			poke_u64(&detail->ends[i], ends[i]);
	} else if (sscanf(line, "talker %63s %63s %u %u %u %23s %u", name, direction, &values[0],
			  &values[1], &values[2], state, &values[3]) >= 5) {
		add_talker(details->talkers, name, direction, values, state);
	} else if (sscanf(line, "tracked %63s %u", name, &port) == 2) {
		poke_u32(&details->talkers->list[kind_of(name)].tracked, port);
	} else if (!strcmp(line, "hang-talkers")) {
		seq_write_begin(&details->talkers->seq);
	} else {
		return false;
	}
	return true;
}
