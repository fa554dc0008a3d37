// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/forecast_publish.h"

#include <math.h>

#include "lib/base/clock.h"
#include "lib/shm/seqlock.h"
#include "lib/stats/observer.h"

_Static_assert((int)FC_HORIZONS == (int)SHM_HORIZONS &&
		       (int)FC_FULL_HORIZONS == (int)SHM_FULL_HORIZONS &&
		       (int)FC_REASONS == (int)SHM_REASONS,
	       "the segment holds what the forecast says");
_Static_assert((int)FC_WATCHING == (int)SHM_VERDICT_WATCHING &&
		       (int)FC_FILLING == (int)SHM_VERDICT_FILLING &&
		       (int)FC_UNLIMITED == (int)SHM_VERDICT_UNLIMITED,
	       "verdicts are numbered alike");
_Static_assert((int)FC_STARTING == (int)SHM_SILENCE_STARTING &&
		       (int)FC_NO_EVENTS == (int)SHM_SILENCE_NO_EVENTS &&
		       (int)FC_LOSING_EVENTS == (int)SHM_SILENCE_LOSING_EVENTS &&
		       (int)FC_OVERLOADED == (int)SHM_SILENCE_OVERLOADED &&
		       (int)FC_TIMEOUTS_CHANGED == (int)SHM_SILENCE_TIMEOUTS_CHANGED,
	       "silences are numbered alike");

#define PAST_INTERVAL_NS (60 * NS_PER_S)
/* A comparison that comes later than this is about another moment. */
#define JUDGE_LATE_NS (5 * NS_PER_S)

void forecast_publish_init(struct forecast_publish *publisher, struct forecast *forecast,
			   struct shm_forecast *to, struct shm_pasts *pasts, uint64_t now_boot_ns)
{
	*publisher = (struct forecast_publish){.forecast = forecast,
					       .to = to,
					       .pasts = pasts,
					       .next_past_ns = now_boot_ns + PAST_INTERVAL_NS,
					       .calm_ns = now_boot_ns};
	for (unsigned int h = 0; h < SHM_HORIZONS; h++)
		poke_u32(&to->horizon[h].horizon_s, fc_horizon_s[h]);
	for (unsigned int h = 0; h < SHM_FULL_HORIZONS; h++)
		poke_u32(&to->chance[h].horizon_s, fc_full_horizon_s[h]);
}

void forecast_publish_timeouts(struct forecast_publish *publisher,
			       const uint32_t values_s[TIMEOUT_COUNT])
{
	for (unsigned int id = 0; id < TIMEOUT_COUNT; id++)
		observer_timeout(publisher->forecast, id, values_s[id]);
}

/* --- limits ------------------------------------------------------------------- */

static void lower(uint32_t *limit, uint32_t *kind, int64_t candidate, uint32_t candidate_kind)
{
	if (candidate <= 0 || candidate >= (int64_t)UINT32_MAX)
		return;
	if (*limit && *limit <= (uint32_t)candidate)
		return;
	*limit = (uint32_t)candidate;
	*kind = candidate_kind;
}

uint32_t forecast_publish_limit(const struct forecast_publish_second *second, uint32_t *ret_kind)
{
	uint32_t limit = 0;

	*ret_kind = SHM_LIMIT_NONE;
	lower(&limit, ret_kind, second->max_entries, SHM_LIMIT_MAX);
	lower(&limit, ret_kind, second->chain_limit_entries, SHM_LIMIT_CHAIN);
	lower(&limit, ret_kind, second->assumed_max_entries, SHM_LIMIT_ASSUMED);
	return limit;
}

/* --- writing -------------------------------------------------------------------- */

static uint32_t entries_of(double value)
{
	if (!(value > 0))
		return 0;
	return value < (double)(UINT32_MAX - 1u) ? (uint32_t)lround(value) : UINT32_MAX - 1u;
}

static uint32_t ppm_of(double probability)
{
	return entries_of(fmin(probability, 1.0) * 1e6);
}

