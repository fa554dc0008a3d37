// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conntide-replay's mirror: trace id -> what the forecast must be told back.
 * Included by replay_main.c and replay_map.c. Stands in for the agent's flow
 * table; the forecast sees it through forecast_move() only. One thread.
 */
#ifndef CONNTIDE_REPLAY_MAP_H
#define CONNTIDE_REPLAY_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct replay_entry {
	uint64_t id;
	int64_t since_ns;
	uint16_t port;
	uint8_t l4proto, stage;
	bool used;
};

struct replay_map;

/* NULL: no memory. */
struct replay_map *replay_map_create(void);
void replay_map_destroy(struct replay_map *m);

/* NULL: not there. Pointers are valid until the next add or remove. */
struct replay_entry *replay_map_find(struct replay_map *m, uint64_t id);

/* A new entry for id, which is not there yet. NULL: no memory. */
struct replay_entry *replay_map_add(struct replay_map *m, uint64_t id);
void replay_map_remove(struct replay_map *m, struct replay_entry *e);

#endif
