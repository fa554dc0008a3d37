// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/base/topn.h"

void topn_insert(const struct topn *top, const void *item, uint32_t weight)
{
	uint32_t low = 0, high = *top->count, kept;
	char *place;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (topn_weight(top, middle) >= weight)
			low = middle + 1;
		else
			high = middle;
	}
	if (*top->count < top->room)
		++*top->count;
	kept = *top->count - 1u - low;
	place = (char *)top->items + (size_t)low * top->item_bytes;
	memmove(place + top->item_bytes, place, (size_t)kept * top->item_bytes);
	memcpy(place, item, top->item_bytes);
}
