// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/base/check.h"

static struct check_site *_Atomic first_site;

void check_site_hit(struct check_site *site)
{
	/* Whoever counts the first hit links the site. */
	if (atomic_fetch_add_explicit(&site->hits, 1, memory_order_relaxed) != 0)
		return;
	struct check_site *head = atomic_load(&first_site);

	do {
		site->next = head;
	} while (!atomic_compare_exchange_weak(&first_site, &head, site));
}

const struct check_site *check_sites(void)
{
	return atomic_load(&first_site);
}

void check_bug(const char *file, int line, const char *func, const char *cond)
{
	fprintf(stderr, "conntide: BUG: %s:%d: %s(): %s\n", file, line, func, cond);
	abort();
}