static uint64_t ms_of(double seconds)
{
	return isfinite(seconds) && seconds >= 0 ? (uint64_t)llround(seconds * 1e3) : SHM_NEVER_MS;
}

static void write_reason(struct shm_reason *to, const struct fc_reason *from)
{
	double slope = fmax(fmin(from->slope_per_s2 * 1e6, (double)INT32_MAX), (double)INT32_MIN);

	poke_u32(&to->key,
		 from->l4proto | (uint32_t)from->direction << 8 | (uint32_t)from->port << 16);
	poke_u32(&to->pooled, from->pooled);
	poke_u32(&to->entries, entries_of(from->entries));
	poke_u32(&to->entries_600, entries_of(from->entries_600));
	poke_u32(&to->settles_at_entries, entries_of(from->steady_entries));
	poke_u32(&to->new_milli_per_s, entries_of(from->rate_per_s * 1e3));
	poke_i32(&to->slope_micro_per_s2, isnan(slope) ? 0 : (int32_t)lround(slope));
}

static void write_quantiles(struct shm_forecast *to, const struct fc_forecast *from)
{
	for (unsigned int h = 0; h < SHM_HORIZONS; h++) {
		struct shm_horizon *horizon = &to->horizon[h];
		const struct fc_count *count = &from->count[h];

		poke_u32(&horizon->p50_entries, entries_of(count->p50));
		poke_u32(&horizon->lo80_entries, entries_of(count->lo80));
		poke_u32(&horizon->hi80_entries, entries_of(count->hi80));
		poke_u32(&horizon->lo95_entries, entries_of(count->lo95));
		poke_u32(&horizon->hi95_entries, entries_of(count->hi95));
	}
	for (unsigned int h = 0; h < SHM_FULL_HORIZONS; h++) {
		poke_u32(&to->chance[h].full_ppm, ppm_of(from->p_full[h]));
		poke_u32(&to->chance[h].drop_ppm, ppm_of(from->p_drop[h]));
	}
}

static void write_forecast(struct forecast_publish *publisher, const struct fc_forecast *from,
			   const struct forecast_publish_second *second, uint64_t cost_ns)
{
	struct shm_forecast *to = publisher->to;
	uint32_t kind, limit = forecast_publish_limit(second, &kind);
	unsigned int reasons = from->n_reasons < SHM_REASONS ? from->n_reasons : SHM_REASONS;

	seq_write_begin(&to->seq);
	poke_u64(&to->computed_boot_ns, second->now_boot_ns);
	poke_u64(&to->computed_real_ns, second->now_real_ns);
	poke_u64(&to->full_early_ms, ms_of(from->tte_early_s));
	poke_u64(&to->full_likely_ms, ms_of(from->tte_s));
	poke_u64(&to->full_late_ms, ms_of(from->tte_late_s));
	poke_u32(&to->limit_entries, limit);
	poke_u32(&to->limit_kind, kind);
	poke_u32(&to->verdict, from->verdict);
	poke_u32(&to->alarm, from->alarm);
	poke_u32(&to->watching_s, entries_of(ceil(from->watching_s)));
	poke_u32(&to->count_entries, entries_of((double)second->count_entries));
	poke_u32(&to->settles_at_entries, entries_of(from->steady_entries));
	poke_u32(&to->soft_entries, entries_of(from->soft_entries));
	poke_u32(&to->cost_us, entries_of((double)cost_ns / 1e3));
	poke_u32(&to->silence, from->silence);
	poke_u32(&to->reason_count, reasons);
	write_quantiles(to, from);
	for (unsigned int i = 0; i < reasons; i++)
		write_reason(&to->reason[i], &from->reason[i]);
	seq_write_end(&to->seq);
}

/* --- accuracy --------------------------------------------------------------------- */

