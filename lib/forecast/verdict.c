// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/forecast/verdict.h"

#include <math.h>

#define ALARM_ON    0.47
#define ALARM_OFF   0.35
#define ALARM_SOON  0.6 /* within 20 min, and then */
#define ALARM_LEAST 0.2 /* within 10 */
#define COLD_S	    40
#define HALF_KNOWN  0.25 /* of the count, that is in no stage */

static void silence(const struct forecast *f, struct fc_forecast *out)
{
	double unknown = fabs(f->residual) - 10.0;

	out->silence = FC_SAYS;
	out->watching_s = 0.0;
	if (f->events_off) {
		out->silence = FC_NO_EVENTS;
	} else if (fc_watched_s(f) < COLD_S) {
		out->silence = FC_STARTING;
		out->watching_s = (double)(COLD_S - fc_watched_s(f));
	} else if (f->now_s < f->silent_until_s) {
		out->silence = f->silence;
		out->watching_s = (double)(f->silent_until_s - f->now_s);
	} else if (unknown > HALF_KNOWN * f->stat.count) {
		out->silence = FC_LOSING_EVENTS;
		out->watching_s = COLD_S;
	}
}

void fc_verdict(const struct forecast *f, double saw_now, struct fc_forecast *out)
{
	double p = out->p_full[4], now = f->stat.count, later = out->steady_entries;

	silence(f, out);
	out->alarm = out->limit && out->silence != FC_NO_EVENTS &&
		     (p >= (f->alarm ? ALARM_OFF : ALARM_ON) ||
		      (p >= ALARM_LEAST && out->p_full[5] >= ALARM_SOON));
	/* a saw is neither filling nor draining: what is between its teeth counts */
	now -= saw_now;
	if (out->limit && f->stat.count >= out->limit)
		out->verdict = FC_FULL;
	else if (out->silence != FC_SAYS)
		out->verdict = FC_WATCHING;
	else if (!out->limit)
		out->verdict = FC_UNLIMITED;
	else if (out->p_full[FC_FULL_HORIZONS - 1] >= 0.5)
		out->verdict = FC_FILLING;
	else if (fabs(later - now) < 0.05 * now + 10.0)
		out->verdict = FC_STEADY;
	else
		out->verdict = later > now ? FC_LEVELS_OFF : FC_DRAINING;
	/* full or not is said by the chance alone: the level beside it stays below the limit */
	if (out->limit && out->verdict != FC_FILLING && out->verdict != FC_FULL)
		out->steady_entries = fmin(out->steady_entries, out->limit);
}
