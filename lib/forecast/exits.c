// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/exits.h"

#include <string.h>

/* Half of the places are free, so a search ends. */
static uint16_t *place_of(struct fc_exits *exits, const struct fc_exit *exit)
{
	uint32_t key = (uint32_t)exit->cell << 24 ^ (uint32_t)exit->bin << 12 ^
		       (uint32_t)exit->late << 4 ^ exit->to;
	uint32_t at = key * UINT32_C(2654435761) >> 16;

	for (;; at++) {
		uint16_t *place = &exits->place[at % FC_EXITS_PLACES];
		const struct fc_exit *kind = &exits->kind[*place ? *place - 1 : 0];

		if (!*place ||
		    (kind->cell == exit->cell && kind->bin == exit->bin && kind->to == exit->to))
			return place;
	}
}

bool fc_exits_add(struct fc_exits *exits, const struct fc_exit *exit)
{
	uint16_t *place = place_of(exits, exit);

	if (*place) {
		exits->kind[*place - 1].n += exit->n;
		return true;
	}
	if (exits->kinds == FC_EXITS)
		return false;
	exits->kind[exits->kinds++] = *exit;
	*place = (uint16_t)exits->kinds;
	return true;
}

void fc_exits_clear(struct fc_exits *exits)
{
	if (exits->kinds)
		memset(exits->place, 0, sizeof(exits->place));
	exits->kinds = 0;
}