static void keep_past(struct forecast_publish *publisher, const struct fc_forecast *from,
		      const struct forecast_publish_second *second)
{
	uint64_t head = peek_u64(&publisher->pasts->head);
	struct shm_past *past = &publisher->pasts->pasts[head % SHM_PASTS];

	poke_u64(&past->real_ns, second->now_real_ns);
	for (unsigned int h = 0; h < SHM_HORIZONS; h++) {
		poke_u32(&past->p50_entries[h], entries_of(from->count[h].p50));
		poke_u32(&past->lo80_entries[h], entries_of(from->count[h].lo80));
		poke_u32(&past->hi80_entries[h], entries_of(from->count[h].hi80));
		poke_u32(&past->came_entries[h], SHM_NOT_YET);
	}
	poke_u32(&past->full_likely_s,
		 isfinite(from->tte_s) ? entries_of(from->tte_s) : SHM_NOT_YET);
	poke_u32(&past->alarm, from->alarm);
	publisher->made_ns[head % FORECAST_PUBLISH_WAITING] = second->now_boot_ns;
	publish_u64(&publisher->pasts->head, head + 1);
}

static void compare_with(struct forecast_publish *publisher, unsigned int h, uint64_t index,
			 uint32_t count)
{
	struct shm_past *past = &publisher->pasts->pasts[index % SHM_PASTS];
	struct shm_horizon *record = &publisher->to->horizon[h];
	bool held = count >= peek_u32(&past->lo80_entries[h]) &&
		    count <= peek_u32(&past->hi80_entries[h]);

	poke_u32(&past->came_entries[h], count);
	poke_u32(&record->compared, peek_u32(&record->compared) + 1u);
	poke_u32(&record->held, peek_u32(&record->held) + held);
}

/* Those whose moment has come, in the order in which they were made. */
static void compare_pasts(struct forecast_publish *publisher,
			  const struct forecast_publish_second *second)
{
	uint64_t head = peek_u64(&publisher->pasts->head);

	for (unsigned int h = 0; h < SHM_HORIZONS; h++) {
		uint64_t ahead_ns = fc_horizon_s[h] * NS_PER_S;

		for (; publisher->compared[h] < head; publisher->compared[h]++) {
			uint64_t due_ns = publisher->made_ns[publisher->compared[h] %
							     FORECAST_PUBLISH_WAITING] +
					  ahead_ns;

			if (second->now_boot_ns < due_ns)
				break;
			if (second->now_boot_ns - due_ns <= JUDGE_LATE_NS)
				compare_with(publisher, h, publisher->compared[h],
					     (uint32_t)second->count_entries);
		}
	}
}

void forecast_publish_second(struct forecast_publish *publisher,
			     const struct forecast_publish_second *second)
{
	uint32_t kind;
	struct forecast_publish_second other = *second;
	struct fc_stat stat = {
		.now_ns = (int64_t)second->now_boot_ns,
		.count = entries_of((double)second->count_entries),
		.max = second->max_entries > 0 ? entries_of((double)second->max_entries) : 0,
		.drop = second->drops,
		.early_drop = second->early_drops,
		.tick_hz = second->tick_hz,
		.collector = second->collector,
	};
	struct fc_forecast forecast;
	uint64_t began_ns = clock_cpu_ns();

	if (second->count_entries < 0)
		return;
	/* The kernel evicts and drops at max only: other limits are just reached. */
	other.max_entries = 0;
	stat.ceiling = forecast_publish_limit(&other, &kind);
	forecast_second(publisher->forecast, &stat);
	forecast_compute(publisher->forecast, &forecast);
	/* Without a forecast there is no alarm, so that all outputs agree. */
	if (forecast.silence != FC_SAYS)
		forecast.alarm = false;
	if (!forecast.alarm)
		publisher->calm_ns = second->now_boot_ns;
	forecast.alarm = second->now_boot_ns - publisher->calm_ns >= FORECAST_PUBLISH_ALARM_NS;
	compare_pasts(publisher, second);
	write_forecast(publisher, &forecast, second, clock_cpu_ns() - began_ns);
	if (second->now_boot_ns < publisher->next_past_ns || forecast.verdict == FC_WATCHING)
		return;
	publisher->next_past_ns = second->now_boot_ns + PAST_INTERVAL_NS;
	keep_past(publisher, &forecast, second);
}
