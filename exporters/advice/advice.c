// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/advice.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/advice/advise.h"
#include "exporters/advice/facts.h"
#include "exporters/advice/maker.h"
#include "exporters/advice/model_detail.h"
#include "exporters/advice/patterns.h"
#include "exporters/advice/relief.h"
#include "exporters/advice/remedies.h"
#include "exporters/advice/remedies_nat.h"
#include "exporters/render/forecast_text.h"
#include "lib/health/health.h"
#include "lib/health/level.h"

/* How much a saving counts in the order: what removes the cause leaves nothing to wait
 * for; a timeout can be taken back; what is not tracked is not filtered either. */
static const double merit_weight[] = {
	[MERIT_RELIEF] = 100,	[MERIT_LOSS] = 10,  [MERIT_CAUSE] = 1, [MERIT_TIMEOUT] = 0.5,
	[MERIT_NOTRACK] = 0.45, [MERIT_SIZE] = 0.1, [MERIT_NONE] = 0};

/* What timeouts are lowered to (others: advise.h): longer than anybody waits for an answer. */
#define SYN_RECV_S   10.0
#define CLOSE_WAIT_S 15.0
#define OTHER_S	     10.0

const char *tool_name(enum tool tool)
{
	static const char *const names[TOOL_COUNT] = {"nft",   "iptables", "sysctl",
						      "nginx", "haproxy",  "squid",
						      "shell", "undo",	   "undo_iptables"};

	return names[tool];
}

struct whatif advise_change(enum change_kind kind, const struct row_key *key, double value)
{
	struct whatif whatif = {.count = 1};

	whatif.changes[0] = (struct change){.kind = kind,
					    .l4proto = key->l4proto,
					    .direction = key->direction,
					    .port = key->port,
					    .value = value};
	return whatif;
}

void advise_notrack(struct maker *maker, const struct finding *finding, const struct row_key *key)
{
	struct whatif whatif = advise_change(CHANGE_NOTRACK, key, 0);
	struct advice_item *item;
	char text[32];

	if (!facts_notrack_harmless(maker->why->snap, maker->why->details, key))
		return;
	item = maker_item(maker, finding, MERIT_NOTRACK, "notrack-%s-%u-%s",
			  l4proto_info(key->l4proto)->name, key->port,
			  direction_name(key->direction));
	if (!item || !maker_evaluate(maker, item, &whatif))
		return;
	maker_title(item, "do not track %s", row_text(key, text));
	item->families = facts_families(maker->why->snap, maker->why->details, key);
	item->warnings = (item->warnings & ~WARN(NAT)) | WARN(NAT_LATER);
	remedy_notrack(item, key);
}

/* A policy or helper sets the timeout of all that the finding is about. */
static bool sets_its_own(const struct maker *maker, const struct finding *finding, int timeout)
{
	bool own = finding->row_count > 0;

	for (uint32_t i = 0; i < finding->row_count; i++) {
		const struct row_key *key = &finding->rows[i];
		bool row_own = false;

		for (unsigned int state = 0; state < STATE_SLOTS_MAX; state++)
			row_own |= timeout_of_state(key->l4proto, state) == timeout &&
				   own_timeout_s(maker->model, key, state) > 0;
		own &= row_own;
	}
	return own;
}

void advise_timeout(struct maker *maker, const struct finding *finding, int timeout, double then_s,
		    const char *nft_state)
{
	double now_s = maker->model->settings.timeouts_s[timeout];
	const struct timeout_info *info = timeout_info((unsigned int)timeout);
	struct whatif whatif = {
		.count = 1,
		.changes = {{.kind = CHANGE_TIMEOUT, .timeout = timeout, .value = then_s}}};
	struct advice_item *item;

	if (now_s <= then_s || sets_its_own(maker, finding, timeout))
		return;
	item = maker_item(maker, finding, MERIT_TIMEOUT, "timeout-%s", info->name);
	if (!item || !maker_evaluate(maker, item, &whatif))
		return;
	maker_title(item, "lower %s from %.0f to %.0f s", info->sysctl, now_s, then_s);
	remedy_timeout(item, (unsigned int)timeout, now_s, then_s);
	if (nft_state && finding->row_count && finding->rows[0].port)
		remedy_port_timeout(item, &finding->rows[0], nft_state, then_s);
}

