// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mirror_speed: what the mirror makes of an event, without a kernel.
 *
 *	mirror_speed [-n entries] [-d depth] [-S] [-r rounds]
 *
 * Fills a mirror with TCP entries and moves entries chosen at random to other
 * states, a batch at a time, as agent/drain.c does it. Prints ns an event: the
 * least, the median and the most of the rounds. depth: 0 nothing is brought into
 * the cache beforehand, 1 the lines of the index, 2 the records too, 3 what continues
 * a line too (as the agent). -S: in small pages.
 *
 * Messages are not parsed here; make test-instructions watches over that.
 * Threads: one. No privilege.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "agent/netlink/sockets.h"
#include "lib/base/clock.h"
#include "tests/unit/offline.h"

#define ROUNDS_MAX 101u
#define BATCHES	   3000u
#define TCP	   6
#define PORTS	   50u

struct options {
	uint32_t entries;
	unsigned int depth;
	unsigned int rounds;
	bool small;
};

static struct mirror_offline offline;

/* For many hashes one step, then the next: see lib/mirror/flow_table.h. */
static void warm(const struct ct_event *events, unsigned int depth)
{
	const struct flow_table *table = &offline.mirror.table;

	for (unsigned int i = 0; depth >= 1 && i < NLSOCK_BATCH; i++)
		flow_prefetch_line(table, events[i].hash);
	for (unsigned int i = 0; depth >= 2 && i < NLSOCK_BATCH; i++)
		flow_prefetch_record(table, events[i].hash);
	for (unsigned int i = 0; depth >= 3 && i < NLSOCK_BATCH; i++)
		flow_prefetch_overflow(table, events[i].hash);
}

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static struct ct_event event_of(enum ct_kind kind, uint32_t number, int state)
{
	const struct told told = {.kind = kind,
				  .number = number,
				  .id = number,
				  .l4num = TCP,
				  .status = kind == CT_NEW ? 0 : CT_STATUS_SEEN_REPLY,
				  .state = state};
	struct ct_event event = offline_event(told);

	/* Few ports, as there are: each has cells of its own. */
	memcpy(event.key.src, &number, sizeof(number));
	event.key.dport = (uint16_t)(7000 + number % PORTS);
	event.hash = ct_hash(&event.key);
	return event;
}

static double one_round(const struct options *o, uint64_t *seed)
{
	struct ct_event events[NLSOCK_BATCH];
	uint64_t spent_ns = 0;

	for (unsigned int batch = 0; batch < BATCHES; batch++) {
		uint64_t began_ns;

		for (unsigned int i = 0; i < NLSOCK_BATCH; i++) {
			uint64_t random = next_random(seed);

			events[i] = event_of(CT_UPDATE, (uint32_t)(random % o->entries),
					     2 + (int)(random >> 60) % 5);
		}
		began_ns = clock_cpu_ns();
		warm(events, o->depth);
		for (unsigned int i = 0; i < NLSOCK_BATCH; i++)
			mirror_event(&offline.mirror, &events[i]);
		spent_ns += clock_cpu_ns() - began_ns;
	}
	return (double)spent_ns / (BATCHES * NLSOCK_BATCH);
}

static int compare(const void *a, const void *b)
{
	const double *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

static struct options parse(int argc, char **argv)
{
	struct options o = {.entries = 1000000, .depth = 3, .rounds = 9};
	int c;

	while ((c = getopt(argc, argv, "n:d:r:S")) != -1) {
		if (c == 'n')
			o.entries = (uint32_t)atoi(optarg);
		else if (c == 'd')
			o.depth = (unsigned int)atoi(optarg);
		else if (c == 'r')
			o.rounds = (unsigned int)atoi(optarg);
		else if (c == 'S')
			o.small = true;
		else
			exit(2);
	}
	if (optind != argc || o.entries == 0 || o.rounds == 0 || o.rounds > ROUNDS_MAX) {
		fputs("usage: mirror_speed [-n entries] [-d depth] [-S] [-r rounds]\n", stderr);
		exit(2);
	}
	return o;
}

int main(int argc, char **argv)
{
	struct options o = parse(argc, argv);
	double rounds[ROUNDS_MAX];
	uint64_t seed = 88172645463325252u;

	if (o.small && prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) < 0)
		perror("mirror_speed: small pages");
	ct_hash_seed_fixed(1);
	if (mirror_offline_create(&offline, 2 * o.entries) < 0) {
		fputs("mirror_speed: out of memory\n", stderr);
		return 1;
	}
	for (uint32_t i = 0; i < o.entries; i++) {
		struct ct_event event = event_of(CT_NEW, i, 1);

		mirror_event(&offline.mirror, &event);
	}
	for (unsigned int i = 0; i < o.rounds; i++)
		rounds[i] = one_round(&o, &seed);
	qsort(rounds, o.rounds, sizeof(rounds[0]), compare);
	printf("least %.1f median %.1f most %.1f\n", rounds[0], rounds[o.rounds / 2],
	       rounds[o.rounds - 1]);
	mirror_offline_destroy(&offline);
	return 0;
}
