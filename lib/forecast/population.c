// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who is in a stage, by second of entry: rings that grow coarser with age.
 * Level l holds FC_SLOTS slots of fc_width_s[l]; what leaves one level moves
 * into the next, so that any entry is found by when it came, in O(1).
 */
#include "lib/forecast/priv.h"

const int fc_width_s[FC_LEVELS] = {1, 8, 64, 1024};

/* Level and slot that hold entries of this second of entry; false: too old. */
static bool slot_of(int64_t now_s, int64_t since_s, unsigned int *level, unsigned int *slot)
{
	unsigned int l;

	for (l = 0; l < FC_LEVELS; l++) {
		int64_t now_at = now_s / fc_width_s[l], at = since_s / fc_width_s[l];

		if (now_at - at < FC_SLOTS - 1) {
			*level = l;
			*slot = (unsigned int)((uint64_t)at % FC_SLOTS);
			return true;
		}
	}
	return false;
}

void fc_cell_add(struct forecast *f, struct fc_cell *c, int64_t since_s, bool unknown)
{
	unsigned int level, slot;

	c->n_total++;
	f->cls[c->class_id].n_total++;
	if (unknown || !slot_of(f->now_s, since_s, &level, &slot)) {
		c->n_unknown++;
		return;
	}
	c->n[level][slot]++;
}

void fc_cell_remove(struct forecast *f, struct fc_cell *c, int64_t since_s, bool unknown)
{
	unsigned int level, slot;

	if (c->n_total > 0) {
		c->n_total--;
		f->cls[c->class_id].n_total--;
	}
	if (!unknown && slot_of(f->now_s, since_s, &level, &slot) && c->n[level][slot] > 0)
		c->n[level][slot]--;
	else if (c->n_unknown > 0)
		c->n_unknown--;
}

/* Entries of a fixed deadline that is long past were lost, not kept. */
void fc_cell_forget_ghosts(struct forecast *f, struct fc_cell *c)
{
	unsigned int l, s;
	int64_t now_at, since;

	if (c->refreshed)
		return;
	for (l = 0; l < FC_LEVELS; l++) {
		now_at = f->now_s / fc_width_s[l];
		for (s = 0; s < FC_SLOTS; s++) {
			since = (now_at - (int64_t)(((uint64_t)now_at - s) % FC_SLOTS)) *
				fc_width_s[l];
			if (!c->n[l][s] ||
			    f->now_s - since <
				    (int64_t)fc_cell_timeout_at(c, since) + 100 + 2 * fc_width_s[l])
				continue;
			c->n_total -= c->n[l][s];
			f->cls[c->class_id].n_total -= c->n[l][s];
			c->n[l][s] = 0;
		}
	}
}

void fc_cells_drop_ghosts(struct forecast *f, int32_t ghosts)
{
	unsigned int i;
	int64_t late, since;

	for (late = 90; late >= 5 && ghosts > 0; late -= 5) {
		for (i = 0; i < f->n_cells && ghosts > 0; i++) {
			struct fc_cell *c = &f->cell[i];
			unsigned int k, slot;

			if (!c->used || c->refreshed || c->n_total <= 0)
				continue;
			for (k = 0; k < 5; k++) {
				int32_t n;

				since = f->now_s - c->epoch_timeout_s[0] - late - k;
				if (since < 0 || f->now_s - since >= FC_SLOTS - 1)
					continue;
				slot = (unsigned int)((uint64_t)since % FC_SLOTS);
				n = c->n[0][slot] < ghosts ? c->n[0][slot] : ghosts;
				c->n[0][slot] -= n;
				c->n_total -= n;
				f->cls[c->class_id].n_total -= n;
				ghosts -= n;
			}
		}
	}
}

/* What leaves level l moves to the next coarser one. */
void fc_cell_fold(struct forecast *f, struct fc_cell *c)
{
	unsigned int l, slot, to_level, to_slot;

	for (l = 0; l < FC_LEVELS; l++) {
		int64_t at = f->now_s / fc_width_s[l] - (FC_SLOTS - 1);
		int32_t n;

		if (f->now_s % fc_width_s[l] || at < 0)
			continue;
		slot = (unsigned int)((uint64_t)at % FC_SLOTS);
		n = c->n[l][slot];
		if (!n)
			continue;
		c->n[l][slot] = 0;
		if (slot_of(f->now_s, at * fc_width_s[l], &to_level, &to_slot))
			c->n[to_level][to_slot] += n;
		else
			c->n_unknown += n;
	}
}
