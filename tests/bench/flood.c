// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * flood: makes new UDP flows at a stated rate, for tests and benchmarks.
 *
 *	flood [options] <destination prefix, e.g. 10.80.0.0>
 *
 * Every packet is the first of a flow of its own: source port, source address
 * and destination address are counted up, so no flow repeats before
 * ports * hosts * 65536 packets. Packets are built here and sent through a raw
 * socket with sendmmsg(2): what is measured is conntrack, not this program.
 *
 * Run it in a network namespace made for the purpose, with a route of the
 * destination prefix through a gateway on a device that drops what it gets
 * (dummy, or ifb with qdisc noqueue). Without a gateway each destination would
 * need a neighbour entry, which costs more than conntrack does.
 *
 * Threads: one. Prints "sent N refused N seconds S" at the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 256u

struct packet {
	struct iphdr ip;
	struct udphdr udp;
	uint8_t payload[4];
} __attribute__((packed));

struct options {
	uint64_t rate;	   /* new flows a second; 0: as fast as possible */
	uint64_t total;	   /* stop after so many; 0: by time */
	double seconds;	   /* stop after so long */
	uint32_t first;	   /* number of the first flow: another first, other flows */
	uint16_t port;	   /* first destination port */
	uint16_t ports;	   /* how many destination ports, round robin */
	uint32_t source;   /* source prefix, host order */
	uint32_t dest;	   /* destination prefix, host order */
};

static void usage(FILE *to)
{
	fputs("usage: flood [-r flows/s] [-s seconds] [-n flows] [-f first] [-p port]\n"
	      "             [-P ports] [-a source-prefix] destination-prefix\n",
	      to);
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t number(const char *text)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (*text == '\0' || *end != '\0') {
		fprintf(stderr, "flood: not a number: %s\n", text);
		exit(2);
	}
	return value;
}

static uint32_t prefix(const char *text)
{
	struct in_addr addr;

	if (inet_pton(AF_INET, text, &addr) != 1) {
		fprintf(stderr, "flood: not an IPv4 address: %s\n", text);
		exit(2);
	}
	return ntohl(addr.s_addr) & 0xffff0000u;
}

static struct options parse(int argc, char **argv)
{
	struct options o = {.rate = 10000,
			    .seconds = 1,
			    .port = 7000,
			    .ports = 1,
			    .source = 0x0a510000u}; /* 10.81.0.0 */
	int c;

	while ((c = getopt(argc, argv, "r:s:n:f:p:P:a:h")) != -1) {
		switch (c) {
		case 'r':
			o.rate = number(optarg);
			break;
		case 's':
			o.seconds = (double)number(optarg);
			break;
		case 'n':
			o.total = number(optarg);
			break;
		case 'f':
			o.first = (uint32_t)number(optarg);
			break;
		case 'p':
			o.port = (uint16_t)number(optarg);
			break;
		case 'P':
			o.ports = (uint16_t)number(optarg);
			break;
		case 'a':
			o.source = prefix(optarg);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind + 1 != argc || o.ports == 0) {
		usage(stderr);
		exit(2);
	}
	o.dest = prefix(argv[optind]);
	return o;
}

/* Flow n: 16 bits choose the destination host, the rest source port and host. */
static void build(const struct options *o, uint64_t n, struct packet *p)
{
	uint32_t flow = (uint32_t)n + o->first;
	uint32_t rest = flow >> 16;

	p->ip.saddr = htonl(o->source | 0x0100u | (rest & 0xffu));
	p->ip.daddr = htonl(o->dest | (flow & 0xffffu));
	p->udp.source = htons((uint16_t)(1024u + (rest >> 8)));
	p->udp.dest = htons((uint16_t)(o->port + flow % o->ports));
}

static void prepare(struct packet *p)
{
	memset(p, 0, sizeof(*p));
	p->ip.version = 4;
	p->ip.ihl = 5;
	p->ip.ttl = 64;
	p->ip.protocol = IPPROTO_UDP;
	p->ip.id = htons(1); /* 0 would make the kernel choose one, at a cost */
	p->ip.tot_len = htons((uint16_t)sizeof(*p));
	/* Checksum 0 means "none" for UDP over IPv4; the kernel fills the IP one. */
	p->udp.len = htons((uint16_t)(sizeof(*p) - sizeof(struct iphdr)));
}

/* Sends the whole batch; returns how many the kernel refused (table full: EPERM). */
static uint64_t send_batch(int fd, struct mmsghdr *msgs, unsigned int count)
{
	uint64_t refused = 0;
	unsigned int done = 0;

	while (done < count) {
		int sent = sendmmsg(fd, msgs + done, count - done, 0);

		if (sent > 0) {
			done += (unsigned int)sent;
		} else if (errno == EPERM || errno == ENOBUFS || errno == EAGAIN) {
			refused++;
			done++;
		} else if (errno != EINTR) {
			perror("flood: sendmmsg");
			exit(1);
		}
	}
	return refused;
}

static void wait_until(double when)
{
	double left = when - now();
	struct timespec ts;

	if (left <= 0)
		return;
	ts.tv_sec = (time_t)left;
	ts.tv_nsec = (long)((left - (double)ts.tv_sec) * 1e9);
	nanosleep(&ts, NULL);
}

int main(int argc, char **argv)
{
	static struct packet packets[BATCH];
	static struct iovec iov[BATCH];
	static struct mmsghdr msgs[BATCH];
	struct options o = parse(argc, argv);
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(o.dest | 1)};
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	uint64_t sent = 0, refused = 0;
	double start;

	if (fd < 0) {
		perror("flood: raw socket");
		return 1;
	}
	/* Only the route is taken from here: the header names the real destination. */
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		perror("flood: no route to the destination prefix");
		return 1;
	}
	for (unsigned int i = 0; i < BATCH; i++) {
		prepare(&packets[i]);
		iov[i].iov_base = &packets[i];
		iov[i].iov_len = sizeof(packets[i]);
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	start = now();
	while (o.total == 0 ? now() - start < o.seconds : sent < o.total) {
		unsigned int count = BATCH;

		if (o.total != 0 && o.total - sent < count)
			count = (unsigned int)(o.total - sent);
		for (unsigned int i = 0; i < count; i++)
			build(&o, sent + i, &packets[i]);
		refused += send_batch(fd, msgs, count);
		sent += count;
		if (o.rate != 0)
			wait_until(start + (double)sent / (double)o.rate);
	}
	printf("sent %llu refused %llu seconds %.3f\n", (unsigned long long)sent,
	       (unsigned long long)refused, now() - start);
	return 0;
}
