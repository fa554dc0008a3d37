// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * flood: makes flows at a stated rate, for tests and benchmarks.
 *
 *	flood [options] <destination prefix, e.g. 10.80.0.0>
 *
 * New UDP flows: every packet is the first of a flow of its own: source port,
 * source address and destination address are counted up, so no flow repeats
 * before ports * hosts * 65536 packets.
 *
 * With -L whole TCP lives instead, both sides of them: SYN, SYN/ACK, ACK, FIN,
 * FIN/ACK, ACK, and the entry is in TIME_WAIT. A ring of N flows is gone round;
 * the SYN of the next round ends the life before it (DESTROY) and begins another
 * (NEW), so that the table keeps N entries and each life after the first round
 * gives seven events. Between two packets of a life those of D others are sent:
 * with a large D no event meets what it needs in the processor's cache. With -M
 * the ring is chosen here and there among M flows. -k 1 sends but the SYN, 2 the
 * SYN/ACK too...
 *
 * Packets are built here and sent through a raw socket with sendmmsg(2): what is
 * measured is conntrack, not this program.
 *
 * Run it in a network namespace made for the purpose, with a route of the
 * destination prefix (with -L of the source prefix too) through a gateway on a
 * device that drops what it gets (dummy, or ifb with qdisc noqueue). Without a
 * gateway each destination would need a neighbour entry, which costs more than
 * conntrack does.
 *
 * Threads: one. Prints "sent N refused N seconds S" at the end; with -L what was
 * sent are lives, what was refused packets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 252u
#define STEPS 6u /* packets of a TCP life */

struct packet {
	struct iphdr ip;
	union {
		struct {
			struct udphdr head;
			uint8_t payload[4];
		} udp;
		struct tcphdr tcp;
	};
};

_Static_assert(sizeof(struct packet) == 40, "a packet is as on the wire");

struct options {
	bool lives;	    /* whole TCP lives, not first packets of UDP */
	uint64_t ring;	    /* lives: flows in the ring */
	uint64_t space;	    /* lives: flows the ring is chosen among; 0: the first ones */
	uint64_t distance;  /* lives: flows between two packets of one */
	unsigned int steps; /* lives: packets of each that are sent */
	uint64_t rate;	    /* new flows a second; 0: as fast as possible */
	uint64_t total;	    /* stop after so many; 0: by time */
	double seconds;	    /* stop after so long */
	uint32_t first;	    /* number of the first flow: another first, other flows */
	uint16_t port;	    /* first destination port */
	uint16_t ports;	    /* how many destination ports, round robin */
	uint32_t source;    /* source prefix, host order */
	uint32_t dest;	    /* destination prefix, host order */
};

