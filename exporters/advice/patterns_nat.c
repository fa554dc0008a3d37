// SPDX-License-Identifier: GPL-2.0-or-later
/* Ports of source NAT that run out towards one destination, however empty the table is. */
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
