// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/stale.h"

#include <stdio.h>

#include "exporters/render/json.h"
#include "exporters/render/head.h"
#include "lib/health/health.h"

bool cli_says_first(const struct cli *cli, const struct snapshot *snap, enum old_numbers old,
		    struct text *out)
{
	bool stale = !health_fresh(snap);

	if (cli->format == ROWS_TEXT) {
		head_banner(snap, out);
		return stale && old == OLD_MISLEAD;
	}
	if (health_rehearsal(snap))
		fprintf(stderr, "conntide: REHEARSAL: %s\n", health_rehearsal_words());
	if (stale && (cli->format == ROWS_JSON || cli->format == ROWS_NDJSON))
		json_stale(snap, out);
	return stale;
}
