// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/head.h"

#include <inttypes.h>

#include "exporters/render/age.h"
#include "exporters/render/forecast_text.h"
#include "lib/health/health.h"

void head_banner(const struct snapshot *snap, struct text *out)
{
	char age[32];

	if (health_rehearsal(snap))
		text_add_format(out, "REHEARSAL: %s\n", health_rehearsal_words());
	if (!health_fresh(snap))
		text_add_format(out, "NO CURRENT NUMBERS: %s (the last ones are %s%s)\n",
				health_reason(snap), format_age(snap->age_ns, age),
				snap->age_ns == UINT64_MAX ? "" : " old");
}

void head_fill(const struct snapshot *snap, struct text *out)
{
	const struct snap_live *live = &snap->live;
	double fill = health_fill_ratio(live);

	text_add_format(out, "%" PRId64, live->count_entries);
	if (fill < 0)
		text_add(out, " entries, no limit");
	else
		text_add_format(out, " of %" PRId64 " entries%s%s%s, %.1f %% full",
				live->limit_entries, live->limit_kind == SHM_LIMIT_MAX ? "" : " (",
				live->limit_kind == SHM_LIMIT_MAX
					? ""
					: forecast_limit_words((enum shm_limit)live->limit_kind),
				live->limit_kind == SHM_LIMIT_MAX ? "" : ")", 100 * fill);
}
