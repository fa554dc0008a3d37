// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Talkers as metrics: the share of the table that one source holds, and the largest sources
 * by address where addresses may be shown.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "exporters/render/families.h"

#define LABELS_BYTES  512u
#define TALKERS_SHOWN 16u

static void add_ratio(struct families *families, const struct snapshot *snap,
		      const struct snap_talker *largest, const char *prefix)
{
	double share = (double)largest->entries / (double)snap->live.mirror_entries;

	families_add_double(families, FAMILY_TALKER_RATIO, prefix, share < 1 ? share : 1);
}

void families_add_talkers(struct families *families, const struct snapshot *snap,
			  const struct families_options *options, const char *prefix)
{
	const struct snap_talker_list *sources = options->sources;

	if (!sources || sources->count == 0 || snap->live.mirror_entries <= 0)
		return;
	add_ratio(families, snap, &sources->talkers[0], prefix);
	if (!options->shows_hosts)
		return;
	for (uint32_t i = 0; i < sources->count && i < TALKERS_SHOWN; i++) {
		const struct snap_talker *talker = &sources->talkers[i];
		char address[INET6_ADDRSTRLEN] = "", labels[LABELS_BYTES];

		inet_ntop(talker->ipv6 ? AF_INET6 : AF_INET, talker->address, address,
			  sizeof(address));
		snprintf(labels, sizeof(labels), "%s,address=\"%s\"", prefix, address);
		families_add_u64(families, FAMILY_TALKER, labels, talker->entries);
	}
}