/* A cause that others must remove: what would be saved if its arrivals ceased. */
struct advice_item *advise_cause(struct maker *maker, const struct finding *finding,
				 const char *what)
{
	const struct row_key *key = &finding->rows[0];
	struct whatif whatif = advise_change(CHANGE_RATE, key, 0);
	struct advice_item *item;
	char text[32];

	item = maker_item(maker, finding, MERIT_CAUSE, "%s-%s-%u",
			  pattern_info(finding->pattern)->id, l4proto_info(key->l4proto)->name,
			  key->port);
	if (!item || !maker_evaluate(maker, item, &whatif))
		return NULL;
	maker_title(item, "%s: %s", row_text(key, text), what);
	return item;
}

static double power_of_two(double least)
{
	return exp2(ceil(log2(fmax(least, 1024))));
}

/* The most of what is there, where it settles, and what the hour is likely to bring. */
static double expected_entries(const struct why *why)
{
	double most = fmax(why->model->entries, why->model->shown_entries);

	if (health_forecast(why->snap))
		most = fmax(most, why->snap->forecast.horizon[SHM_HORIZONS - 1].p50_entries);
	return most;
}

/* Room for twice what there will be; and buckets so that chains stay short. */
static void advise_size(struct maker *maker, const struct finding *finding)
{
	const struct settings *now = &maker->model->settings;
	double need = expected_entries(maker->why);
	double max = fmax(power_of_two(1.5 * need), now->max_entries);
	double buckets = fmax(power_of_two(max / 4), now->buckets);
	struct whatif whatif = {.count = 2,
				.changes = {{.kind = CHANGE_MAX, .value = max},
					    {.kind = CHANGE_BUCKETS, .value = buckets}}};
	bool urgent = relief_wanted(maker->why);
	struct advice_item *item;
	char words[FORECAST_WORDS_BYTES];

	/* On kernels with short chains four entries a bucket are too many. */
	while (now->chain_limit_entries > 0 && now->buckets > 0 &&
	       now->chain_limit_entries * buckets / now->buckets < max)
		buckets *= 2;
	if (max <= now->max_entries && buckets <= now->buckets)
		return;
	item = maker_item(maker, finding,
			  urgent    ? MERIT_RELIEF
			  : finding ? MERIT_LOSS
				    : MERIT_SIZE,
			  "size");
	whatif.changes[1].value = buckets;
	if (!item || !maker_evaluate(maker, item, &whatif))
		return;
	if (max > now->max_entries)
		maker_title(item, "raise nf_conntrack_max to %.0f, nf_conntrack_buckets to %.0f",
			    max, buckets);
	else
		maker_title(item, "raise nf_conntrack_buckets to %.0f", buckets);
	if (urgent)
		item->lasts_s = relief_lasts_s(maker->why, max - maker->model->entries, 0);
	if (!finding)
		snprintf(item->reason, sizeof(item->reason),
			 "%.0f entries, %s, and room for %.0f; the memory is what the kernel "
			 "uses when that is full",
			 maker->model->entries, forecast_settles(maker->why->snap, words),
			 now->max_entries);
	/* Of a rehearsal the limit is not the kernel's: neither to be set nor to be given back. */
	if (health_rehearsal(maker->why->snap))
		item->warnings = 0;
	else
		remedy_size(item, now, max, buckets);
}

static void advise_host(struct maker *maker, const struct finding *finding)
{
	struct advice_item *item =
		maker_item(maker, finding, MERIT_CAUSE, "%s", pattern_info(finding->pattern)->id);

	if (!item)
		return;
	item->saves_entries = finding->entries / 2.0;
	item->saves_ratio = finding->share / 2;
	item->memory_bytes_delta = -item->saves_entries * ENTRY_BYTES;
	item->warnings = WARN(REBOOT);
	maker_title(item, "limit connections per source, at half of what the largest has");
	remedy_one_host(item, fmax(100, floor(finding->entries / 2.0)));
}

static void advise_scan(struct maker *maker, const struct finding *finding)
{
	struct advice_item *item;

	/* The same, and with it what is there goes at once. */
	if (relief_blocks(maker->why, finding))
		return;
	item = maker_item(maker, finding, MERIT_CAUSE, "%s", pattern_info(finding->pattern)->id);
	if (!item)
		return;
	item->saves_entries = finding->entries;
	item->saves_ratio = finding->share;
	item->memory_bytes_delta = -item->saves_entries * ENTRY_BYTES;
	if (finding->rows[0].direction == DIR_OUTBOUND ||
	    finding->rows[0].direction == DIR_LOOPBACK) {
		maker_title(item, "find the program on this host that calls so many ports");
		remedy_own_scan(item, &finding->rows[0]);
		return;
	}
	item->warnings = WARN(REBOOT);
	maker_title(item, "drop the scanner's packets before they are tracked");
	if (item->source)
		item->families = item->source->ipv6 ? FAMILY_IPV6 : FAMILY_IPV4;
	remedy_block_source(item);
}

