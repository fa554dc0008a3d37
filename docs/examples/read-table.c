// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prints the level of the table and its cells, as conntide status and conntide cells do:
 *
 *	cc -o read-table read-table.c $(pkg-config --cflags --libs conntide)
 *	./read-table [RUNTIME_DIR]
 */
#include <conntide.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void print_cells(const struct conntide_table *table)
{
	size_t count = conntide_cells(table, NULL, 0);
	struct conntide_cell *cells = calloc(count + 1, sizeof(*cells));

	if (!cells)
		return;
	conntide_cells(table, cells, count);
	for (size_t i = 0; i < count; i++)
		printf("%s %s %u %s %" PRIu32 "\n", cells[i].l4proto, cells[i].direction,
		       (unsigned int)cells[i].port, cells[i].state, cells[i].entries);
	free(cells);
}

int main(int argc, char **argv)
{
	struct conntide_table *table;
	struct conntide_status status;
	int failed = 1;

	if (conntide_open(argc > 1 ? argv[1] : NULL, NULL, &table) == 0 &&
	    conntide_read(table) == 0 && conntide_status(table, &status) == 0) {
		printf("%s: %" PRId64 " of %" PRId64 " entries, %s\n", status.level, status.entries,
		       status.limit, status.fresh ? status.quality : "no agent runs");
		print_cells(table);
		failed = 0;
	} else {
		fprintf(stderr, "%s\n", conntide_error(table));
	}
	conntide_close(table);
	return failed;
}
