// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/together.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Below this rate per second counts say more than arrivals. */
#define RATE_MIN 0.5
/* A change is larger than what counting at the edges of an interval makes of an even rate, and
 * smaller than what chance makes of arrivals that do not know each other: the root of them. */
#define CHANGE_LEAST_ENTRIES 6.0
#define CHANGE_LEAST_ROOTS   0.5
/* Shared: the two differ by no more than half of it. */
#define ALIKE_RATIO 0.5
/* A clock: three minutes of it, a minute at least. */
#define CLOCK_FRAMES	 18u
#define CLOCK_FRAMES_MIN 6u
#define CLOCK_LEAST	 50.0 /* new ones in each: of fewer, chance is as regular */
/* Chance spreads seventeen of them over some 3.5 roots, and all but the two highest and the two
 * lowest over 2.1. These may be what they like: a host that is busy for a second moves a
 * second's worth from one interval to the next. */
#define CLOCK_SPREAD_ROOTS 0.9
#define CLOCK_SPREAD_MIN   4.0
#define CLOCK_STRAY_OF	   5u /* one at each end for so many above the least number of intervals */

double row_closing(const struct snap_row *row)
{
	return (double)row->states[ST_TCP_FIN_WAIT] + row->states[ST_TCP_CLOSE_WAIT] +
	       row->states[ST_TCP_LAST_ACK] + row->states[ST_TCP_TIME_WAIT] +
	       row->states[ST_TCP_CLOSE];
}

void side_init(struct side *side)
{
	memset(side, 0, sizeof(*side));
}

/* A frame names its largest ports only: one that has room left has all. */
static double frame_new(const struct snap_frame *frame, const struct row_key *key)
{
	for (uint32_t i = 0; i < frame->row_count; i++)
		if (!memcmp(&frame->rows[i].key, key, sizeof(*key)))
			return frame->rows[i].new_entries;
	return frame->row_count < SHM_FRAME_ROWS ? 0 : -1;
}

void side_add(struct side *side, const struct class *class, const struct snap_detail *details)
{
	if (side->count == SIDE_PORTS)
		return;
	side->classes[side->count++] = class;
	side->new_per_s += class->new_per_s;
	side->entries += class->row->entries;
	side->closing += row_closing(class->row);
	for (size_t i = 0; i < details->minutes.count; i++) {
		double one = frame_new(&details->minutes.frames[i], &class->row->key);

		if (one < 0 || side->new_entries[i] < 0)
			side->new_entries[i] = -1;
		else
			side->new_entries[i] += one;
	}
}

/* By arrivals where there are any, else by what waits. */
static double side_ratio(const struct side *front, const struct side *up)
{
	if (front->new_per_s >= RATE_MIN && up->new_per_s >= RATE_MIN)
		return up->new_per_s / front->new_per_s;
	if (front->new_per_s >= RATE_MIN || up->new_per_s >= RATE_MIN)
		return (double)NAN;
	return front->closing > 0 ? up->closing / front->closing : (double)NAN;
}

void side_compare(const struct side *front, const struct side *up,
		  const struct snap_detail *details, struct together *together)
{
	double apart = 0, all = 0;

	*together = (struct together){.ratio = side_ratio(front, up), .apart = (double)NAN};
	for (size_t i = 1; i < details->minutes.count; i++) {
		const double *a = &front->new_entries[i - 1];
		const double *b = &up->new_entries[i - 1];
		double by_front, by_up, larger, least;

		if (a[0] < 0 || a[1] < 0 || b[0] < 0 || b[1] < 0)
			continue;
		by_front = (a[1] - a[0]) * together->ratio;
		by_up = b[1] - b[0];
		larger = fmax(fabs(by_front), fabs(by_up));
		least = CHANGE_LEAST_ROOTS *
			sqrt(fmax(fmax(a[0], a[1]) * together->ratio, fmax(b[0], b[1])));
		if (larger < fmax(CHANGE_LEAST_ENTRIES, least))
			continue;
		together->of++;
		together->alike += fabs(by_front - by_up) <= ALIKE_RATIO * larger;
		apart += fabs(by_front - by_up);
		all += fabs(by_front) + fabs(by_up);
	}
	if (all > 0)
		together->apart = apart / all;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

bool side_by_clock(const struct side *side, const struct snap_detail *details,
		   double *ret_spread_entries)
{
	size_t all = details->minutes.count;
	size_t first = all > CLOCK_FRAMES ? all - CLOCK_FRAMES : 0;
	size_t count, stray;
	double new_entries[CLOCK_FRAMES];
	double sum = 0;

	/* The first of them may have begun in the middle of an interval. */
	while (first < all && side->new_entries[first] < CLOCK_LEAST)
		first++;
	first++;
	*ret_spread_entries = 0;
	if (all < first + CLOCK_FRAMES_MIN)
		return false;
	count = all - first;
	memcpy(new_entries, &side->new_entries[first], count * sizeof(new_entries[0]));
	qsort(new_entries, count, sizeof(new_entries[0]), by_value);
	stray = (count - CLOCK_FRAMES_MIN) / CLOCK_STRAY_OF;
	for (size_t i = 0; i < count; i++)
		sum += new_entries[i];
	*ret_spread_entries = new_entries[count - 1 - stray] - new_entries[stray];
	return new_entries[0] >= CLOCK_LEAST &&
	       *ret_spread_entries <=
		       fmax(CLOCK_SPREAD_MIN, CLOCK_SPREAD_ROOTS * sqrt(sum / (double)count));
}
