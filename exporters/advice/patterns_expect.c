// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of expectations, which has a limit of its own, runs out. */
#include "exporters/advice/patterns.h"

/* As HIGH begins (lib/health/level.h). */
#define EXPECT_RATIO 0.85

void pattern_expectations(struct look *look)
{
	const struct snap_live *live = &look->snap->live;
	bool full = live->expectations >= live->expectations_max;
	struct finding *finding;

	if (live->expectations <= 0 || live->expectations_max <= 0 ||
	    (double)live->expectations < EXPECT_RATIO * (double)live->expectations_max)
		return;
	finding = look_add(look, PATTERN_EXPECTATIONS, CONFIDENCE_SURE, 0);
	if (!finding)
		return;
	finding_summary(finding,
			"not the table: %.0f of %.0f expectations are in use%s; a larger "
			"nf_conntrack_max does nothing",
			(double)live->expectations, (double)live->expectations_max,
			full ? ", new ones are refused and the helper's packet is dropped (a SIP "
			       "registration, the data connection of FTP)"
			     : "");
	finding_figure(finding, "expectations", (double)live->expectations);
	finding_figure(finding, "max_expectations", (double)live->expectations_max);
}
