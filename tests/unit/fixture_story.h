// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands of segment-fixture that write timeouts, details, talkers and scenes.
 *
 *	timeout NAME SECONDS		a name of timeouts.def
 *	stays L4PROTO DIRECTION PORT STATE|whole|tail N SECONDS
 *	ends L4PROTO DIRECTION PORT EXPIRED CLOSED EVICTED DELETED UNSEEN
 *	talker KIND ADDRESS ENTRIES ERROR MORE [L4PROTO PORT]
 *	tracked KIND KEYS
 *	scene minutes|hour COUNT MAX SOURCES	a new one, of now
 *	scene-row L4PROTO DIRECTION PORT ENTRIES NEW DESTROYED	of that scene
 *	scene-cell L4PROTO DIRECTION PORT STATE ENTRIES
 *	scene-lost DROPS CHAINTOOLONG INSERT_FAILED FOUND
 *	scenes N			that scene N times more, an interval apart, the newest of
 *now hang-talkers			a writer that died inside a write
 */
#ifndef CONNTIDE_TESTS_FIXTURE_STORY_H
#define CONNTIDE_TESTS_FIXTURE_STORY_H

#include <stdbool.h>

#include "lib/shm/layout.h"

struct fixture_story {
	_Atomic uint32_t *timeouts;
	struct shm_detail *details;
	struct shm_talkers *talkers;
	struct shm_scenes *scenes[2]; /* minutes, hour */
};

/* As an agent leaves them that has just started. */
void story_init(struct fixture_story *story);
/* False: no command of these. */
bool story_command(const char *line, struct fixture_story *story);

#endif
