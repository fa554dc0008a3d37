// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * parse_speed: reading an event with agent/netlink/parser.c, and with libnetfilter_conntrack.
 *
 *	parse_speed FEED [ROUNDS]
 *
 * FEED is a recording of the agent (agent/record/feed.h); its events are read again and
 * again. The library is used as it does itself for its callbacks: an object for each
 * event. It does not compute the keyed hash, which ct_event_parse() does. Prints ns an
 * event, "ours L M H library L M H": least, median and most of the rounds.
 *
 * Threads: one. No privilege.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

#include "agent/netlink/parser.h"
#include "agent/record/feed.h"
#include "lib/base/clock.h"
#include "lib/event/event.h"

#define ROUNDS_MAX 101u
#define REPEATS	   20u

struct feed {
	uint8_t *bytes;
	size_t len;
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "parse_speed: %s\n", what);
	exit(1);
}

static void read_feed(struct feed *feed, const char *path)
{
	FILE *file = fopen(path, "rb");
	long len;

	if (!file || fseek(file, 0, SEEK_END) || (len = ftell(file)) < 16 ||
	    fseek(file, 0, SEEK_SET))
		die("cannot read the feed");
	feed->len = (size_t)len;
	feed->bytes = malloc(feed->len);
	if (!feed->bytes || fread(feed->bytes, 1, feed->len, file) != feed->len)
		die("cannot read the feed");
	fclose(file);
}

/* The event that begins at or after *at, or NULL at the end; *at moves behind it. */
static const struct nlmsghdr *next_event(const struct feed *feed, size_t *at, size_t *ret_len)
{
	while (*at + sizeof(struct recorder_frame) <= feed->len) {
		struct recorder_frame frame;
		const uint8_t *bytes;

		memcpy(&frame, feed->bytes + *at, sizeof(frame));
		bytes = feed->bytes + *at + sizeof(frame);
		*at += sizeof(frame) + ((size_t)frame.len + 7u) / 8u * 8u;
		if (*at > feed->len)
			return NULL;
		*ret_len = frame.len;
		if (frame.kind == RECORD_EVENT)
			return (const struct nlmsghdr *)bytes;
	}
	return NULL;
}

static uint64_t ours(const struct feed *feed)
{
	const struct nlmsghdr *message;
	struct ct_event event;
	uint64_t events = 0;
	size_t len, at = 16;

	while ((message = next_event(feed, &at, &len)))
		events += ct_event_parse(message, len, &event) == 0;
	return events;
}

static uint64_t library(const struct feed *feed)
{
	const struct nlmsghdr *message;
	uint64_t events = 0;
	size_t len, at = 16;

	while ((message = next_event(feed, &at, &len))) {
		struct nf_conntrack *ct = nfct_new();

		if (!ct)
			die("out of memory");
		events += nfct_nlmsg_parse(message, ct) == 0;
		nfct_destroy(ct);
	}
	return events;
}

static double one_round(const struct feed *feed, uint64_t (*parse)(const struct feed *))
{
	uint64_t began_ns = clock_cpu_ns(), events = 0;

	for (unsigned int i = 0; i < REPEATS; i++)
		events += parse(feed);
	if (events == 0)
		die("no event in the feed");
	return (double)(clock_cpu_ns() - began_ns) / (double)events;
}

static int compare(const void *a, const void *b)
{
	const double *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

static void print(const char *name, double *took, unsigned int rounds)
{
	qsort(took, rounds, sizeof(*took), compare);
	printf("%s %.1f %.1f %.1f ", name, took[0], took[rounds / 2], took[rounds - 1]);
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 2 ? (unsigned int)atoi(argv[2]) : 9;
	double our_ns[ROUNDS_MAX], their_ns[ROUNDS_MAX];
	struct feed feed;

	if (argc < 2 || argc > 3 || rounds == 0 || rounds > ROUNDS_MAX)
		die("usage: parse_speed FEED [ROUNDS]");
	read_feed(&feed, argv[1]);
	ct_hash_seed_fixed(1);
	for (unsigned int i = 0; i < rounds; i++) {
		our_ns[i] = one_round(&feed, ours);
		their_ns[i] = one_round(&feed, library);
	}
	print("ours", our_ns, rounds);
	print("library", their_ns, rounds);
	putchar('\n');
	free(feed.bytes);
	return 0;
}
