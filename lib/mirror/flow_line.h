// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A bucket of the mirror's index, or what it is continued in: one cache line of slots. A slot is a
 * record's number and, below it, six bits of its hash (the tag); 0 is free. Slots are dense: those
 * that are free stand at the end.
 *
 * All slots are compared at once, in the vectors of the machine (gcc and clang make them of
 * smaller ones where it has none). Pure; no errors.
 */
#ifndef CONNTIDE_MIRROR_FLOW_LINE_H
#define CONNTIDE_MIRROR_FLOW_LINE_H

#include <stdint.h>

#define FLOW_LINE_SLOTS 15u
#define FLOW_TAG_BITS	6u
#define FLOW_TAG_MASK	0x3fu

typedef uint32_t flow_quad __attribute__((vector_size(16), may_alias));

struct flow_line {
	uint32_t slots[FLOW_LINE_SLOTS];
	uint32_t more; /* the overflow line that continues it, or the next free one; 0: none */
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct flow_line) == 64, "one cache line");

/* Bit i: the bits of slot i under `mask` are `value`. */
static inline uint32_t flow_line_where(const struct flow_line *line, uint32_t mask, uint32_t value)
{
	const flow_quad *quads = (const flow_quad *)line->slots;
	const flow_quad masks = {mask, mask, mask, mask};
	const flow_quad values = {value, value, value, value};
	flow_quad found = ((flow_quad)((quads[0] & masks) == values) & (flow_quad){1, 2, 4, 8}) |
			  ((flow_quad)((quads[1] & masks) == values) &
			   (flow_quad){1u << 4, 1u << 5, 1u << 6, 1u << 7}) |
			  ((flow_quad)((quads[2] & masks) == values) &
			   (flow_quad){1u << 8, 1u << 9, 1u << 10, 1u << 11}) |
			  ((flow_quad)((quads[3] & masks) == values) &
			   (flow_quad){1u << 12, 1u << 13, 1u << 14, 0});

	return found[0] | found[1] | found[2] | found[3];
}

/* How many slots are taken. */
static inline uint32_t flow_line_used(const struct flow_line *line)
{
	uint32_t free_slots = flow_line_where(line, UINT32_MAX, 0);

	return (uint32_t)__builtin_ctz(free_slots | 1u << FLOW_LINE_SLOTS);
}

static inline uint32_t flow_line_number(const struct flow_line *line, uint32_t slot)
{
	return line->slots[slot] >> FLOW_TAG_BITS;
}

#endif
