// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * forecast-gen KIND SEED PREFIX    writes PREFIX.{trace,truth,full,shocks}.csv
 * forecast-gen --list              prints the names of the kinds
 * forecast-gen --oracle KIND SEED PREFIX PATHS EVERY
 *	writes PREFIX.{causal,clairvoyant}.json: what oracle.h says of every
 *	EVERYth instant of that trace, from PATHS continuations each
 */
#include "oracle.h"

#include <stdlib.h>
#include <string.h>

static FILE *create(const char *prefix, const char *suffix)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s.%s", prefix, suffix);
	f = fopen(path, "w");
	if (!f)
		perror(path);
	return f;
}

static int prepare(struct scenario *sc, unsigned int kind, uint64_t seed)
{
	struct sim_out dry = {0};
	int ret;

	scenario_draw(sc, kind, seed);
	ret = sim_run(sc, &dry);
	if (!ret)
		scenario_set_limit(sc, dry.base, dry.peak);
	return ret;
}

static int ask_oracle(unsigned int kind, uint64_t seed, const char *prefix, unsigned int paths,
		      unsigned int every)
{
	struct sim_out out = {0};
	struct scenario sc;
	FILE *causal, *clairvoyant;
	int ret;

	ret = prepare(&sc, kind, seed);
	if (ret)
		return ret;
	causal = create(prefix, "causal.json");
	clairvoyant = create(prefix, "clairvoyant.json");
	out.trace = fopen("/dev/null", "w");
	if (!causal || !clairvoyant || !out.trace)
		return -1;
	ret = oracle_run(&sc, paths, every, &out, causal, clairvoyant);
	return ret | fclose(out.trace) | fclose(causal) | fclose(clairvoyant);
}

static int generate(unsigned int kind, uint64_t seed, const char *prefix)
{
	struct scenario sc;
	struct sim_out out = {0};
	int ret;

	ret = prepare(&sc, kind, seed);
	if (ret)
		return ret;
	out.trace = create(prefix, "trace.csv");
	out.truth = create(prefix, "truth.csv");
	out.spells = create(prefix, "full.csv");
	out.shocks = create(prefix, "shocks.csv");
	if (!out.trace || !out.truth || !out.spells || !out.shocks)
		return -1;
	fputs("t_s,count,drop,early_drop\n", out.truth);
	fputs("start_s,end_s\n", out.spells);
	ret = sim_run(&sc, &out);
	ret |= fclose(out.trace) | fclose(out.truth) | fclose(out.spells) | fclose(out.shocks);
	return ret;
}

/* scenario_kinds() when there is no such kind. */
static unsigned int find_kind(const char *name)
{
	unsigned int kind;

	for (kind = 0; kind < scenario_kinds(); kind++)
		if (!strcmp(name, scenario_kind_name(kind)))
			return kind;
	fprintf(stderr, "forecast-gen: no such kind: %s\n", name);
	return kind;
}

int main(int argc, char **argv)
{
	bool oracle = argc == 7 && !strcmp(argv[1], "--oracle");
	unsigned int kind;

	if (argc == 2 && !strcmp(argv[1], "--list")) {
		for (kind = 0; kind < scenario_kinds(); kind++)
			puts(scenario_kind_name(kind));
		return 0;
	}
	if (argc != 4 && !oracle) {
		fprintf(stderr, "usage: forecast-gen KIND SEED PREFIX | --list |\n"
				"       --oracle KIND SEED PREFIX PATHS EVERY\n");
		return 2;
	}
	argv += oracle;
	kind = find_kind(argv[1]);
	if (kind == scenario_kinds())
		return 2;
	if (oracle)
		return ask_oracle(kind, strtoull(argv[2], NULL, 10), argv[3],
				  (unsigned int)strtoul(argv[4], NULL, 10),
				  (unsigned int)strtoul(argv[5], NULL, 10))
			       ? 1
			       : 0;
	return generate(kind, strtoull(argv[2], NULL, 10), argv[3]) ? 1 : 0;
}
