// SPDX-License-Identifier: GPL-2.0-or-later
/* Ports of source NAT that run out towards one destination, however empty the table is; and
 * insertions that fail for another reason. */
#include "exporters/advice/patterns.h"

#include <stdio.h>
#include <string.h>

#include "exporters/render/nat.h"
#include "lib/event/event.h"

/* As full as this some new connections fail soon, or do (lib/kernel/nat_ports.h). */
#define POOL_SHARE NAT_HIGH_RATIO
/* And one that is not, but will be within this. */
#define POOL_SOON_S 600.0

static void add_figures(struct finding *finding, const struct snap_nat_pool *pool)
{
	finding_figure(finding, "held_ports", pool->held);
	finding_figure(finding, "used_ports", pool->used);
	finding_figure(finding, "size_ports", pool->size);
	finding_figure(finding, "used_ratio", pool->ratio);
	finding_figure(finding, "new_per_second", pool->new_per_s);
	finding_figure(finding, "failing_share", pool->failing_share);
	finding_figure(finding, "full_in_seconds", pool->likely_s);
	finding_figure(finding, "client_ports", pool->client_used);
}

static void look_at_pool(struct look *look, const struct snap_nat_pool *pool)
{
	struct finding *finding;
	char port[16] = "";

	if (!pool->translated || (pool->ratio < POOL_SHARE && pool->likely_s > POOL_SOON_S))
		return;
	finding = look_add(look, PATTERN_NAT_POOL,
			   pool->ratio >= POOL_SHARE ? CONFIDENCE_SURE : CONFIDENCE_LIKELY,
			   pool->used);
	if (!finding)
		return;
	finding->pool = pool;
	if (pool->remote_port)
		snprintf(port, sizeof(port), "/%u", pool->remote_port);
	finding_summary(
		finding,
		"not the table: %.3g %% of the ports of one outside address towards one "
		"destination, %s%s, cannot be had (%u of %u)%s; a larger table does nothing",
		100 * pool->ratio, l4proto_info(pool->l4proto)->name, port, pool->held, pool->size,
		pool->measured ? ", and new connections fail" : "");
	if (pool->ratio < POOL_SHARE)
		finding->unsure = "it is full within ten minutes only if it goes on as it does";
	add_figures(finding, pool);
	if (!pool->client_used)
		return;
	finding->has_host = finding->host_is_source = true;
	finding->host = (struct snap_talker){.ipv6 = pool->ipv6, .entries = pool->client_used};
	memcpy(finding->host.address, pool->client, sizeof(finding->host.address));
}

/* Without the file of the hosts there is the summary. */
static void look_at_summary(struct look *look)
{
	const struct snap_live *live = &look->snap->live;
	double ratio = (double)live->nat_used_ratio_ppm / 1e6;
	struct finding *finding;
	char words[NAT_WORDS_BYTES];

	if (live->nat_pools <= 0 || ratio < POOL_SHARE)
		return;
	finding = look_add(look, PATTERN_NAT_POOL, CONFIDENCE_SURE, (double)live->nat_held_ports);
	if (!finding)
		return;
	finding_summary(finding, "not the table: %.280s", nat_words(live, words));
	finding_figure(finding, "held_ports", (double)live->nat_held_ports);
	finding_figure(finding, "size_ports", (double)live->nat_size_ports);
	finding_figure(finding, "used_ratio", ratio);
}

void pattern_nat_pool(struct look *look)
{
	const struct snap_nat *nat = &look->snap->nat;

	if (!nat->valid) {
		look_at_summary(look);
		return;
	}
	/* The largest three: where one is full, many of the same clients may be. */
	for (uint32_t i = 0; i < nat->count && i < 3; i++)
		look_at_pool(look, &nat->pools[i]);
}

/* One search in ten that meets a port in use is more than chance while NAT's 64,512
 * ports towards a destination are mostly free. */
#define FOUND_PER_NEW 0.1
#define FOUND_MIN     100.0