static void advise_nat(struct maker *maker, const struct finding *finding)
{
	struct advice_item *item = maker_item(maker, finding, MERIT_LOSS, "nat-ports");

	if (!item)
		return;
	item->warnings = WARN(REBOOT);
	maker_title(item, "give NAT more ports: random ones, or more source addresses");
	remedy_nat(item);
}

static void advise_nat_pool(struct maker *maker, const struct finding *finding)
{
	const struct snap_nat_pool *pool = finding->pool;

	for (unsigned int i = 0; pool && i < NAT_REMEDIES; i++) {
		enum nat_remedy remedy = (enum nat_remedy)i;
		struct advice_item *item;

		if (!nat_remedy_helps(remedy, pool))
			continue;
		item = maker_item(maker, finding, MERIT_LOSS, "%s-%s-%u", nat_remedy_id(remedy),
				  l4proto_info(pool->l4proto)->name, pool->remote_port);
		if (!item)
			continue;
		item->warnings = remedy == NAT_REMEDY_KEEPALIVE ? 0 : WARN(REBOOT);
		nat_remedy_fill(remedy, pool, item);
	}
}

static void advise_expectations(struct maker *maker, const struct finding *finding)
{
	struct advice_item *item = maker_item(maker, finding, MERIT_LOSS, "expectations");
	double max = (double)maker->why->snap->live.expectations_max;

	if (!item)
		return;
	maker_title(item, "room for more expectations: %.0f instead of %.0f", 4 * max, max);
	remedy_expectations(item, max, 4 * max);
}

/* A tenth: longer than tunnels pause between keepalives, where it is not short already. */
static void advise_other(struct maker *maker, const struct finding *finding)
{
	int timeout = pattern_other_timeout(&finding->rows[0], (unsigned int)finding->state);

	if (timeout >= 0)
		advise_timeout(
			maker, finding, timeout,
			fmax(OTHER_S, floor(maker->model->settings.timeouts_s[timeout] / 10)),
			NULL);
}

static void advise_open(struct maker *maker, const struct finding *finding)
{
	struct advice_item *item;

	switch (finding->pattern) {
	case PATTERN_DEAD_BACKEND:
		item = advise_cause(maker, finding, "repair the destination, or take it out");
		if (item)
			remedy_dead_backend(item, &finding->rows[0]);
		advise_timeout(maker, finding, TIMEOUT_TCP_SYN_SENT, SYN_SENT_S, "syn_sent");
		break;
	case PATTERN_SYN_FLOOD:
		/* SYNPROXY answers before DNAT says whose connection it is. */
		item = !facts_not_translated(maker->why->snap, maker->why->details,
					     &finding->rows[0])
			       ? NULL
			       : advise_cause(maker, finding,
					      "answer SYNs with cookies, track what comes back");
		if (item)
			remedy_syn_flood(item, &finding->rows[0]);
		advise_timeout(maker, finding, TIMEOUT_TCP_SYN_RECV, SYN_RECV_S, "syn_recv");
		advise_timeout(maker, finding, TIMEOUT_TCP_SYN_SENT, SYN_SENT_S, "syn_sent");
		break;
	case PATTERN_UDP_STORM:
		advise_notrack(maker, finding, &finding->rows[0]);
		advise_timeout(maker, finding, TIMEOUT_UDP, UDP_S, "unreplied");
		break;
	case PATTERN_UDP_STREAMS:
		advise_notrack(maker, finding, &finding->rows[0]);
		advise_timeout(maker, finding, TIMEOUT_UDP_STREAM, UDP_STREAM_S, "replied");
		break;
	case PATTERN_OTHER_PROTOCOL:
		advise_other(maker, finding);
		break;
	case PATTERN_IDLE_ESTABLISHED:
		advise_timeout(maker, finding, TIMEOUT_TCP_ESTABLISHED, ESTABLISHED_S,
			       "established");
		break;
	case PATTERN_CLOSE_WAIT:
		item = advise_cause(maker, finding, "repair the program that does not close");
		if (item)
			remedy_close_wait(item, &finding->rows[0]);
		advise_timeout(maker, finding, TIMEOUT_TCP_CLOSE_WAIT, CLOSE_WAIT_S, "close_wait");
		break;
	default:
		break;
	}
}

