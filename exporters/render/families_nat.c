// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * NAT pools as metrics: 4 series, and 16 that name addresses where they may be shown. While
 * nothing is translated ratio and time are absent, and not 0.
 */
#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "exporters/render/families.h"
#include "lib/event/event.h"
#include "lib/shm/snap_nat.h"

#define LABELS_BYTES 512u
#define POOLS_SHOWN  16u

static void add_time(struct families *families, const char *prefix, const char *bound, int64_t ms)
{
	char labels[LABELS_BYTES];

	snprintf(labels, sizeof(labels), "%s,bound=\"%s\"", prefix, bound);
	families_add_double(families, FAMILY_FORECAST_NAT_TIME, labels,
			    ms < 0 ? (double)INFINITY : (double)ms / 1e3);
}

void families_add_nat(struct families *families, const struct snap_live *live, const char *prefix)
{
	char labels[LABELS_BYTES];

	if (live->nat_pools <= 0 || live->nat_used_ratio_ppm < 0)
		return;
	snprintf(labels, sizeof(labels), "%s,l4proto=\"%s\",remote_port=\"%u\"", prefix,
		 l4proto_info(ct_l4proto((uint8_t)live->nat_l4num))->name,
		 (unsigned int)(uint16_t)live->nat_remote_port);
	families_add_double(families, FAMILY_NAT_RATIO, labels,
			    (double)live->nat_used_ratio_ppm / 1e6);
	add_time(families, prefix, "early", live->nat_full_early_ms);
	add_time(families, prefix, "likely", live->nat_full_likely_ms);
	add_time(families, prefix, "late", live->nat_full_late_ms);
}

/* Zone and class of ports are not labels: of pools with equal labels the first, fullest, is shown.
 */
static bool shown_before(const struct snap_nat *nat, uint32_t at)
{
	const struct snap_nat_pool *pool = &nat->pools[at];

	for (uint32_t i = 0; i < at; i++) {
		const struct snap_nat_pool *other = &nat->pools[i];

		if (other->translated && other->l4proto == pool->l4proto &&
		    other->remote_port == pool->remote_port && other->ipv6 == pool->ipv6 &&
		    !memcmp(other->address, pool->address, 16) &&
		    !memcmp(other->remote, pool->remote, 16))
			return true;
	}
	return false;
}

void families_add_nat_pools(struct families *families, const struct snap_nat *nat,
			    const char *prefix)
{
	uint32_t shown = 0;

	for (uint32_t i = 0; i < nat->count && shown < POOLS_SHOWN; i++) {
		const struct snap_nat_pool *pool = &nat->pools[i];
		char address[48] = "", remote[48] = "", labels[LABELS_BYTES];
		int family = pool->ipv6 ? AF_INET6 : AF_INET;

		if (!pool->translated || shown_before(nat, i))
			continue;
		inet_ntop(family, pool->address, address, sizeof(address));
		inet_ntop(family, pool->remote, remote, sizeof(remote));
		snprintf(labels, sizeof(labels),
			 "%s,l4proto=\"%s\",address=\"%s\",remote=\"%s\",remote_port=\"%u\"",
			 prefix, l4proto_info(pool->l4proto)->name, address, remote,
			 pool->remote_port);
		families_add_u64(families, FAMILY_NAT_POOL, labels, pool->used);
		shown++;
	}
}
