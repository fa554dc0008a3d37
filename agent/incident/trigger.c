// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/incident/trigger.h"

#include <string.h>

#include "lib/base/num.h"
#include "lib/incident/incident_dir.h"

#define TOKEN_NS     (INCIDENTS_DAY_NS / INCIDENTS_A_DAY)
#define BIT(stage)   (1u << (unsigned int)(stage))
#define LIMIT_MAX_   1u /* incident_head.limit_kind */
#define LIMIT_CHAIN_ 2u

/* Tokens that must be left after one was taken at this stage. */
static const uint32_t reserve[INCIDENT_STAGES] = {
	[INCIDENT_HIGH] = INCIDENTS_A_DAY / 4,
	[INCIDENT_CRITICAL] = INCIDENTS_A_DAY / 8,
	[INCIDENT_DROPS] = 0,
};

void incident_trigger_init(struct incident_trigger *incidents, uint64_t now_ns)
{
	memset(incidents, 0, sizeof(*incidents));
	incidents->tokens_ns = INCIDENTS_DAY_NS;
	incidents->tokens_at_ns = now_ns;
}

void incident_trigger_resume(struct incident_trigger *incidents, const struct incident_head *head,
			     uint32_t written)
{
	incidents->head = *head;
	incidents->episode = incidents->begun = true;
	incidents->written = written;
	incidents->retries_left = INCIDENTS_RETRIES;
}

void incident_trigger_spend(struct incident_trigger *incidents, uint64_t count)
{
	uint64_t spent = count < INCIDENTS_A_DAY ? count * TOKEN_NS : INCIDENTS_DAY_NS;

	incidents->tokens_ns -= spent < incidents->tokens_ns ? spent : incidents->tokens_ns;
}

/* The lower of the two ceilings; 0 without any. */
static int64_t limit_of(const struct incident_trigger_input *in, uint32_t *ret_kind)
{
	bool has_max = in->max_entries > 0;

	*ret_kind = has_max ? LIMIT_MAX_ : 0;
	if (in->chain_limit_entries > 0 &&
	    (!has_max || in->chain_limit_entries < in->max_entries)) {
		*ret_kind = LIMIT_CHAIN_;
		return in->chain_limit_entries;
	}
	return has_max ? in->max_entries : 0;
}

static uint32_t fill_ppm(const struct incident_trigger_input *in)
{
	uint32_t kind;
	int64_t limit = limit_of(in, &kind);

	if (limit <= 0 || in->count_entries <= 0)
		return 0;
	return clamp_u32((int64_t)((double)in->count_entries * 1e6 / (double)limit));
}

static bool dropped(const struct incident_trigger *incidents,
		    const struct incident_trigger_input *in, uint32_t fill)
{
	const struct incident_trigger_input *last = &incidents->last;

	if (!incidents->seen)
		return false;
	return in->early_drops > last->early_drops || in->chain_drops > last->chain_drops ||
	       in->pool_failures > last->pool_failures ||
	       (in->drops > last->drops && fill >= INCIDENTS_HALF_PPM);
}

/* --- the episode ------------------------------------------------------------------ */

static void begin_episode(struct incident_trigger *incidents,
			  const struct incident_trigger_input *in)
{
	const struct incident_trigger_input *base = incidents->seen ? &incidents->last : in;

	incidents->episode = true;
	incidents->begun = false;
	incidents->pending = incidents->asked = incidents->written = 0;
	incidents->retries_left = INCIDENTS_RETRIES;
	incidents->calm_ns = 0;
	incidents->head = (struct incident_head){.began_real_ns = in->now_real_ns,
						 .base_drops = base->drops,
						 .base_early_drops = base->early_drops,
						 .base_chain_drops = base->chain_drops};
}

static void reach(struct incident_trigger *incidents, int stage, uint64_t now_real_ns)
{
	uint64_t *when = &incidents->head.stage_real_ns[stage];

	if (*when)
		return;
	*when = now_real_ns;
	incidents->pending |= BIT(stage);
	incidents->retry_ns = 0;
}

static uint32_t pool_ppm(const struct incident_trigger_input *in)
{
	return clamp_u32(in->pool_ppm);
}

/* A table that fills comes first, whatever its ports do. */
static bool is_about_pool(const struct incident_trigger *incidents,
			  const struct incident_trigger_input *in, uint32_t fill)
{
	return fill < INCIDENTS_HIGH_PPM && (pool_ppm(in) >= INCIDENTS_POOL_HIGH_PPM ||
					     incidents->head.limit_kind == INCIDENT_LIMIT_NAT);
}

static void follow(struct incident_trigger *incidents, const struct incident_trigger_input *in,
		   uint32_t fill)
{
	struct incident_head *head = &incidents->head;
	bool pool = is_about_pool(incidents, in, fill);
	uint32_t ppm = pool ? pool_ppm(in) : fill;
	bool other = pool != (head->limit_kind == INCIDENT_LIMIT_NAT);

	head->entries = clamp_u32(pool ? in->pool_held : in->count_entries);
	head->limit_entries = clamp_u32(pool ? in->pool_size : limit_of(in, &head->limit_kind));
	if (pool)
		head->limit_kind = INCIDENT_LIMIT_NAT;
	head->drops = clamp_sub_u64(in->drops, head->base_drops);
	head->early_drops = clamp_sub_u64(in->early_drops, head->base_early_drops);
	head->chain_drops = clamp_sub_u64(in->chain_drops, head->base_chain_drops);
	if (ppm <= head->peak_fill_ppm && head->peak_real_ns && !other)
		return;
	head->peak_fill_ppm = ppm;
	head->peak_entries = head->entries;
	head->peak_real_ns = in->now_real_ns;
}

