// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * forecast-gen KIND SEED PREFIX    writes PREFIX.{trace,truth,full,shocks}.csv
 * forecast-gen --list              prints the names of the kinds
 */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

static FILE *create(const char *prefix, const char *suffix)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s.%s.csv", prefix, suffix);
	f = fopen(path, "w");
	if (!f)
		perror(path);
	return f;
}

static int generate(unsigned int kind, uint64_t seed, const char *prefix)
{
	struct scenario sc;
	struct sim_out dry = {0}, out = {0};
	int ret;

	scenario_draw(&sc, kind, seed);
	ret = sim_run(&sc, &dry);
	if (ret)
		return ret;
	scenario_set_limit(&sc, dry.base, dry.peak);
	out.trace = create(prefix, "trace");
	out.truth = create(prefix, "truth");
	out.spells = create(prefix, "full");
	out.shocks = create(prefix, "shocks");
	if (!out.trace || !out.truth || !out.spells || !out.shocks)
		return -1;
	fputs("t_s,count,drop,early_drop\n", out.truth);
	fputs("start_s,end_s\n", out.spells);
	ret = sim_run(&sc, &out);
	ret |= fclose(out.trace) | fclose(out.truth) | fclose(out.spells) | fclose(out.shocks);
	return ret;
}

int main(int argc, char **argv)
{
	unsigned int kind;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		for (kind = 0; kind < scenario_kinds(); kind++)
			puts(scenario_kind_name(kind));
		return 0;
	}
	if (argc != 4) {
		fprintf(stderr, "usage: forecast-gen KIND SEED PREFIX | --list\n");
		return 2;
	}
	for (kind = 0; kind < scenario_kinds(); kind++)
		if (!strcmp(argv[1], scenario_kind_name(kind)))
			return generate(kind, strtoull(argv[2], NULL, 10), argv[3]) ? 1 : 0;
	fprintf(stderr, "forecast-gen: no such kind: %s\n", argv[1]);
	return 2;
}
