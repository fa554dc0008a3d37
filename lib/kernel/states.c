// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/kernel/states.h"

#include <stddef.h>
#include <strings.h>

#define PORTED_ROWS   (DIR_COUNT * PORT_COUNT)
#define PORTLESS_ROWS ((uint32_t)DIR_COUNT)

/* Bases in the order of states.def: tcp, udp, sctp, other, then the portless. */
#define ROWS_BEFORE_OTHER   (3u * PORTED_ROWS)
#define ROWS_BEFORE_ICMP    (4u * PORTED_ROWS)
#define CELLS_BEFORE_UDP    (PORTED_ROWS * 16u)
#define CELLS_BEFORE_SCTP   (CELLS_BEFORE_UDP + PORTED_ROWS * 4u)
#define CELLS_BEFORE_OTHER  (CELLS_BEFORE_SCTP + PORTED_ROWS * 16u)
#define CELLS_BEFORE_ICMP   (CELLS_BEFORE_OTHER + PORTED_ROWS * 4u)
#define CELLS_BEFORE_ICMPV6 (CELLS_BEFORE_ICMP + PORTLESS_ROWS * 4u)
#define CELLS_BEFORE_GRE    (CELLS_BEFORE_ICMPV6 + PORTLESS_ROWS * 4u)

_Static_assert(ROWS_BEFORE_ICMP + 3u * PORTLESS_ROWS == ROW_COUNT, "row count follows the table");
_Static_assert(CELLS_BEFORE_GRE + PORTLESS_ROWS * 4u == CELL_COUNT, "cell count follows the table");

/* cell_slot() takes the low bits of a cell. */
_Static_assert(CELLS_BEFORE_UDP % STATE_SLOTS_MAX == 0 &&
		       CELLS_BEFORE_SCTP % STATE_SLOTS_MAX == 0 &&
		       CELLS_BEFORE_OTHER % STATE_SLOTS_MAX == 0,
	       "rows of 16 states begin at multiples of 16");

#define SLOT_BITS_TCP	  4
#define SLOT_BITS_SCTP	  4
#define SLOT_BITS_GENERIC 2

#define PROTO_BASES_TCP	   0, PORTED_ROWS, 0
#define PROTO_BASES_UDP	   PORTED_ROWS, PORTED_ROWS, CELLS_BEFORE_UDP
#define PROTO_BASES_SCTP   2u * PORTED_ROWS, PORTED_ROWS, CELLS_BEFORE_SCTP
#define PROTO_BASES_OTHER  ROWS_BEFORE_OTHER, PORTED_ROWS, CELLS_BEFORE_OTHER
#define PROTO_BASES_ICMP   ROWS_BEFORE_ICMP, PORTLESS_ROWS, CELLS_BEFORE_ICMP
#define PROTO_BASES_ICMPV6 ROWS_BEFORE_ICMP + PORTLESS_ROWS, PORTLESS_ROWS, CELLS_BEFORE_ICMPV6
#define PROTO_BASES_GRE	   ROWS_BEFORE_ICMP + 2u * PORTLESS_ROWS, PORTLESS_ROWS, CELLS_BEFORE_GRE

