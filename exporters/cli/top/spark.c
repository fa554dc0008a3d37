// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/cli/top/spark.h"

#include <string.h>

static uint32_t entries_in(const struct snap_frame *frame, const struct row_key *key)
{
	for (uint32_t i = 0; i < frame->row_count; i++)
		if (!memcmp(&frame->rows[i].key, key, sizeof(*key)))
			return frame->rows[i].entries;
	return 0;
}

const char *spark_row(const struct snap_table_log *frames, const struct row_key *key,
		      uint32_t entries_now, unsigned int columns, bool ascii, char out[SPARK_BYTES])
{
	static const char *const bars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const plain[] = {" ", ".", ".", ":", ":", "-", "=", "*", "#"};
	uint32_t values[SPARK_COLUMNS_MAX] = {0}, most = entries_now;

	if (columns > SPARK_COLUMNS_MAX)
		columns = SPARK_COLUMNS_MAX;
	for (unsigned int i = 0; i + 1 < columns && i < frames->count; i++) {
		uint32_t entries = entries_in(&frames->frames[frames->count - 1 - i], key);

		values[columns - 2 - i] = entries;
		most = entries > most ? entries : most;
	}
	if (columns)
		values[columns - 1] = entries_now;
	out[0] = '\0';
	for (unsigned int i = 0; i < columns; i++) {
		/* 0 is blank, anything above it at least the lowest bar. */
		uint64_t height = most ? ((uint64_t)values[i] * 8 + most - 1) / most : 0;

		strcat(out, (ascii ? plain : bars)[height]);
	}
	return out;
}
