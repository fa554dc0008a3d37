// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/offline.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/shm/seqlock.h"

uint64_t offline_cells(const struct histogram *hist)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < (ROW_COUNT + 63u) / 64u; i++) {
		uint64_t word = peek_u64(&hist->rowmap[i]);

		for (; word != 0; word &= word - 1)
			sum += histogram_row_entries(hist,
						     i * 64u + (uint32_t)__builtin_ctzll(word));
	}
	return sum;
}

struct recount {
	const struct histogram *hist;
	uint32_t live;
	uint32_t buried;
	uint32_t silent;
	uint32_t unassured;
	uint32_t unknown;
	bool cell_is_empty;
};

static bool recount_one(void *arg, struct flow *flow, uint32_t at)
{
	struct recount *count = arg;
	struct row_key key;
	unsigned int state;

	(void)at;
	if (flow->cell_flags & FLOW_TOMBSTONE) {
		count->buried++;
		return false;
	}
	count->live++;
	count->silent += !!(flow->cell_flags & FLOW_SILENT);
	count->unassured += !(flow->cell_flags & FLOW_ASSURED);
	if (peek_u32(&count->hist->cells[flow_cell(flow)]) == 0 ||
	    !cell_key_of(flow_cell(flow), &key, &state))
		count->cell_is_empty = true;
	else
		count->unknown += (key.l4proto == L4_TCP && state == ST_TCP_UNKNOWN) ||
				  (key.l4proto == L4_SCTP && state == ST_SCTP_UNKNOWN);
	return false;
}

const char *offline_disagrees(struct mirror_offline *offline)
{
	const struct mirror *mirror = &offline->mirror;
	struct recount count = {.hist = &offline->hist};
	struct flow_cursor all = {0, UINT32_MAX};

	flow_scan(&offline->mirror.table, &all, recount_one, &count);
	if (count.cell_is_empty)
		return "a record stands in a cell that holds nothing";
	if (count.live != mirror->entries)
		return "entries and records";
	if (offline_cells(&offline->hist) != mirror->entries)
		return "entries and cells";
	if (count.buried != mirror->tombstones)
		return "tombstones";
	if (count.silent != mirror->silent_entries)
		return "silent entries";
	if (count.unassured != mirror->unassured_entries)
		return "unassured entries";
	if (count.unknown != mirror->unknown_entries)
		return "entries in state unknown";
	if (offline->hist.refused_decrements)
		return "a decrement had to be refused";
	return NULL;
}

struct ct_event offline_event(struct told told)
{
	struct ct_event event = {.id = told.id, .status = told.status, .kind = (uint8_t)told.kind};
	struct ct_key *key = &event.key;

	key->family = AF_INET;
	key->l4num = told.l4num ? told.l4num : IPPROTO_TCP;
	key->src[0] = 10;
	key->src[1] = (uint8_t)(told.number >> 16);
	key->src[2] = (uint8_t)(told.number >> 8);
	key->src[3] = (uint8_t)told.number;
	key->dst[0] = 192;
	key->dst[1] = 168;
	key->dst[3] = 1;
	key->sport = 40000;
	key->dport = (uint16_t)(80 + told.number % 7);
	memcpy(event.reply_src, key->dst, sizeof(event.reply_src));
	event.reply_sport = key->dport;
	memcpy(event.reply_dst, key->src, sizeof(event.reply_dst));
	event.reply_dport = key->sport;
	if (told.status & CT_STATUS_SRC_NAT) {
		const uint8_t outside[4] = {203, 0, 113, (uint8_t)(told.number % 3)};

		memcpy(event.reply_dst, outside, sizeof(outside));
		event.reply_dport = (uint16_t)(1024 + told.number % 60000);
	}
	event.has = CT_HAS_STATUS | CT_HAS_REPLY | CT_HAS_TIMEOUT;
	if (told.state >= 0) {
		event.has |= CT_HAS_PROTO_STATE;
		event.proto_state = (uint8_t)told.state;
	}
	event.hash = ct_hash(key);
	return event;
}
