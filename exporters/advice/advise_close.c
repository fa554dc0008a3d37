// SPDX-License-Identifier: GPL-2.0-or-later
/* What to do about connections that are opened and closed again. */
#include <math.h>
#include <string.h>

#include "exporters/advice/advise.h"
#include "exporters/advice/patterns.h"
#include "exporters/advice/remedies.h"

/* Idle connections for nginx to keep, per worker: never fewer than this. */
#define IDLE_MIN 16.0

/* Twice what is open at one time, in eights. */
static double idle_connections(const struct maker *maker, const struct row_key *key)
{
	for (size_t i = 0; i < maker->model->count; i++) {
		const struct class *class = &maker->model->classes[i];

		if (!memcmp(&class->row->key, key, sizeof(*key)))
			return fmin(fmax(IDLE_MIN,
					 8 * ceil(class->row->states[ST_TCP_ESTABLISHED] / 4.0)),
				    1024);
	}
	return IDLE_MIN;
}

/* All the ports of the finding: connections to each of them are used again. */
static void advise_keepalive(struct maker *maker, const struct finding *finding)
{
	const struct row_key *key = &finding->rows[0];
	struct whatif whatif = {.count = 0};
	struct advice_item *item;
	double idle = 0;
	char text[32];

	for (uint32_t i = 0; i < finding->row_count; i++) {
		struct whatif one = advise_change(CHANGE_KEEPALIVE, &finding->rows[i], 0);

		whatif.changes[whatif.count++] = one.changes[0];
		idle = fmax(idle, idle_connections(maker, &finding->rows[i]));
	}
	item = maker_item(maker, finding, MERIT_CAUSE, "keepalive-%s-%u",
			  l4proto_info(key->l4proto)->name, key->port);
	if (!item || !maker_evaluate(maker, item, &whatif))
		return;
	if (finding->row_count > 1)
		maker_title(item, "keep connections to %s and %u more ports open",
			    row_text(key, text), finding->row_count - 1);
	else
		maker_title(item, "keep connections to %s open", row_text(key, text));
	remedy_keepalive(item, finding->rows, finding->row_count, idle,
			 finding->pattern == PATTERN_UPSTREAM);
}

/* A fifth of them does as well, where checks come every second or two. */
#define CHECKS_LEFT 0.2

void advise_checks(struct maker *maker, const struct finding *finding)
{
	const struct row_key *key = &finding->rows[0];
	struct whatif whatif = {.count = 0};
	struct advice_item *item;
	char text[32];

	for (uint32_t i = 0; i < finding->row_count; i++) {
		struct whatif one = advise_change(CHANGE_RATE, &finding->rows[i], CHECKS_LEFT);

		whatif.changes[whatif.count++] = one.changes[0];
	}
	item = maker_item(maker, finding, MERIT_CAUSE, "%s-%s-%u",
			  pattern_info(finding->pattern)->id, l4proto_info(key->l4proto)->name,
			  key->port);
	if (!item || !maker_evaluate(maker, item, &whatif))
		return;
	maker_title(item, "%s: check a fifth as often", row_text(key, text));
	remedy_checks(item, finding->rows, finding->row_count);
	advise_timeout(maker, finding, TIMEOUT_TCP_TIME_WAIT, TIME_WAIT_S, "time_wait");
}

void advise_close(struct maker *maker, const struct finding *finding)
{
	const struct row_key *key = &finding->rows[0];

	if (key->direction == DIR_OUTBOUND || key->direction == DIR_LOOPBACK)
		advise_keepalive(maker, finding);
	for (uint32_t i = 0; i < finding->row_count; i++)
		advise_notrack(maker, finding, &finding->rows[i]);
	for (uint32_t i = 0; i < finding->other_count; i++)
		advise_notrack(maker, finding, &finding->others[i]);
	advise_timeout(maker, finding, TIMEOUT_TCP_TIME_WAIT, TIME_WAIT_S, "time_wait");
}