static void usage(FILE *to)
{
	fputs("usage: flood [-r flows/s] [-s seconds] [-n flows] [-f first] [-p port]\n"
	      "             [-P ports] [-a source-prefix] [-L] [-N ring] [-M among]\n"
	      "             [-D distance] [-k packets] destination-prefix\n",
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
	struct options o = {.ring = 10000,
			    .distance = 1000,
			    .steps = STEPS,
			    .rate = 10000,
			    .seconds = 1,
			    .port = 7000,
			    .ports = 1,
			    .source = 0x0a510000u}; /* 10.81.0.0 */
	int c;

	while ((c = getopt(argc, argv, "r:s:n:f:p:P:a:LN:M:D:k:h")) != -1) {
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
		case 'L':
			o.lives = true;
			break;
		case 'N':
			o.ring = number(optarg);
			break;
		case 'D':
			o.distance = number(optarg);
			break;
		case 'M':
			o.space = number(optarg);
			break;
		case 'k':
			o.steps = (unsigned int)number(optarg);
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	/* A SYN must not meet the life before it unfinished. */
	if (optind + 1 != argc || o.ports == 0 || o.distance == 0 || o.steps == 0 ||
	    o.steps > STEPS || o.ring < (o.steps - 1) * o.distance + 1) {
		usage(stderr);
		exit(2);
	}
	o.dest = prefix(argv[optind]);
	return o;
}

/* What both kinds of packet are told by the number of a flow. */
struct tuple {
	in_addr_t source, dest;
	uint16_t sport, dport;
};

/* Flow n: 16 bits choose the destination host, the rest source port and host. */
static struct tuple tuple_of(const struct options *o, uint64_t n)
{
	uint32_t flow = (uint32_t)n + o->first;
	uint32_t rest = flow >> 16;
	const struct tuple tuple = {
		.source = htonl(o->source | 0x0100u | (rest & 0xffu)),
		.dest = htonl(o->dest | (flow & 0xffffu)),
		.sport = htons((uint16_t)(1024u + (rest >> 8))),
		.dport = htons((uint16_t)(o->port + flow % o->ports)),
	};

	return tuple;
}

static void build_udp(const struct options *o, uint64_t n, struct packet *p)
{
	struct tuple t = tuple_of(o, n);

	p->ip.saddr = t.source;
	p->ip.daddr = t.dest;
	p->udp.head.source = t.sport;
	p->udp.head.dest = t.dport;
}

/* In a life each side sends a SYN and a FIN, one number each, and no data. */
#define CLIENT_ISN 1000u
#define SERVER_ISN 5000u

static const struct step {
	bool reply, syn, ack, fin;
	uint32_t seq, ack_seq;
} life_steps[STEPS] = {
	{.syn = true, .seq = CLIENT_ISN},
	{.reply = true, .syn = true, .ack = true, .seq = SERVER_ISN, .ack_seq = CLIENT_ISN + 1},
	{.ack = true, .seq = CLIENT_ISN + 1, .ack_seq = SERVER_ISN + 1},
	{.ack = true, .fin = true, .seq = CLIENT_ISN + 1, .ack_seq = SERVER_ISN + 1},
	{.reply = true, .ack = true, .fin = true, .seq = SERVER_ISN + 1, .ack_seq = CLIENT_ISN + 2},
	{.ack = true, .seq = CLIENT_ISN + 2, .ack_seq = SERVER_ISN + 2},
};

/* Conntrack verifies it in what comes in (RFC 1071, with the pseudo header). */
static uint16_t tcp_checksum(const struct packet *p)
{
	uint16_t words[sizeof(p->tcp) / 2];
	uint32_t sum = htons(IPPROTO_TCP) + htons(sizeof(p->tcp));

	sum += (p->ip.saddr & 0xffffu) + (p->ip.saddr >> 16);
	sum += (p->ip.daddr & 0xffffu) + (p->ip.daddr >> 16);
	memcpy(words, &p->tcp, sizeof(words));
	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		sum += words[i];
	sum = (sum & 0xffffu) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

static void build_tcp(const struct options *o, uint64_t n, unsigned int number, struct packet *p)
{
	const struct step *step = &life_steps[number];
	/* A prime above 2^31: no two of the ring meet, none is beside the one before. */
	uint64_t flow = n % o->ring;
	struct tuple t = tuple_of(o, o->space ? flow * 2654435761u % o->space : flow);

	p->ip.saddr = step->reply ? t.dest : t.source;
	p->ip.daddr = step->reply ? t.source : t.dest;
	p->tcp.source = step->reply ? t.dport : t.sport;
	p->tcp.dest = step->reply ? t.sport : t.dport;
	p->tcp.seq = htonl(step->seq);
	p->tcp.ack_seq = htonl(step->ack_seq);
	p->tcp.syn = step->syn;
	p->tcp.ack = step->ack;
	p->tcp.fin = step->fin;
	p->tcp.check = 0;
	p->tcp.check = tcp_checksum(p);
}

static size_t packet_bytes(const struct options *o)
{
	const struct packet *p = NULL;

	return sizeof(p->ip) + (o->lives ? sizeof(p->tcp) : sizeof(p->udp));
}

static void prepare(const struct options *o, struct packet *p)
{
	memset(p, 0, sizeof(*p));
	p->ip.version = 4;
	p->ip.ihl = 5;
	p->ip.ttl = 64;
	p->ip.protocol = o->lives ? IPPROTO_TCP : IPPROTO_UDP;
	p->ip.id = htons(1); /* 0 would make the kernel choose one, at a cost */
	p->ip.tot_len = htons((uint16_t)packet_bytes(o));
	/* Checksum 0 means "none" for UDP over IPv4; the kernel fills the IP one. */
	if (o->lives) {
		p->tcp.doff = sizeof(p->tcp) / 4;
		p->tcp.window = htons(65535);
	} else {
		p->udp.head.len = htons(sizeof(p->udp));
	}
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

static struct packet packets[BATCH];
static struct iovec iov[BATCH];
static struct mmsghdr msgs[BATCH];
/* Only the route is taken from here: the header names the real destination. */
static struct sockaddr_in gates[2] = {{.sin_family = AF_INET}, {.sin_family = AF_INET}};

static void prepare_batch(const struct options *o)
{
	gates[0].sin_addr.s_addr = htonl(o->dest | 1);
	gates[1].sin_addr.s_addr = htonl(o->source | 1);
	for (unsigned int i = 0; i < BATCH; i++) {
		prepare(o, &packets[i]);
		iov[i].iov_base = &packets[i];
		iov[i].iov_len = packet_bytes(o);
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
		msgs[i].msg_hdr.msg_name = &gates[0];
		msgs[i].msg_hdr.msg_namelen = sizeof(gates[0]);
	}
}

/* Flows from number `at` on; returns how many. */
static unsigned int fill_udp(const struct options *o, uint64_t at)
{
	unsigned int count = BATCH;

	if (o->total != 0 && o->total - at < count)
		count = (unsigned int)(o->total - at);
	for (unsigned int i = 0; i < count; i++)
		build_udp(o, at + i, &packets[i]);
	return count;
}

/* Of life n the first packet, of n - distance the second... of those there are. */
static unsigned int fill_tcp(const struct options *o, uint64_t at)
{
	unsigned int count = 0;

	for (uint64_t n = at; n < at + BATCH / STEPS; n++) {
		for (unsigned int step = 0; step < o->steps; step++) {
			uint64_t back = step * o->distance;

			if (n < back || (o->total != 0 && n - back >= o->total))
				continue;
			msgs[count].msg_hdr.msg_name = &gates[life_steps[step].reply];
			build_tcp(o, n - back, step, &packets[count++]);
		}
	}
	return count;
}

int main(int argc, char **argv)
{
	struct options o = parse(argc, argv);
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
	/* The last life ends when its last packet was sent. */
	uint64_t end = o.lives && o.total ? o.total + (o.steps - 1) * o.distance : o.total;
	uint64_t at = 0, refused = 0;
	double start;

	if (fd < 0) {
		perror("flood: raw socket");
		return 1;
	}
	prepare_batch(&o);
	start = now();
	while (end == 0 ? now() - start < o.seconds : at < end) {
		unsigned int count = o.lives ? fill_tcp(&o, at) : fill_udp(&o, at);

		refused += send_batch(fd, msgs, count);
		at += o.lives ? BATCH / STEPS : count;
		if (o.rate != 0)
			wait_until(start + (double)at / (double)o.rate);
	}
	if (o.total != 0)
		at = o.total;
	printf("sent %llu refused %llu seconds %.3f\n", (unsigned long long)at,
	       (unsigned long long)refused, now() - start);
	return 0;
}