static void advise(struct maker *maker, const struct finding *finding)
{
	switch (finding->pattern) {
	case PATTERN_TABLE_FULL:
	case PATTERN_CHAIN_DROPS:
		advise_size(maker, finding);
		break;
	case PATTERN_EXPECTATIONS:
		advise_expectations(maker, finding);
		break;
	case PATTERN_NAT_POOL:
		advise_nat_pool(maker, finding);
		break;
	case PATTERN_NAT_COLLISIONS:
		advise_nat(maker, finding);
		break;
	case PATTERN_UPSTREAM:
	case PATTERN_TIME_WAIT:
		advise_close(maker, finding);
		break;
	case PATTERN_HEALTH_CHECKS:
		advise_checks(maker, finding);
		break;
	case PATTERN_LEFTOVERS:
		advise_leftovers(maker, finding);
		break;
	case PATTERN_ONE_HOST:
		advise_host(maker, finding);
		break;
	case PATTERN_PORT_SCAN:
		advise_scan(maker, finding);
		break;
	case PATTERN_PEER_TO_PEER:
		advise_peers(maker, finding);
		break;
	case PATTERN_LONG_TIMEOUT:
		advise_long_timeout(maker, finding);
		break;
	case PATTERN_ASYMMETRIC:
		advise_asymmetric(maker, finding);
		break;
	default:
		advise_open(maker, finding);
	}
}

static void advise_nothing(struct maker *maker)
{
	const struct settings *now = &maker->model->settings;
	const struct snapshot *snap = maker->why->snap;
	struct advice_item *item = maker_item(maker, NULL, MERIT_NONE, "nothing-to-do");
	char words[FORECAST_WORDS_BYTES];

	if (!item)
		return;
	maker_title(item, "nothing to do");
	if (health_level(snap) != SHM_LEVEL_OK) {
		maker_title(item, "no known remedy fits");
		snprintf(item->reason, sizeof(item->reason), "the level is %s: %s",
			 snap_level_name(health_level(snap)), health_level_reason(snap, words));
	} else if (health_empty(snap))
		snprintf(item->reason, sizeof(item->reason), "%s", health_empty_words());
	else if (now->max_entries > 0)
		snprintf(item->reason, sizeof(item->reason),
			 "%.0f of %.0f entries are in use (%.1f %%), %s; nothing is lost and "
			 "no known pattern stands out",
			 maker->model->entries, now->max_entries,
			 100 * maker->model->entries / now->max_entries,
			 forecast_settles(snap, words));
	else
		snprintf(item->reason, sizeof(item->reason),
			 "%.0f entries, no limit; no known pattern stands out",
			 maker->model->entries);
}

static int item_compare(const void *left, const void *right)
{
	const struct advice_item *a = left;
	const struct advice_item *b = right;

	if (a->weight < b->weight || a->weight > b->weight)
		return a->weight > b->weight ? -1 : 1;
	return strcmp(a->id, b->id);
}

void advice_name_hosts(struct advice *advice)
{
	for (uint32_t i = 0; i < advice->count; i++)
		remedy_name_source(&advice->items[i]);
}

int advice_make(const struct why *why, struct advice *advice)
{
	struct maker maker = {.advice = advice, .why = why, .model = why->model};
	const struct settings *now = &why->model->settings;
	double limit = now->max_entries;

	memset(advice, 0, sizeof(*advice));
	advice->why = why;
	for (uint32_t i = 0; i < why->finding_count && !maker.err; i++)
		advise(&maker, &why->findings[i]);
	if (!maker.err)
		relief_add(&maker);
	/* The hidden limit counts as well as the one that is set. */
	if (now->chain_limit_entries > 0 && (limit <= 0 || now->chain_limit_entries < limit))
		limit = now->chain_limit_entries;
	if (!maker.err && limit > 0 &&
	    (expected_entries(why) > LEVEL_HIGH_RATIO * limit ||
	     health_level(why->snap) >= SHM_LEVEL_HIGH))
		advise_size(&maker, NULL);
	if (!maker.err && !advice->count)
		advise_nothing(&maker);
	for (uint32_t i = 0; i < advice->count; i++) {
		struct advice_item *item = &advice->items[i];

		/* What lasts longer first. */
		if (item->merit == MERIT_RELIEF)
			item->weight = merit_weight[item->merit] +
				       fmin(fmax(0, item->lasts_s), LASTS_MOST_S);
		else
			item->weight = merit_weight[item->merit] *
				       (item->merit == MERIT_LOSS || item->merit == MERIT_SIZE
						? 1
						: fmax(0, item_largest_ratio(item)));
	}
	qsort(advice->items, advice->count, sizeof(advice->items[0]), item_compare);
	return maker.err;
}