static bool searches_collide(const struct look *look)
{
	return look->recent.found >= FOUND_MIN &&
	       look->recent.found >= FOUND_PER_NEW * look->recent.new_entries;
}

/* What long chains refused has a counter of its own. */
static double failed_inserts(const struct look *look)
{
	double failed = look->recent.insert_failed - look->recent.chaintoolong;

	return failed > 0 ? failed : 0;
}

void pattern_nat_collisions(struct look *look)
{
	double failed = failed_inserts(look);
	struct finding *finding;

	/* Where a pool is full that is the explanation, with its name. */
	if (!searches_collide(look) || look_has_pattern(look, PATTERN_NAT_POOL))
		return;
	finding = look_add(look, PATTERN_NAT_COLLISIONS,
			   failed >= INSERT_FAILED_MIN ? CONFIDENCE_SURE : CONFIDENCE_LIKELY, 0);
	if (!finding)
		return;
	if (failed < INSERT_FAILED_MIN)
		finding->unsure = "all of them found another port: ports get scarce, and are "
				  "not out yet";
	finding_summary(
		finding,
		"in the last %.0f s the search for a free port met a tuple in use %.0f times "
		"for %.0f new entries, and %.0f entries could not be inserted",
		look->recent.over_s, look->recent.found, look->recent.new_entries, failed);
	finding_figure(finding, "found", look->recent.found);
	finding_figure(finding, "new_entries", look->recent.new_entries);
	finding_figure(finding, "insert_failed", failed);
	finding_figure(finding, "over_seconds", look->recent.over_s);
}

/* DNS is where clashes come from when a tenth of what is new is DNS. */
#define DNS_PORT  53u
#define DNS_SHARE 0.1

/* Of the new entries per second; 0: rates are not known. */
static double dns_share(const struct look *look)
{
	double all = 0, dns = 0;

	for (size_t i = 0; i < look->snap->row_count; i++) {
		const struct snap_row *row = &look->snap->rows[i];

		if (!(row->new_per_s > 0))
			continue;
		all += row->new_per_s;
		dns += row->key.l4proto == L4_UDP && row->key.port == DNS_PORT ? row->new_per_s : 0;
	}
	return all > 0 ? dns / all : 0;
}

/*
 * Insertions fail for four causes. The table has drop and early_drop beside it, chains have
 * chaintoolong, NAT without ports a full pool or a search that goes on and on (found). What is
 * left are two packets of one flow, or of two flows that become one by NAT, on two CPUs.
 */
void pattern_insert_clash(struct look *look)
{
	double failed = failed_inserts(look), share = dns_share(look);
	bool dns = share >= DNS_SHARE;
	struct finding *finding;

	if (failed < INSERT_FAILED_MIN || look_has_pattern(look, PATTERN_NAT_POOL) ||
	    look_has_pattern(look, PATTERN_NAT_COLLISIONS) ||
	    look_has_pattern(look, PATTERN_TABLE_FULL))
		return;
	finding = look_add(look, PATTERN_INSERT_CLASH,
			   dns ? CONFIDENCE_LIKELY : CONFIDENCE_NOT_SURE, 0);
	if (!finding)
		return;
	finding->unsure = dns ? "which packets they were the kernel does not tell"
			      : "little of what is new is DNS, where most clashes come from; a "
				"narrow range of NAT that the agent does not know of (--nat-ports) "
				"looks the same";
	finding_summary(
		finding,
		"in the last %.0f s %.0f entries could not be inserted, and not for want of "
		"room: the table, the hash chains and the NAT pools have some; two packets "
		"of one flow at the same time do that; %.0f %% of what is new is DNS",
		look->recent.over_s, failed, 100 * share);
	finding_figure(finding, "insert_failed", failed);
	finding_figure(finding, "clash_resolved", look->recent.clash_resolved);
	finding_figure(finding, "found", look->recent.found);
	finding_figure(finding, "dns_new_share", share);
	finding_figure(finding, "over_seconds", look->recent.over_s);
}
