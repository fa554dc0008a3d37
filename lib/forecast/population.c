// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/population.h"

const int fc_width_s[FC_LEVELS] = {1, 8, 64, 1024};
/* Their logarithms: a shift costs a tenth of a division. */
static const unsigned int width_log2[FC_LEVELS] = {0, 3, 6, 10};

/* Level and slot that hold entries of this second of entry; false: too old. */
static bool slot_of(int64_t now_s, int64_t since_s, unsigned int *level, unsigned int *slot)
{
	unsigned int l;

	for (l = 0; l < FC_LEVELS; l++) {
		int64_t now_at = now_s >> width_log2[l], at = since_s >> width_log2[l];

		if (now_at - at < FC_SLOTS - 1) {
			*level = l;
			*slot = (unsigned int)((uint64_t)at % FC_SLOTS);
			return true;
		}
	}
	return false;
}

void fc_population_add(struct fc_population *p, int64_t now_s, int64_t since_s, bool unknown)
{
	unsigned int level, slot;

	p->total++;
	if (unknown || !slot_of(now_s, since_s, &level, &slot))
		p->unknown++;
	else
		p->n[level][slot]++;
}

void fc_population_remove(struct fc_population *p, int64_t now_s, int64_t since_s, bool unknown)
{
	unsigned int level, slot;

	if (p->total > 0)
		p->total--;
	if (!unknown && slot_of(now_s, since_s, &level, &slot) && p->n[level][slot] > 0)
		p->n[level][slot]--;
	else if (p->unknown > 0)
		p->unknown--;
}

void fc_population_fold(struct fc_population *p, int64_t now_s)
{
	unsigned int l, slot, to_level, to_slot;

	for (l = 0; l < FC_LEVELS; l++) {
		int64_t at = now_s / fc_width_s[l] - (FC_SLOTS - 1);
		int32_t n;

		if (now_s % fc_width_s[l] || at < 0)
			continue;
		slot = (unsigned int)((uint64_t)at % FC_SLOTS);
		n = p->n[l][slot];
		if (!n)
			continue;
		p->n[l][slot] = 0;
		if (slot_of(now_s, at * fc_width_s[l], &to_level, &to_slot))
			p->n[to_level][to_slot] += n;
		else
			p->unknown += n;
	}
}

bool fc_population_next(const struct fc_population *p, int64_t now_s, struct fc_slot *slot)
{
	unsigned int at = slot->begun ? slot->at + 1 : 0, l = slot->level;

	slot->begun = true;
	for (; l < FC_LEVELS; l++, at = 0) {
		while (at < FC_SLOTS && !p->n[l][at])
			at++;
		if (at < FC_SLOTS)
			break;
	}
	if (l == FC_LEVELS)
		return false;
	slot->level = l;
	slot->at = at;
	slot->width_s = fc_width_s[l];
	slot->entries = p->n[l][at];
	now_s /= slot->width_s;
	slot->since_s = (now_s - (int64_t)(((uint64_t)now_s - at) % FC_SLOTS)) * slot->width_s;
	return true;
}

int32_t fc_population_drop(struct fc_population *p, const struct fc_slot *slot, int32_t n)
{
	int32_t *held = &p->n[slot->level][slot->at];

	n = n < *held ? n : *held;
	*held -= n;
	p->total -= n;
	return n;
}
