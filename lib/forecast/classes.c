// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/state.h"

#include <string.h>

#define POOLED_CLASSES	 FC_L4PROTOS
#define ROOM_FOR_FIRST	 16 /* ports that get a class at first sight */
#define SIGHTS_FOR_CLASS 12 /* later ones must be seen this often, beyond who shares a place */
#define IDLE_CLASS_S	 900
#define FIRST_S		 30 /* found entries come within these */
#define KEY_VALID	 (UINT32_C(1) << 31)
#define NO_CLASS	 255

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

/* --- where a port is found ---------------------------------------------------- */

static uint8_t proto_of(uint8_t l4proto)
{
	return l4proto < FC_L4PROTOS ? l4proto : FC_L4PROTOS - 1;
}

static uint32_t key_of(uint8_t l4proto, uint8_t direction, uint16_t port)
{
	return (uint32_t)port | (uint32_t)proto_of(l4proto) << 16 |
	       (uint32_t)(direction & 3) << 20 | KEY_VALID;
}

static uint8_t class_with(const struct forecast *f, uint32_t key)
{
	uint8_t i;

	for (i = POOLED_CLASSES; i < FC_CLASSES; i++) {
		const struct fc_class *cl = &f->cls[i];

		if (cl->used && key_of(cl->l4proto, cl->direction, cl->port) == key)
			return i;
	}
	return NO_CLASS;
}

const struct fc_class *fc_class_find(const struct forecast *f, uint8_t l4proto, uint8_t direction,
				     uint16_t port)
{
	uint8_t id = class_with(f, key_of(l4proto, direction, port));

	return id == NO_CLASS ? NULL : &f->cls[id];
}

/* --- ports get a class ---------------------------------------------------------- */

static void free_cells(struct forecast *f, const struct fc_class *cl)
{
	unsigned int s;

	for (s = 0; s < FC_STAGES; s++)
		if (cl->cell[s] != FC_NO_CELL)
			f->cell[cl->cell[s]].used = false;
	f->cells_full = false;
}

static struct fc_class *free_class(struct forecast *f)
{
	struct fc_class *idle = NULL;
	unsigned int i;

	for (i = FC_CLASSES - 1; f->n_own < FC_CLASSES - POOLED_CLASSES; i--)
		if (!f->cls[i].used)
			return &f->cls[i];
	/* Whole seconds pass between two that might find another answer. */
	if (f->no_class_s == f->now_s)
		return NULL;
	for (i = POOLED_CLASSES; i < FC_CLASSES; i++) {
		struct fc_class *cl = &f->cls[i];

		if (f->now_s - cl->last_seen_s > IDLE_CLASS_S && fc_class_entries(f, cl) <= 0)
			idle = cl;
	}
	if (idle)
		free_cells(f, idle);
	else
		f->no_class_s = f->now_s;
	return idle;
}

/* What is known of a port; NULL: others that came to its place are seen more often. */
static struct fc_place *place_of(struct forecast *f, uint32_t key, bool arrives)
{
	struct fc_place *place = &f->place[key * UINT32_C(2654435761) >> 24];
	uint8_t id;

	if (place->key == key)
		return place;
	/* every move asks, and few ports are busy: the classes are walked only for others */
	id = class_with(f, key);
	if (id != NO_CLASS || !place->sights) {
		*place = (struct fc_place){.key = key, .class_id = id};
		return place;
	}
	place->sights -= arrives;
	return NULL;
}

_Static_assert(FC_PLACES == 1u << 8, "place_of() takes eight bits");

struct fc_class *fc_class_of(struct forecast *f, const struct fc_move *m, int64_t since_s,
			     bool unknown)
{
	bool arrives = m->from == FC_NONE;
	struct fc_place *place = place_of(f, key_of(m->l4proto, m->direction, m->port), arrives);
	struct fc_class *pooled = &f->cls[proto_of(m->l4proto)], *cl;

	if (place && place->class_id != NO_CLASS) {
		cl = &f->cls[place->class_id];
		return cl->own_from_s > INT64_MIN / 2 && (unknown || since_s < cl->own_from_s)
			       ? pooled
			       : cl;
	}
	if (!place || !arrives)
		return pooled;
	if (f->n_own >= ROOM_FOR_FIRST && place->sights < SIGHTS_FOR_CLASS) {
		place->sights++;
		return pooled;
	}
	cl = free_class(f);
	if (!cl)
		return pooled;
	f->n_own += !cl->used;
	init_class(cl, proto_of(m->l4proto), m->direction & 3, m->port, false);
	memset(f->place, 0, sizeof(f->place)); /* classes have changed */
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
	if (f->cells_full)
		return NULL;
	/* all stages of this kind of protocol at once: a projection needs them */
	first = stage <= FC_CLOSE ? FC_SYN_SENT : stage == FC_UNKNOWN ? FC_UNKNOWN : FC_UNREPLIED;
	last = stage <= FC_CLOSE ? FC_CLOSE : stage == FC_UNKNOWN ? FC_UNKNOWN : FC_ASSURED;
	for (s = first, i = 0; s <= last; s++) {
		if (cl->cell[s] != FC_NO_CELL)
			continue;
		while (i < f->n_cells && f->cell[i].used)
			i++;
		if (i == FC_CELLS) {
			f->cells_full = true;
			break;
		}
		if (i == f->n_cells)
			f->n_cells++;
		fc_cell_init(&f->cell[i], id, s, f->sysctl_timeout_s[cl->l4proto][s]);
		if (s == FC_ESTABLISHED)
			fc_shift_init(&f->shift[id]);
		cl->cell[s] = (uint8_t)i;
	}
	return cl->cell[stage] == FC_NO_CELL ? NULL : &f->cell[cl->cell[stage]];
}
