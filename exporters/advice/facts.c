// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/facts.h"

#include <string.h>

#include "exporters/advice/advice_item.h"

static const struct snap_ages_row *
row_facts(const struct snapshot *snap, const struct snap_detail *details, const struct row_key *key)
{
	return snap_ages_row(snap_ages_now(details->ages, snap->taken_real_ns), key);
}

uint32_t facts_families(const struct snapshot *snap, const struct snap_detail *details,
			const struct row_key *key)
{
	const struct snap_ages *ages = snap_ages_now(details->ages, snap->taken_real_ns);
	const struct snap_ages_row *row = key ? snap_ages_row(ages, key) : NULL;

	if (ages && !row)
		row = &ages->all;
	if (!row || !row->entries)
		return FAMILIES_ALL;
	return (row->ipv6 < row->entries ? FAMILY_IPV4 : 0) | (row->ipv6 ? FAMILY_IPV6 : 0);
}

bool facts_not_translated(const struct snapshot *snap, const struct snap_detail *details,
			  const struct row_key *key)
{
	const struct snap_ages_row *row = row_facts(snap, details, key);

	return row && !row->src_nat && !row->dst_nat;
}

static uint32_t offloaded(const struct snapshot *snap, const struct row_key *key)
{
	unsigned int state = key->l4proto == L4_TCP || key->l4proto == L4_SCTP
				     ? (unsigned int)ST_TCP_OFFLOADED
				     : (unsigned int)ST_GENERIC_OFFLOADED;

	for (size_t i = 0; i < snap->row_count; i++)
		if (!memcmp(&snap->rows[i].key, key, sizeof(*key)))
			return snap->rows[i].states[state];
	return 0;
}

bool facts_notrack_harmless(const struct snapshot *snap, const struct snap_detail *details,
			    const struct row_key *key)
{
	const struct snap_ages_row *row = row_facts(snap, details, key);

	return row && !row->src_nat && !row->dst_nat && !row->helper && !row->zoned &&
	       !offloaded(snap, key);
}

bool facts_not_offloaded(const struct snapshot *snap, const struct row_key *key)
{
	return !offloaded(snap, key);
}

bool facts_helped(const struct snapshot *snap, const struct snap_detail *details,
		  const struct row_key *key)
{
	const struct snap_ages_row *row = row_facts(snap, details, key);

	return row && row->helper > row->entries / 2;
}
