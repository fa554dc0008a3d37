// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Copies a ring of the segment: a head that counts the elements ever written, and
 * element i at slot i % slots. Oldest first; what the writer went over meanwhile,
 * and the slot it may be in, is left out.
 *
 * Reads shared memory: ring_copy() runs under shm_guarded(). Allocates nothing.
 */
#ifndef CONNTIDE_SHM_RING_H
#define CONNTIDE_SHM_RING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct ring {
	const _Atomic uint64_t *head;
	const void *elements; /* slot 0 */
	uint64_t slots;
	size_t from_bytes; /* of an element there... */
	size_t to_bytes;   /* ...and here */
	void (*copy)(const void *from, void *to);
	void *to;     /* room for `slots` elements, the caller's */
	size_t count; /* out: elements copied */
};

/* For shm_guarded(): `arg` is a struct ring. Always 0. */
int ring_copy(void *arg);

#endif
