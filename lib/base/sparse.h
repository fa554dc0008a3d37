// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Large arrays of which little is used: they take address space; memory is allocated page by page
 * on the first write, and unwritten parts read as zero.
 *
 * The owner calls sparse_free() with the same size; NULL is no error there. Both calls are
 * system calls: not for the path of an event.
 */
#ifndef CONNTIDE_BASE_SPARSE_H
#define CONNTIDE_BASE_SPARSE_H

#include <stddef.h>

/* NULL: out of address space. */
void *sparse_alloc(size_t bytes);

/* The same, but nothing may be touched before mprotect(2) has said so. */
void *sparse_reserve(size_t bytes);

void sparse_free(void *at, size_t bytes);

#endif
