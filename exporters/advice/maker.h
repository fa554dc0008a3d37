// SPDX-License-Identifier: GPL-2.0-or-later
/* How advice.c and relief.c make items: begun, named, and evaluated by their what-if. Pure. */
#ifndef CONNTIDE_ADVICE_MAKER_H
#define CONNTIDE_ADVICE_MAKER_H

#include <stdbool.h>

#include "exporters/advice/advice_item.h"

struct maker {
	struct advice *advice;
	const struct why *why;
	const struct model *model;
	int err;
};

/* NULL when there is no room, or there is one of that id already. */
struct advice_item *maker_item(struct maker *maker, const struct finding *finding, enum merit merit,
			       const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void maker_title(struct advice_item *item, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* What the what-if of the same words says. False: nothing worth it; the item is gone. */
bool maker_evaluate(struct maker *maker, struct advice_item *item, const struct whatif *whatif);

/* What it saves of the table as it is, or as it was when it was fullest. */
double item_largest_ratio(const struct advice_item *item);

#endif