static const struct l4proto_info protos[L4_COUNT] = {
#define L4PROTO(id, name, has_ports, cls, help)                                                    \
	[L4_##id] = {name, help, CLASS_##cls, has_ports, SLOT_BITS_##cls, PROTO_BASES_##id},
#include "lib/kernel/states.def"
#undef L4PROTO
};

static const char *const directions[DIR_COUNT] = {
#define DIRECTION(id, name, help) [DIR_##id] = name,
#include "lib/kernel/states.def"
#undef DIRECTION
};

struct state_text {
	const char *name;
	const char *help;
};

static const struct state_text states[][STATE_SLOTS_MAX] = {
#define STATE(cls, index, id, name, help) [CLASS_##cls][index] = {name, help},
#include "lib/kernel/states.def"
#undef STATE
};

const struct l4proto_info *l4proto_info(unsigned int l4proto)
{
	return l4proto < L4_COUNT ? &protos[l4proto] : NULL;
}

const char *direction_name(unsigned int direction)
{
	return direction < DIR_COUNT ? directions[direction] : NULL;
}

static const struct state_text *state_text(unsigned int l4proto, unsigned int state)
{
	static const struct state_text none;

	if (l4proto >= L4_COUNT || state >= STATE_SLOTS_MAX)
		return &none;
	return &states[protos[l4proto].state_class][state];
}

const char *state_name(unsigned int l4proto, unsigned int state)
{
	return state_text(l4proto, state)->name;
}

const char *state_help(unsigned int l4proto, unsigned int state)
{
	return state_text(l4proto, state)->help;
}

int l4proto_by_name(const char *name)
{
	for (int i = 0; i < L4_COUNT; i++)
		if (strcasecmp(name, protos[i].name) == 0)
			return i;
	return -1;
}

int direction_by_name(const char *name)
{
	for (int i = 0; i < DIR_COUNT; i++)
		if (strcasecmp(name, directions[i]) == 0)
			return i;
	return -1;
}

int state_by_name(unsigned int l4proto, const char *name)
{
	for (unsigned int i = 0; i < STATE_SLOTS_MAX; i++) {
		const char *known = state_name(l4proto, i);

		if (known && strcasecmp(name, known) == 0)
			return (int)i;
	}
	return -1;
}

uint32_t row_of(struct row_key key)
{
	if (key.l4proto >= L4_COUNT || key.direction >= DIR_COUNT)
		return ROW_INVALID;
	const struct l4proto_info *info = &protos[key.l4proto];

	if (!info->has_ports)
		return info->row_base + key.direction;
	return info->row_base + key.direction * PORT_COUNT + key.port;
}

/* The protocol of a row or ROW_COUNT and above: NULL. Most are TCP's and UDP's. */
static const struct l4proto_info *row_proto(uint32_t row)
{
	if (row < PORTED_ROWS)
		return &protos[L4_TCP];
	if (row < 2u * PORTED_ROWS)
		return &protos[L4_UDP];
	for (unsigned int i = 0; i < L4_COUNT; i++)
		if (row - protos[i].row_base < protos[i].row_count)
			return &protos[i];
	return NULL;
}

/* Row number `at` of those of one protocol. */
static void fill_key(struct row_key *key, const struct l4proto_info *info, uint32_t at)
{
	key->l4proto = (uint8_t)(info - protos);
	key->direction = (uint8_t)(info->has_ports ? at / PORT_COUNT : at);
	key->port = (uint16_t)(info->has_ports ? at % PORT_COUNT : 0);
}

bool row_key_of(uint32_t row, struct row_key *ret_key)
{
	const struct l4proto_info *info = row_proto(row);

	if (!info)
		return false;
	fill_key(ret_key, info, row - info->row_base);
	return true;
}

uint32_t row_first_cell(uint32_t row)
{
	const struct l4proto_info *info = row_proto(row);

	return info ? info->cell_base + ((row - info->row_base) << info->state_bits) : CELL_INVALID;
}

uint32_t row_state_slots(uint32_t row)
{
	const struct l4proto_info *info = row_proto(row);

	return info ? 1u << info->state_bits : 0;
}

uint32_t cell_of(struct row_key key, unsigned int state)
{
	uint32_t row = row_of(key);

	if (row == ROW_INVALID || state >= row_state_slots(row))
		return CELL_INVALID;
	return row_first_cell(row) + state;
}

static const struct l4proto_info *cell_proto(uint32_t cell)
{
	if (cell < CELLS_BEFORE_UDP)
		return &protos[L4_TCP];
	if (cell < CELLS_BEFORE_SCTP)
		return &protos[L4_UDP];
	for (unsigned int i = 0; i < L4_COUNT; i++) {
		const struct l4proto_info *info = &protos[i];

		if (cell - info->cell_base < info->row_count << info->state_bits)
			return info;
	}
	return NULL;
}

uint32_t cell_row(uint32_t cell)
{
	const struct l4proto_info *info = cell_proto(cell);

	return info ? info->row_base + ((cell - info->cell_base) >> info->state_bits) : ROW_INVALID;
}

unsigned int cell_state(uint32_t cell)
{
	const struct l4proto_info *info = cell_proto(cell);

	return info ? (cell - info->cell_base) & ((1u << info->state_bits) - 1u) : STATE_SLOTS_MAX;
}

/* Called more than once per event, so the protocol is looked up only once. */
bool cell_key_of(uint32_t cell, struct row_key *ret_key, unsigned int *ret_state)
{
	const struct l4proto_info *info = cell_proto(cell);
	uint32_t at;

	if (!info)
		return false;
	at = cell - info->cell_base;
	fill_key(ret_key, info, at >> info->state_bits);
	*ret_state = at & ((1u << info->state_bits) - 1u);
	return true;
}
