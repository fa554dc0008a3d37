// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Connections that this host opens and closes again: one for each that comes in, or by the
 * clock. Both are summed over ports that belong together.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "exporters/advice/patterns.h"
#include "exporters/advice/together.h"

/* Of an upstream that is reused, the open ones are the most; of one that is not, they
 * are gone at once and what remains waits. */
#define UPSTREAM_CLOSING 0.5
#define UPSTREAM_OPEN	 0.2
/* The two sides hold half each; the upstream one must hold a fifth of the table. */
#define UPSTREAM_SHARE 0.2
/* One of its ports at least so much of the largest, or it is something else. */
#define UPSTREAM_PART 0.05
/* One for one. Caches answer some: half to double is likely the same thing; a fifth more or
 * less is what counting at two moments does. */
#define RATIO_SURE   1.25
#define RATIO_LIKELY 2.0
/* So many changes, three quarters of them shared, are no chance: of independent ones a
 * quarter is. Where as few are shared they have nothing to do with each other. */
#define TOGETHER_MIN 6u
/* The weights that choose among ways to sum up: shared changes first, then one for one, then
 * the one that explains most. */
#define COST_RATIO 0.5
#define COST_PART  0.2
/* Connections that stay open so long beside short ones are a pool, unless as many of those that
 * come in do. One may be something else, two are none by chance. */
#define POOL_AGE_S 10.0
#define POOL_SURE  2.0

#define FRONTS 4u
#define GROUPS 3u /* of hosts with so many proxies */

static bool opened_here(const struct row_key *key)
{
	return key->direction == DIR_OUTBOUND || key->direction == DIR_LOOPBACK;
}

static bool is_upstream(const struct look *look, const struct snap_row *row)
{
	return row->key.l4proto == L4_TCP && opened_here(&row->key) &&
	       row->entries >= look->min_entries / 16 &&
	       row_closing(row) >= UPSTREAM_CLOSING * row->entries &&
	       row->states[ST_TCP_ESTABLISHED] <= UPSTREAM_OPEN * row->entries;
}

static bool is_front(const struct snap_row *row)
{
	return row->key.l4proto == L4_TCP &&
	       (row->key.direction == DIR_INBOUND || row->key.direction == DIR_LOOPBACK);
}

/* The largest of a kind, largest first. */
struct picks {
	const struct class *classes[SIDE_PORTS];
	uint32_t count;
};

static void pick(struct picks *picks, const struct class *class, uint32_t most)
{
	uint32_t at = picks->count;

	while (at > 0 && picks->classes[at - 1]->row->entries < class->row->entries)
		at--;
	if (at == most)
		return;
	if (picks->count < most)
		picks->count++;
	memmove(&picks->classes[at + 1], &picks->classes[at],
		(picks->count - 1 - at) * sizeof(picks->classes[0]));
	picks->classes[at] = class;
}

static bool is_taken(const struct look *look, const struct row_key *key)
{
	for (uint32_t i = 0; i < look->why->finding_count; i++) {
		const struct finding *finding = &look->why->findings[i];

		for (uint32_t j = 0;
		     finding->pattern == PATTERN_UPSTREAM && j < finding->other_count; j++)
			if (!memcmp(&finding->others[j], key, sizeof(*key)))
				return true;
	}
	return look_has(look, PATTERN_UPSTREAM, key);
}

static void pick_all(const struct look *look, struct picks *fronts, struct picks *ups)
{
	memset(fronts, 0, sizeof(*fronts));
	memset(ups, 0, sizeof(*ups));
	for (size_t i = 0; i < look->model->count; i++) {
		const struct class *class = &look->model->classes[i];

		if (is_taken(look, &class->row->key))
			continue;
		if (is_upstream(look, class->row))
			pick(ups, class, SIDE_PORTS);
		if (is_front(class->row))
			pick(fronts, class, FRONTS);
	}
	while (ups->count && ups->classes[ups->count - 1]->row->entries <
				     UPSTREAM_PART * ups->classes[0]->row->entries)
		ups->count--;
}

static void make_side(const struct look *look, const struct picks *picks, uint32_t set,
		      struct side *side)
{
	side_init(side);
	for (uint32_t i = 0; i < picks->count; i++)
		if (set >> i & 1)
			side_add(side, picks->classes[i], look->details);
}

/* --- which of them belong together --------------------------------------------------------- */

struct pair {
	bool found;
	struct side front, up;
	struct together together;
	double cost;
};

static double off(double ratio)
{
	return ratio > 1 ? ratio : 1 / ratio;
}

static bool vary(const struct together *together)
{
	return together->of >= TOGETHER_MIN;
}

static bool follow(const struct together *together)
{
	return vary(together) && 4 * together->alike >= 3 * together->of;
}

/* What comes in from elsewhere; or, all on one host, over loopback, where nothing but habit
 * tells the two sides apart: 80 before 8080. */
