// SPDX-License-Identifier: GPL-2.0-or-later
/* Open addressing with linear probing and backward-shift removal. */
#include "agent/replay_map.h"

#include <stdlib.h>

struct replay_map {
	struct replay_entry *slot;
	uint32_t size, used;	/* size: a power of two */
};

static uint32_t home(const struct replay_map *m, uint64_t id)
{
	return (uint32_t)((id * 0x9E3779B97F4A7C15u) >> 32) & (m->size - 1);
}

struct replay_map *replay_map_create(void)
{
	struct replay_map *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->size = 1u << 14;
	m->slot = calloc(m->size, sizeof(*m->slot));
	if (!m->slot) {
		free(m);
		return NULL;
	}
	return m;
}

void replay_map_destroy(struct replay_map *m)
{
	if (m)
		free(m->slot);
	free(m);
}

struct replay_entry *replay_map_find(struct replay_map *m, uint64_t id)
{
	uint32_t i = home(m, id);

	for (; m->slot[i].used; i = (i + 1) & (m->size - 1))
		if (m->slot[i].id == id)
			return &m->slot[i];
	return NULL;
}

static int grow(struct replay_map *m)
{
	struct replay_entry *old = m->slot;
	uint32_t i, j, old_size = m->size;

	m->slot = calloc(2 * (size_t)old_size, sizeof(*m->slot));
	if (!m->slot) {
		m->slot = old;
		return -1;
	}
	m->size = 2 * old_size;
	for (i = 0; i < old_size; i++) {
		if (!old[i].used)
			continue;
		for (j = home(m, old[i].id); m->slot[j].used; j = (j + 1) & (m->size - 1))
			;
		m->slot[j] = old[i];
	}
	free(old);
	return 0;
}

struct replay_entry *replay_map_add(struct replay_map *m, uint64_t id)
{
	uint32_t i;

	if (2 * m->used >= m->size && grow(m))
		return NULL;
	for (i = home(m, id); m->slot[i].used; i = (i + 1) & (m->size - 1))
		;
	m->slot[i] = (struct replay_entry){.id = id, .used = true};
	m->used++;
	return &m->slot[i];
}

void replay_map_remove(struct replay_map *m, struct replay_entry *e)
{
	uint32_t hole = (uint32_t)(e - m->slot), i = hole, want;

	for (;;) {
		i = (i + 1) & (m->size - 1);
		if (!m->slot[i].used)
			break;
		want = home(m, m->slot[i].id);
		/* may move back only if its home is not between hole and i */
		if (((i - want) & (m->size - 1)) < ((i - hole) & (m->size - 1)))
			continue;
		m->slot[hole] = m->slot[i];
		hole = i;
	}
	m->slot[hole].used = false;
	m->used--;
}
