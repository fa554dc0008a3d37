// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/maker.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "exporters/advice/facts.h"
#include "exporters/advice/patterns.h"

/* A remedy that is no cure must save this part of the table, or it is noise. */
#define SAVES_RATIO_MIN 0.05

struct advice_item *maker_item(struct maker *maker, const struct finding *finding, enum merit merit,
			       const char *fmt, ...)
{
	struct advice *advice = maker->advice;
	struct advice_item *item = &advice->items[advice->count];
	va_list args;

	if (advice->count == ADVICE_ITEMS)
		return NULL;
	memset(item, 0, sizeof(*item));
	item->settles_at_entries_then = item->settles_fewer_entries = item->lasts_s = (double)NAN;
	item->counted = (struct savings){(double)NAN, (double)NAN, (double)NAN,
					 0,	      (double)NAN, (double)NAN};
	item->families = facts_families(
		maker->why->snap, maker->why->details,
		finding && finding->row_count && finding->rows[0].port ? &finding->rows[0] : NULL);
	va_start(args, fmt);
	vsnprintf(item->id, sizeof(item->id), fmt, args);
	va_end(args);
	for (uint32_t i = 0; i < advice->count; i++)
		if (!strcmp(advice->items[i].id, item->id))
			return NULL;
	advice->count++;
	item->merit = merit;
	if (finding) {
		item->pattern = pattern_info(finding->pattern);
		item->confidence = finding->confidence;
		item->source = finding->has_host && finding->host_is_source ? &finding->host : NULL;
		snprintf(item->reason, sizeof(item->reason), "%s", finding->summary);
	}
	return item;
}

void maker_title(struct advice_item *item, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(item->title, sizeof(item->title), fmt, args);
	va_end(args);
}

static double memory_delta(const struct maker *maker, const struct advice_item *item,
			   const struct settings *then)
{
	const struct settings *now = &maker->model->settings;

	if (item_enlarges(item))
		return whatif_memory_bytes(then->max_entries, then) -
		       whatif_memory_bytes(now->max_entries, now);
	return -item->saves_entries * ENTRY_BYTES;
}

static void take_savings(const struct maker *maker, struct advice_item *item,
			 const struct whatif_result *result)
{
	const struct model *model = maker->model;

	item->counted = result->counted;
	item->saves_entries = result->counted.now_entries;
	item->saves_ratio = model->entries > 0 ? item->saves_entries / model->entries : 0;
	if (!isnan(model->settles_at_entries)) {
		item->settles_at_entries_then = whatif_then(result);
		item->settles_fewer_entries = whatif_now(result) - whatif_then(result);
	}
	item->memory_bytes_delta = memory_delta(maker, item, &result->then);
}

double item_largest_ratio(const struct advice_item *item)
{
	double peak = item->counted.peak_of_entries > 0
			      ? item->counted.peak_entries / item->counted.peak_of_entries
			      : (double)NAN;

	return fmax(item->saves_ratio, peak); /* the one that is known, if one is */
}

/* Not where nothing of it is left once what is there has gone: a flood that has ended. */
static bool worth_it(const struct maker *maker, const struct advice_item *item)
{
	double settles_at = maker->model->settles_at_entries;

	return isnan(settles_at) ? item_largest_ratio(item) >= SAVES_RATIO_MIN
				 : item->settles_fewer_entries >= SAVES_RATIO_MIN * settles_at;
}

bool maker_evaluate(struct maker *maker, struct advice_item *item, const struct whatif *whatif)
{
	struct whatif_result result;
	size_t n = 0;

	maker->err = whatif_run(whatif, maker->model, &result);
	if (maker->err) {
		whatif_free(&result);
		return false;
	}
	for (size_t i = 0; i < whatif->count && n < sizeof(item->whatif); i++) {
		const struct change *change = &whatif->changes[i];
		/* Ports of the same kind are one word, with commas. */
		bool more = i && change->kind == CHANGE_KEEPALIVE;
		char text[WHATIF_KEY_BYTES];

		n += (size_t)snprintf(item->whatif + n, sizeof(item->whatif) - n, "%s%s",
				      more ? ","
				      : i  ? " "
					   : "",
				      more ? change_port(change, text) : change_text(change, text));
	}
	take_savings(maker, item, &result);
	item->warnings |= result.warnings;
	whatif_free(&result);
	if ((item->merit == MERIT_TIMEOUT || item->merit == MERIT_NOTRACK) &&
	    !worth_it(maker, item)) {
		maker->advice->count--;
		return false;
	}
	return true;
}
