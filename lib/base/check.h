// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Assertions, in two words, both always compiled in.
 *
 * BUG_ON(cond)    our own bug: prints the place and aborts. Nothing that comes
 *                 from outside (kernel, network, segment, file) may reach it.
 * COUNT_IF(cond)  handled, but odd enough to be counted; yields the condition,
 *                 so it stands inside an `if`. The count is kept per site and
 *                 can be read with check_sites().
 *
 * Objects that travel through a void pointer carry a magic as first member and
 * are taken back with OBJECT_TAKE(), which is a BUG_ON in disguise.
 *
 * Threads: COUNT_IF uses relaxed atomics and may be used anywhere.
 */
#ifndef CONNTIDE_BASE_CHECK_H
#define CONNTIDE_BASE_CHECK_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct check_site {
	const char *file;
	const char *cond;
	uint32_t line;
	_Atomic uint32_t hits;
	struct check_site *next;
};

void check_site_hit(struct check_site *site);

/* The sites hit so far, newest first; NULL when there are none. */
const struct check_site *check_sites(void);

_Noreturn void check_bug(const char *file, int line, const char *func, const char *cond);

#define BUG_ON(cond)                                                                               \
	do {                                                                                       \
		if (__builtin_expect(!!(cond), 0))                                                 \
			check_bug(__FILE__, __LINE__, __func__, #cond);                            \
	} while (0)

#define COUNT_IF(condition)                                                                        \
	__extension__({                                                                            \
		static struct check_site site_ = {                                                 \
			.file = __FILE__, .cond = #condition, .line = __LINE__};                   \
		int hit_ = !!(condition);                                                          \
		if (__builtin_expect(hit_, 0))                                                     \
			check_site_hit(&site_);                                                    \
		hit_;                                                                              \
	})

#define OBJECT_TAKE(to, from, type_magic)                                                          \
	do {                                                                                       \
		(to) = (from);                                                                     \
		BUG_ON((to) == NULL || (to)->magic != (type_magic));                               \
	} while (0)

#endif