static void end_episode(struct incident_trigger *incidents, uint64_t now_real_ns)
{
	incidents->episode = false;
	incidents->calm_ns = 0;
	if (!incidents->begun) {
		incidents->suppressed++;
		incidents->pending = 0;
		return;
	}
	/* A stage that is not written by now would no longer show its moment. */
	incidents->pending = 0;
	reach(incidents, INCIDENT_RECOVERED, now_real_ns);
}

static void watch(struct incident_trigger *incidents, const struct incident_trigger_input *in)
{
	uint32_t fill = fill_ppm(in), pool = pool_ppm(in);
	bool drops = dropped(incidents, in, fill);
	bool high = fill >= INCIDENTS_HIGH_PPM || pool >= INCIDENTS_POOL_HIGH_PPM;
	bool calm = fill < INCIDENTS_CALM_PPM && pool < INCIDENTS_POOL_CALM_PPM && !drops;

	if (!incidents->episode) {
		/* The write under way belongs to the episode before: its answer comes first. */
		if ((!high && !drops) || incidents->asked)
			return;
		begin_episode(incidents, in);
	}
	follow(incidents, in, fill);
	if (high)
		reach(incidents, INCIDENT_HIGH, in->now_real_ns);
	if (fill >= INCIDENTS_CRITICAL_PPM || pool >= INCIDENTS_POOL_CRITICAL_PPM)
		reach(incidents, INCIDENT_CRITICAL, in->now_real_ns);
	if (drops)
		reach(incidents, INCIDENT_DROPS, in->now_real_ns);
	if (!calm)
		incidents->calm_ns = 0;
	else if (incidents->calm_ns == 0)
		incidents->calm_ns = in->now_ns + INCIDENTS_CALM_NS;
	else if (in->now_ns >= incidents->calm_ns)
		end_episode(incidents, in->now_real_ns);
}

/* --- what is due -------------------------------------------------------------------- */

static void refill(struct incident_trigger *incidents, uint64_t now_ns)
{
	incidents->tokens_ns += clamp_sub_u64(now_ns, incidents->tokens_at_ns);
	incidents->tokens_at_ns = now_ns;
	if (incidents->tokens_ns > INCIDENTS_DAY_NS)
		incidents->tokens_ns = INCIDENTS_DAY_NS;
}

static bool may_begin(const struct incident_trigger *incidents, int stage, uint64_t now_ns)
{
	if (stage != INCIDENT_DROPS && incidents->last_begin_ns &&
	    clamp_sub_u64(now_ns, incidents->last_begin_ns) < INCIDENTS_SPACING_NS)
		return false;
	return incidents->tokens_ns >= (reserve[stage] + 1) * TOKEN_NS;
}

static void begin_incident(struct incident_trigger *incidents, uint64_t now_ns, uint32_t random)
{
	incidents->begun = true;
	incidents->tokens_ns -= TOKEN_NS;
	incidents->last_begin_ns = now_ns;
	incident_id_make(incidents->head.began_real_ns, random, incidents->head.id);
}

static int worst_pending(const struct incident_trigger *incidents)
{
	for (int stage = INCIDENT_RECOVERED; stage >= 0; stage--)
		if (incidents->pending & BIT(stage))
			return stage;
	return INCIDENTS_NONE;
}

int incident_trigger_second(struct incident_trigger *incidents,
			    const struct incident_trigger_input *in, uint32_t random)
{
	int stage;

	refill(incidents, in->now_ns);
	watch(incidents, in);
	incidents->last = *in;
	incidents->seen = true;
	stage = worst_pending(incidents);
	if (stage == INCIDENTS_NONE || incidents->asked || in->now_ns < incidents->retry_ns)
		return INCIDENTS_NONE;
	if (!incidents->begun) {
		if (!may_begin(incidents, stage, in->now_ns))
			return INCIDENTS_NONE;
		begin_incident(incidents, in->now_ns, random);
	}
	return stage;
}

void incident_trigger_asked(struct incident_trigger *incidents, int stage)
{
	incidents->asked |= BIT(stage);
}

void incident_trigger_answered(struct incident_trigger *incidents, int stage, bool written)
{
	incidents->asked &= ~BIT(stage);
	if (written) {
		incidents->written |= BIT(stage);
		/* Milder stages of the same moment would show the same table. */
		incidents->pending &= ~(BIT(stage + 1) - 1u);
		return;
	}
	incidents->retry_ns = incidents->last.now_ns + INCIDENTS_RETRY_NS;
	if (stage == INCIDENT_RECOVERED && --incidents->retries_left == 0)
		incidents->pending = 0;
}

/* --- what goes ------------------------------------------------------------------------ */

static bool is_less_bad(const struct incident_item *a, const struct incident_item *b)
{
	int x = incident_worst(a->last.stage_real_ns), y = incident_worst(b->last.stage_real_ns);

	if (x != y)
		return x < y;
	if (a->last.peak_fill_ppm != b->last.peak_fill_ppm)
		return a->last.peak_fill_ppm < b->last.peak_fill_ppm;
	return strcmp(a->last.id, b->last.id) < 0;
}

int incident_trigger_victim(const struct incident_list *list, uint32_t max_count,
			    const char *current_id)
{
	uint32_t kept = max_count / 4 > list->count ? (uint32_t)list->count : max_count / 4;
	int victim = -1;

	for (size_t i = kept ? kept : 1; i < list->count; i++) {
		if (!strcmp(list->items[i].last.id, current_id))
			continue;
		if (victim < 0 || is_less_bad(&list->items[i], &list->items[victim]))
			victim = (int)i;
	}
	return victim;
}
