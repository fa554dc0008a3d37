// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the mirror costs an event, and what statistics add: the same events into mirrors
 * that tell nobody, the forecast, and then how long entries stay and who holds them.
 * Events are parsed already; receiving and parsing them costs more than all of this.
 *
 *	mirror_cost [ROUNDS]
 *
 * Rounds alternate between the mirrors; medians, ns an event.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/stats/batch.h"
#include "tests/unit/offline.h"
#include "tests/unit/statistics.h"

#define ROUNDS_MAX 64u

enum who { NOBODY, FORECAST, STAYS, TALKERS, POOLS, BY_ZONE, WHO };

static const char *const names[WHO] = {"mirror",    "+ forecast",  "+ stays",
				       "+ talkers", "+ nat pools", "+ zones"};

struct bench {
	struct mirror_offline offline;
	struct statistics statistics;
	struct shm_talkers *listed;
};

static void create(struct bench *bench, enum who who)
{
	struct observer *observer = &bench->statistics.observer;

	memset(bench, 0, sizeof(*bench));
	bench->listed = calloc(1, sizeof(*bench->listed));
	if (!bench->listed || mirror_offline_create(&bench->offline, 4000000) ||
	    statistics_create(&bench->statistics, &bench->offline))
		exit(1);
	if (who < STAYS)
		observer->durations = NULL;
	if (who < TALKERS)
		observer->talkers = NULL;
	if (who < POOLS)
		observer->nat_pools = NULL;
	if (who < BY_ZONE)
		observer->zones = NULL;
	if (who == NOBODY)
		bench->offline.mirror.hook = NULL;
}

static void destroy(struct bench *bench)
{
	statistics_destroy(&bench->statistics);
	mirror_offline_destroy(&bench->offline);
	free(bench->listed);
}

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Flow n of `sources` hosts towards `services` of as many hosts. */
static struct ct_event event_of(uint32_t n, uint32_t sources, uint32_t services, uint8_t l4num)
{
	struct ct_event event = {.id = n, .has = CT_HAS_STATUS | CT_HAS_REPLY | CT_HAS_TIMEOUT};
	uint32_t source = n % sources, service = (n * 2654435761u) % services;

	event.key.family = AF_INET;
	event.key.l4num = l4num;
	memcpy(event.key.src, &source, 4);
	memcpy(event.key.dst, &service, 4);
	event.key.sport = (uint16_t)(n / sources);
	event.key.dport = (uint16_t)(80 + service % 20);
	event.key.zone = (uint16_t)(n >> 28);
	memcpy(event.reply_src, event.key.dst, sizeof(event.reply_src));
	/* Every one of them is translated: the most that pools can cost. */
	event.reply_dst[0] = 203;
	event.reply_sport = event.key.dport;
	event.reply_dport = (uint16_t)(1024 + n % 64512);
	event.hash = ct_hash(&event.key);
	return event;
}

#define BATCH 64u

/* The same step for flows from, from + 1, ...; returns events told. */
static uint64_t step(struct bench *bench, uint32_t from, uint32_t flows, const uint32_t shape[3],
		     uint8_t kind, int state)
{
	struct ct_event events[BATCH];
	uint64_t spent = 0;

	for (uint32_t n = from; n < from + flows; n += BATCH) {
		uint64_t began;

		for (uint32_t i = 0; i < BATCH; i++) {
			events[i] = event_of(n + i, shape[0], shape[1], (uint8_t)shape[2]);
			events[i].kind = kind;
			events[i].timeout_s = kind == CT_DESTROY ? 0 : 60;
			events[i].status = CT_STATUS_SRC_NAT | (state > 2 ? 6 : 0);
			events[i].has |= state >= 0 ? CT_HAS_PROTO_STATE : 0;
			events[i].proto_state = (uint8_t)state;
		}
		began = cpu_ns();
		batch_apply(&bench->offline.mirror, &bench->statistics.observer, events, BATCH);
		spent += cpu_ns() - began;
		mirror_offline_pass(&bench->offline, BATCH * 10000);
	}
	mirror_purge_tombstones(&bench->offline.mirror);
	return spent;
}

/* TCP connections from SYN to the end of TIME_WAIT, 200,000 of them at a time. */
static double lives(struct bench *bench)
{
	static const uint32_t shape[3] = {5000, 200, IPPROTO_TCP};
	static const struct {
		uint8_t kind;
		int state;
	} steps[] = {{CT_NEW, 1},    {CT_UPDATE, 2}, {CT_UPDATE, 3}, {CT_UPDATE, 4},
		     {CT_UPDATE, 6}, {CT_UPDATE, 7}, {CT_DESTROY, 7}};
	const uint32_t flows = 200000 / BATCH * BATCH;
	uint64_t spent = 0;

	for (unsigned int i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		spent += step(bench, 0, flows, shape, steps[i].kind, steps[i].state);
	return (double)spent / flows / (sizeof(steps) / sizeof(steps[0]));
}

/* Each packet from another address: 400,000 sources, more than there is room for. */
static double flood(struct bench *bench)
{
	static const uint32_t shape[3] = {400000, 1, IPPROTO_UDP};
	const uint32_t flows = 400000 / BATCH * BATCH;
	uint64_t spent = step(bench, 0, flows, shape, CT_NEW, -1);

	spent += step(bench, 0, flows, shape, CT_DESTROY, -1);
	return (double)spent / flows / 2;
}

/* Each packet to another address: as many as there is room for, of each a service. */
static double scan(struct bench *bench)
{
	static const uint32_t shape[3] = {16, 65536, IPPROTO_UDP};
	const uint32_t flows = 200000 / BATCH * BATCH;
	uint64_t spent = step(bench, 0, flows, shape, CT_NEW, -1);

	spent += step(bench, 0, flows, shape, CT_DESTROY, -1);
	return (double)spent / flows / 2;
}

/* What the second costs with as many keys as there is room for, in us. */
static double second(struct bench *bench)
{
	static const uint32_t shape[3] = {400000, 300000, IPPROTO_UDP};
	uint64_t began;

	step(bench, 0, 400000 / BATCH * BATCH, shape, CT_NEW, -1);
	began = cpu_ns();
	for (unsigned int i = 0; i < 20; i++)
		talkers_second(&bench->statistics.talkers, bench->listed, 1);
	return (double)(cpu_ns() - began) / 20e3;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), ascending);
	return values[n / 2];
}

static void compare(const char *what, double (*run)(struct bench *), unsigned int rounds)
{
	static double took[WHO][ROUNDS_MAX];

	for (unsigned int i = 0; i < rounds; i++) {
		for (enum who who = 0; who < WHO; who++) {
			static struct bench bench;

			create(&bench, who);
			took[who][i] = run(&bench);
			destroy(&bench);
		}
	}
	for (enum who who = 0; who < WHO; who++)
		printf("%-28s %-12s %7.0f ns an event\n", what, names[who],
		       median(took[who], rounds));
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 1 ? (unsigned int)atoi(argv[1]) : 9;
	static struct bench bench;

	rounds = rounds < 1 ? 1 : rounds > ROUNDS_MAX ? ROUNDS_MAX : rounds;
	if (ct_hash_seed() < 0)
		return 1;
	compare("TCP from SYN to TIME_WAIT", lives, rounds);
	compare("UDP from 400,000 sources", flood, rounds);
	compare("UDP to 65,536 services", scan, rounds);
	create(&bench, TALKERS);
	printf("%-28s %-12s %7.0f us a second\n", "lists of full tables", "talkers",
	       second(&bench));
	destroy(&bench);
	return 0;
}
