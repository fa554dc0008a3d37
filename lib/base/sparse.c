// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/base/sparse.h"

#include <sys/mman.h>

static void *map(size_t bytes, int protection)
{
	void *at =
		mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

void *sparse_alloc(size_t bytes)
{
	return map(bytes, PROT_READ | PROT_WRITE);
}

void *sparse_reserve(size_t bytes)
{
	return map(bytes, PROT_NONE);
}

void sparse_free(void *at, size_t bytes)
{
	if (at)
		munmap(at, bytes);
}
