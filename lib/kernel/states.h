// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Names and geometry of the histogram [l4proto][direction][port][state].
 *
 * A *row* is one (l4proto, direction, port); a *cell* is one state of a row.
 * Protocols without ports have one row per direction, port 0. Rows and cells are
 * numbered densely, so that both fit 32 bits and a cell names everything:
 *
 *   row  = row_base[l4proto]  + direction * ports + port
 *   cell = cell_base[l4proto] + ((row - row_base[l4proto]) << state_bits) + state
 *
 * All functions are pure and total: an argument out of range gives
 * CELL_INVALID, ROW_INVALID, NULL or false, never undefined behaviour, because
 * numbers read from a segment are outside input.
 */
#ifndef CONNTIDE_KERNEL_STATES_H
#define CONNTIDE_KERNEL_STATES_H

#include <stdbool.h>
#include <stdint.h>

enum l4proto {
#define L4PROTO(id, name, has_ports, cls, help) L4_##id,
#include "lib/kernel/states.def"
#undef L4PROTO
	L4_COUNT
};

enum direction {
#define DIRECTION(id, name, help) DIR_##id,
#include "lib/kernel/states.def"
#undef DIRECTION
	DIR_COUNT
};

enum state_class { CLASS_TCP, CLASS_SCTP, CLASS_GENERIC };

enum state_index {
#define STATE(cls, index, id, name, help) ST_##cls##_##id = (index),
#include "lib/kernel/states.def"
#undef STATE
};

#define STATE_SLOTS_MAX 16u
#define PORT_COUNT	65536u

/* Rows and cells in all; asserted against the tables in states.c. */
#define ROW_COUNT  (4u * DIR_COUNT * PORT_COUNT + 3u * DIR_COUNT)
#define CELL_COUNT (DIR_COUNT * PORT_COUNT * (16u + 4u + 16u + 4u) + 3u * DIR_COUNT * 4u)

#define ROW_INVALID  UINT32_MAX
#define CELL_INVALID UINT32_MAX

struct row_key {
	uint8_t l4proto;   /* enum l4proto */
	uint8_t direction; /* enum direction */
	uint16_t port;	   /* host order; 0 where the protocol has none */
};

struct l4proto_info {
	const char *name;
	const char *help;
	enum state_class state_class;
	uint32_t has_ports;
	uint32_t state_bits; /* log2 of the state slots of a row */
	uint32_t row_base;
	uint32_t row_count;
	uint32_t cell_base;
};

const struct l4proto_info *l4proto_info(unsigned int l4proto);
const char *direction_name(unsigned int direction);

/* NULL for a slot that no state uses. */
const char *state_name(unsigned int l4proto, unsigned int state);
const char *state_help(unsigned int l4proto, unsigned int state);

/* By name, for filters; -1 when there is no such name. State names are matched
 * without regard to case. */
int l4proto_by_name(const char *name);
int direction_by_name(const char *name);
int state_by_name(unsigned int l4proto, const char *name);

/* The port is ignored (taken as 0) for protocols that have none. */
uint32_t row_of(struct row_key key);
bool row_key_of(uint32_t row, struct row_key *ret_key);

/* First cell of a row, and how many state slots it has. */
uint32_t row_first_cell(uint32_t row);
uint32_t row_state_slots(uint32_t row);

uint32_t cell_of(struct row_key key, unsigned int state);
uint32_t cell_row(uint32_t cell);
unsigned int cell_state(uint32_t cell);
bool cell_key_of(uint32_t cell, struct row_key *ret_key, unsigned int *ret_state);

/* The state of a cell of a protocol that has STATE_SLOTS_MAX of them (TCP, SCTP), without asking
 * which protocol it is of. */
static inline unsigned int cell_slot(uint32_t cell)
{
	return cell % STATE_SLOTS_MAX;
}

#endif
