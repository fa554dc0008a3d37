// SPDX-License-Identifier: GPL-2.0-or-later
/* lib/base/topn and sparse: against a sort of everything; what is never written costs nothing. */
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/base/sparse.h"
#include "lib/base/topn.h"

struct item {
	uint16_t number;
	uint32_t weight;
	char rest[9];
};

#define SHOWN 700u
#define ROOM  32u

static int by_weight(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	if (x->weight != y->weight)
		return x->weight < y->weight ? 1 : -1;
	return x->number < y->number ? -1 : 1;
}

/* As a stable sort would have it, after each item. */
static void check(struct rng *rng, uint32_t values, int direction)
{
	static struct item all[SHOWN];
	struct item kept[ROOM + 1u], sorted[SHOWN];
	struct item guard = {.number = 4711};
	uint32_t count = 0;
	struct topn top = TOPN(kept, count, weight);

	top.room = ROOM;
	kept[ROOM] = guard;
	for (uint16_t i = 0; i < SHOWN; i++) {
		all[i] = (struct item){.number = i, .rest = "the rest"};
		all[i].weight = direction > 0	? i
				: direction < 0 ? UINT32_MAX - i
						: rng_below(rng, values);
		topn_add(&top, &all[i]);
		memcpy(sorted, all, sizeof(all));
		qsort(sorted, i + 1u, sizeof(sorted[0]), by_weight);
		assert_int_equal(count, i + 1u < ROOM ? i + 1u : ROOM);
		for (uint32_t n = 0; n < count; n++) {
			assert_int_equal(kept[n].number, sorted[n].number);
			assert_int_equal(kept[n].weight, sorted[n].weight);
			assert_string_equal(kept[n].rest, "the rest");
		}
	}
	assert_int_equal(kept[ROOM].number, 4711);
}

static void test_against_a_sort(void **state)
{
	struct rng rng = rng_seeded(1);

	(void)state;
	check(&rng, 1, 0); /* all the same */
	check(&rng, 2, 0);
	check(&rng, 50, 0);
	check(&rng, UINT32_MAX, 0);
	check(&rng, 0, 1);
	check(&rng, 0, -1);
}

static void test_small_rooms(void **state)
{
	struct item kept[2], item = {.weight = 5};
	uint32_t count = 0;
	struct topn top = TOPN(kept, count, weight);

	(void)state;
	assert_int_equal(top.room, 2);
	top.room = 0;
	topn_add(&top, &item);
	assert_int_equal(count, 0);
	top.room = 1;
	topn_add(&top, &item);
	item = (struct item){.number = 1, .weight = 6};
	topn_add(&top, &item);
	item = (struct item){.number = 2, .weight = 6};
	topn_add(&top, &item);
	assert_int_equal(count, 1);
	assert_int_equal(kept[0].number, 1);
	/* Nothing is too small while there is room. */
	top.room = 2;
	item = (struct item){.number = 3, .weight = 0};
	topn_add(&top, &item);
	assert_int_equal(count, 2);
	assert_int_equal(kept[1].number, 3);
}

static size_t resident_pages(void *at, size_t bytes)
{
	size_t pages = bytes / (size_t)sysconf(_SC_PAGESIZE), found = 0;
	unsigned char *in = calloc(pages, 1);

	assert_int_equal(mincore(at, bytes, in), 0);
	for (size_t i = 0; i < pages; i++)
		found += in[i] & 1u;
	free(in);
	return found;
}

static void test_sparse_arrays(void **state)
{
	size_t bytes = (size_t)1 << 30;
	char *at = sparse_alloc(bytes);

	(void)state;
	assert_non_null(at);
	assert_int_equal(resident_pages(at, bytes), 0);
	at[12345] = 1;
	assert_int_equal(at[bytes - 1], 0);
	assert_in_range(resident_pages(at, bytes), 1, 1024);
	sparse_free(at, bytes);
	sparse_free(NULL, bytes);
	assert_null(sparse_alloc(SIZE_MAX / 2));
	assert_null(sparse_reserve(SIZE_MAX / 2));
	at = sparse_reserve(bytes);
	assert_int_equal(mprotect(at, 4096, PROT_READ | PROT_WRITE), 0);
	at[0] = 1;
	sparse_free(at, bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_a_sort),
		cmocka_unit_test(test_small_rooms),
		cmocka_unit_test(test_sparse_arrays),
	};

	return cmocka_run_group_tests_name("topn", tests, NULL, NULL);
}