static bool may_pair(const struct side *front, const struct side *up)
{
	bool loopback = front->classes[0]->row->key.direction == DIR_LOOPBACK;

	for (uint32_t i = 0; i < front->count; i++)
		if ((front->classes[i]->row->key.direction == DIR_LOOPBACK) != loopback)
			return false;
	return !loopback || (front->count == 1 && up->count == 1 &&
			     up->classes[0]->row->key.direction == DIR_LOOPBACK &&
			     front->classes[0]->row->key.port < up->classes[0]->row->key.port);
}

/* Sums chosen from many must be shown to follow each other; one to one, or all to all, need not
 * change. */
static void consider(const struct look *look, const struct side *front, const struct side *up,
		     bool chosen, struct pair *best)
{
	struct together together;
	double cost;

	side_compare(front, up, look->details, &together);
	if (!(off(together.ratio) <= RATIO_LIKELY) ||
	    (vary(&together) ? !follow(&together) && 2 * together.alike < together.of : chosen))
		return;
	cost = COST_RATIO * log(off(together.ratio)) - COST_PART * up->entries / look->entries +
	       (vary(&together) ? together.apart : 0) + !follow(&together);
	if (best->found && best->cost <= cost)
		return;
	best->found = true;
	best->front = *front;
	best->up = *up;
	best->together = together;
	best->cost = cost;
}

static bool one_or_all(uint32_t set, uint32_t count)
{
	return (set & (set - 1)) == 0 || set == (1u << count) - 1;
}

static void find_pair(const struct look *look, const struct picks *fronts, const struct picks *ups,
		      struct pair *best)
{
	struct side front, up;

	best->found = false;
	for (uint32_t u = 1; u < 1u << ups->count; u++) {
		make_side(look, ups, u, &up);
		if (up.entries < look->min_entries || look_share(look, up.entries) < UPSTREAM_SHARE)
			continue;
		for (uint32_t f = 1; f < 1u << fronts->count; f++) {
			make_side(look, fronts, f, &front);
			if (may_pair(&front, &up))
				consider(look, &front, &up,
					 !one_or_all(u, ups->count) ||
						 !one_or_all(f, fronts->count),
					 best);
		}
	}
}

/* --- one for one ---------------------------------------------------------------------------- */

/* "tcp/80 inbound", "tcp/80 inbound and 2 more ports" */
static const char *side_text(const struct side *side, char out[64])
{
	char row[32];
	int n = snprintf(out, 64, "%s", row_text(&side->classes[0]->row->key, row));

	if (side->count > 1)
		snprintf(out + n, 64 - (size_t)n, " and %u more port%s", side->count - 1,
			 side->count > 2 ? "s" : "");
	return out;
}

static double state_entries(const struct side *side, unsigned int state)
{
	double sum = 0;

	for (uint32_t i = 0; i < side->count; i++)
		sum += side->classes[i]->row->states[state];
	return sum;
}

static enum confidence how_sure(const struct pair *pair, const char **ret_unsure)
{
	bool loopback = pair->front.classes[0]->row->key.direction == DIR_LOOPBACK;
	bool even = off(pair->together.ratio) <= RATIO_SURE;

	*ret_unsure = NULL;
	if (follow(&pair->together) && even && !loopback)
		return CONFIDENCE_SURE;
	if (vary(&pair->together) && !follow(&pair->together)) {
		*ret_unsure = "the two rates are alike on average, but they hardly move together";
		return CONFIDENCE_NOT_SURE;
	}
	if (loopback)
		*ret_unsure = "both sides are on loopback: which is the front is not known";
	else if (!vary(&pair->together))
		*ret_unsure = "so far neither side has risen or fallen often enough to see "
			      "whether the other follows: what connects by the clock, as "
			      "health checks do, may be alike by chance";
	else
		*ret_unsure = "the two rates are not quite one to one";
	return even || follow(&pair->together) ? CONFIDENCE_LIKELY : CONFIDENCE_NOT_SURE;
}

static void upstream_figures(const struct look *look, const struct pair *pair,
			     struct finding *finding)
{
	const struct side *front = &pair->front, *up = &pair->up;

	finding_figure(finding, "upstream_new_per_second", up->new_per_s);
	finding_figure(finding, "inbound_new_per_second", front->new_per_s);
	finding_figure(finding, "upstream_per_inbound", pair->together.ratio);
	finding_figure(finding, "upstream_entries", up->entries);
	finding_figure(finding, "upstream_time_wait_entries", state_entries(up, ST_TCP_TIME_WAIT));
	finding_figure(finding, "upstream_established_entries",
		       state_entries(up, ST_TCP_ESTABLISHED));
	finding_figure(finding, "inbound_entries", front->entries);
	finding_figure(finding, "inbound_time_wait_entries",
		       state_entries(front, ST_TCP_TIME_WAIT));
	finding_figure(finding, "upstream_established_seconds",
		       look_stay_s(look, up->classes[0], ST_TCP_ESTABLISHED));
	finding_figure(finding, "time_wait_timeout_seconds",
		       look->model->settings.timeouts_s[TIMEOUT_TCP_TIME_WAIT]);
	finding_figure(finding, "changes_shared", pair->together.alike);
	finding_figure(finding, "changes", pair->together.of);
}

