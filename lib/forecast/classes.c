// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/classes.h"

#include <string.h>

#define POOLED_CLASSES	 FC_L4PROTOS
#define ROOM_FOR_FIRST	 16 /* ports that get a class at first sight */
#define SIGHTS_FOR_CLASS 12 /* later ones must be seen this often */
#define IDLE_CLASS_S	 900
#define FIRST_S		 30 /* found entries come within these */

static void init_class(struct fc_class *cl, uint8_t l4proto, uint8_t direction, uint16_t port,
		       bool pooled)
{
	memset(cl, 0, sizeof(*cl));
	cl->used = true;
	cl->pooled = pooled;
	cl->l4proto = l4proto;
	cl->direction = direction;
	cl->port = port;
	cl->own_from_s = cl->thrown_out_s = INT64_MIN / 2;
	memset(cl->cell, FC_NO_CELL, sizeof(cl->cell));
}

void fc_classes_init(struct forecast *f)
{
	unsigned int p;

	for (p = 0; p < POOLED_CLASSES; p++)
		init_class(&f->cls[p], (uint8_t)p, 0, 0, true);
}

static int free_slot(struct forecast *f, bool first_sight)
{
	unsigned int i, s, used = 0;
	int slot = -1, idle = -1;

	for (i = POOLED_CLASSES; i < FC_CLASSES; i++) {
		struct fc_class *cl = &f->cls[i];

		if (!cl->used) {
			slot = (int)i;
			continue;
		}
		used++;
		if (f->now_s - cl->last_seen_s > IDLE_CLASS_S && fc_class_entries(f, cl) <= 0)
			idle = (int)i;
	}
	if (first_sight && used >= ROOM_FOR_FIRST)
		return -1;
	if (slot >= 0 || idle < 0)
		return slot;
	for (s = 0; s < FC_STAGES; s++)
		if (f->cls[idle].cell[s] != FC_NO_CELL)
			f->cell[f->cls[idle].cell[s]].used = false;
	return idle;
}

/* How often a port without a class was seen, in a small table. */
static unsigned int sights(struct forecast *f, uint32_t key)
{
	unsigned int i, least = 0;

	for (i = 0; i < FC_SIGHTINGS; i++) {
		if (f->sighting[i].key == key && f->sighting[i].hits)
			return ++f->sighting[i].hits;
		if (f->sighting[i].hits < f->sighting[least].hits)
			least = i;
	}
	f->sighting[least].key = key;
	f->sighting[least].hits = 1;
	return 1;
}

struct fc_class *fc_class_of(struct forecast *f, const struct fc_move *m, int64_t since_s,
			     bool unknown)
{
	uint8_t proto = m->l4proto < FC_L4PROTOS ? m->l4proto : FC_L4PROTOS - 1;
	uint8_t direction = m->direction & 3;
	uint32_t key = (uint32_t)m->port | (uint32_t)proto << 16 | (uint32_t)direction << 20;
	struct fc_class *pooled = &f->cls[proto], *cl;
	unsigned int i;
	int slot;

	for (i = POOLED_CLASSES; i < FC_CLASSES; i++) {
		cl = &f->cls[i];
		if (!cl->used || cl->port != m->port || cl->l4proto != proto ||
		    cl->direction != direction)
			continue;
		if (cl->own_from_s > INT64_MIN / 2 && (unknown || since_s < cl->own_from_s))
			return pooled;
		return cl;
	}
	if (m->from != FC_NONE)
		return pooled;
	slot = free_slot(f, true);
	if (slot < 0 && sights(f, key) >= SIGHTS_FOR_CLASS)
		slot = free_slot(f, false);
	if (slot < 0)
		return pooled;
	cl = &f->cls[slot];
	init_class(cl, proto, direction, m->port, false);
	if (fc_watched_s(f) < FIRST_S)
		return cl;
	/* entries of this port that came before stay where they were counted */
	cl->own_from_s = f->now_s;
	return unknown || since_s < f->now_s ? pooled : cl;
}

struct fc_cell *fc_cell_of(struct forecast *f, struct fc_class *cl, unsigned int stage)
{
	unsigned int i, first, last, s, id = (unsigned int)(cl - f->cls);

	if (stage >= FC_STAGES)
		stage = FC_UNKNOWN;
	if (cl->cell[stage] != FC_NO_CELL)
		return &f->cell[cl->cell[stage]];
	/* all stages of this kind of protocol at once: a projection needs them */
	first = stage <= FC_CLOSE ? FC_SYN_SENT : stage == FC_UNKNOWN ? FC_UNKNOWN : FC_UNREPLIED;
	last = stage <= FC_CLOSE ? FC_CLOSE : stage == FC_UNKNOWN ? FC_UNKNOWN : FC_ASSURED;
	for (s = first, i = 0; s <= last; s++) {
		while (i < f->n_cells && f->cell[i].used)
			i++;
		if (i == FC_CELLS)
			return cl->cell[stage] == FC_NO_CELL ? NULL : &f->cell[cl->cell[stage]];
		if (i == f->n_cells)
			f->n_cells++;
		fc_cell_init(&f->cell[i], id, s, f->sysctl_timeout_s[cl->l4proto][s]);
		if (s == FC_ESTABLISHED)
			fc_shift_init(&f->shift[id]);
		cl->cell[s] = (uint8_t)i;
	}
	return &f->cell[cl->cell[stage]];
}
