// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A row of the table over the last minutes, one character for each frame of ten seconds
 * (lib/stats/table_log.h), scaled to its largest value. Pure.
 */
#ifndef CONNTIDE_CLI_TOP_SPARK_H
#define CONNTIDE_CLI_TOP_SPARK_H

#include <stdbool.h>

#include "lib/shm/snap_detail.h"

#define SPARK_COLUMNS_MAX 32u
/* Three bytes a column in UTF-8. */
#define SPARK_BYTES (3u * SPARK_COLUMNS_MAX + 1u)

/* The last is `entries_now`. Frames in which the row was not among the largest count as 0.
 * Returns out. */
const char *spark_row(const struct snap_table_log *frames, const struct row_key *key,
		      uint32_t entries_now, unsigned int columns, bool ascii,
		      char out[SPARK_BYTES]);

#endif
