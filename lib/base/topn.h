// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Keeps the largest N of the items it is given, in order, largest first; of equals the one that
 * came first. Items are of any type that has its weight in a uint32_t.
 *
 *	struct top_row rows[10];
 *	uint32_t count = 0;
 *	struct topn top = TOPN(rows, count, entries);
 *
 *	topn_add(&top, &(struct top_row){.row = 7, .entries = 31});
 *
 * The array and the count are the caller's, may be kept from pass to pass and are always in
 * order. No allocation. Most items are too small and cost a comparison; one that gets in costs at
 * most one move of the array, and of M items in random order only about N * ln(M / N) get in.
 */
#ifndef CONNTIDE_BASE_TOPN_H
#define CONNTIDE_BASE_TOPN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct topn {
	void *items;
	uint32_t *count;
	uint32_t room;
	uint32_t item_bytes;
	uint32_t weight_at; /* offset of the weight in an item */
};

/* `array` must be an array, not a pointer; `used` a uint32_t variable. */
#define TOPN(array, used, weight)                                                                  \
	{                                                                                          \
		.items = (array), .count = &(used),                                                \
		.room = (uint32_t)(sizeof(array) / sizeof((array)[0])),                            \
		.item_bytes = (uint32_t)sizeof((array)[0]),                                        \
		.weight_at =                                                                       \
			(uint32_t)((const char *)&(array)[0].weight - (const char *)&(array)[0])   \
	}

static inline uint32_t topn_weight(const struct topn *top, uint32_t i)
{
	uint32_t weight;

	memcpy(&weight, (const char *)top->items + (size_t)i * top->item_bytes + top->weight_at,
	       sizeof(weight));
	return weight;
}

/* An item must weigh more than this to get in; nothing is refused while the list has room. */
static inline bool topn_refuses(const struct topn *top, uint32_t weight)
{
	return *top->count == top->room &&
	       (!top->room || weight <= topn_weight(top, top->room - 1u));
}

/* For topn_add(): the item gets in. */
void topn_insert(const struct topn *top, const void *item, uint32_t weight);

/* `item` is copied. */
static inline void topn_add(const struct topn *top, const void *item)
{
	uint32_t weight;

	memcpy(&weight, (const char *)item + top->weight_at, sizeof(weight));
	if (!topn_refuses(top, weight))
		topn_insert(top, item, weight);
}

#endif