static bool add_upstream(struct look *look, const struct pair *pair)
{
	const struct side *front = &pair->front, *up = &pair->up;
	char front_text[64], up_text[64];
	const char *unsure;
	struct finding *finding =
		look_add(look, PATTERN_UPSTREAM, how_sure(pair, &unsure), up->entries);

	if (!finding)
		return false;
	finding->unsure = unsure;
	for (uint32_t i = 0; i < up->count; i++)
		finding_row(finding, &up->classes[i]->row->key, ST_TCP_TIME_WAIT);
	for (uint32_t i = 0; i < front->count; i++)
		finding->others[finding->other_count++] = front->classes[i]->row->key;
	finding_summary(finding,
			"%s ha%s %.2f new connections for each of %s, and %.0f of %.0f entries "
			"wait after a close: they are not used again, and each request leaves two "
			"entries instead of one",
			side_text(up, up_text), up->count > 1 ? "ve" : "s", pair->together.ratio,
			side_text(front, front_text), up->closing, up->entries);
	upstream_figures(look, pair, finding);
	return true;
}

/* How many connections have been open for long. */
static double kept_open(const struct look *look, const struct side *side)
{
	const struct snap_ages *ages =
		snap_ages_now(look->details->ages, look->snap->taken_real_ns);
	double kept = 0;

	for (uint32_t i = 0; i < side->count; i++) {
		const struct snap_ages_cell *cell =
			snap_ages_cell(ages, &side->classes[i]->row->key, ST_TCP_ESTABLISHED);

		kept += cell ? snap_ages_older(cell->age, POOL_AGE_S) : 0;
	}
	return kept;
}

/* Neither changes, and a pool is there: what comes in need not open new ones. */
static bool has_pool(const struct look *look, const struct pair *pair)
{
	double kept = kept_open(look, &pair->up);
	double spread;

	return !follow(&pair->together) && kept >= 1 && kept > kept_open(look, &pair->front) &&
	       side_by_clock(&pair->up, look->details, &spread);
}

void pattern_upstream(struct look *look)
{
	struct picks fronts, ups;
	struct pair pair;

	for (uint32_t i = 0; i < GROUPS; i++) {
		pick_all(look, &fronts, &ups);
		find_pair(look, &fronts, &ups, &pair);
		if (!pair.found)
			return;
		if (has_pool(look, &pair))
			return; /* health checks, below */
		if (!add_upstream(look, &pair))
			return;
	}
}

/* --- by the clock --------------------------------------------------------------------------- */

/* As even as what comes in, and nothing kept open: as well requests that are passed on. */
static bool may_be_requests(const struct look *look, const struct picks *fronts,
			    const struct side *checks)
{
	struct side inbound;
	double spread;

	make_side(look, fronts, (1u << fronts->count) - 1, &inbound);
	return side_by_clock(&inbound, look->details, &spread) &&
	       kept_open(look, checks) < POOL_SURE;
}

static void add_checks(struct look *look, const struct picks *fronts, const struct side *checks,
		       double spread)
{
	bool requests = may_be_requests(look, fronts, checks);
	struct finding *finding =
		look_add(look, PATTERN_HEALTH_CHECKS,
			 requests ? CONFIDENCE_NOT_SURE : CONFIDENCE_LIKELY, checks->entries);
	char text[64];

	if (!finding)
		return;
	finding->unsure = requests ? "what comes in comes as evenly: requests that are passed on "
				     "would be, too"
				   : "any program that connects by a timer looks the same";
	for (uint32_t i = 0; i < checks->count; i++)
		finding_row(finding, &checks->classes[i]->row->key, ST_TCP_TIME_WAIT);
	finding_summary(finding,
			"%s: %.3g new connections a second, as many in each ten seconds (%.0f more "
			"or less) whatever comes in, and %.0f of %.0f entries wait after a close",
			side_text(checks, text), checks->new_per_s, spread, checks->closing,
			checks->entries);
	finding_figure(finding, "new_per_second", checks->new_per_s);
	finding_figure(finding, "spread_entries", spread);
	finding_figure(finding, "check_entries", checks->entries);
	finding_figure(finding, "time_wait_entries", state_entries(checks, ST_TCP_TIME_WAIT));
	finding_figure(finding, "close_entries", state_entries(checks, ST_TCP_CLOSE));
	finding_figure(finding, "kept_open_entries", kept_open(look, checks));
	finding_figure(finding, "time_wait_timeout_seconds",
		       look->model->settings.timeouts_s[TIMEOUT_TCP_TIME_WAIT]);
}

void pattern_health_checks(struct look *look)
{
	struct picks fronts, ups;
	struct side side, checks;
	double spread;

	pick_all(look, &fronts, &ups);
	side_init(&checks);
	for (uint32_t i = 0; i < ups.count; i++) {
		side_init(&side);
		side_add(&side, ups.classes[i], look->details);
		if (side_by_clock(&side, look->details, &spread))
			side_add(&checks, ups.classes[i], look->details);
	}
	if (checks.count && checks.entries >= look->min_entries &&
	    look_share(look, checks.entries) >= UPSTREAM_SHARE &&
	    side_by_clock(&checks, look->details, &spread))
		add_checks(look, &fronts, &checks, spread);
}
