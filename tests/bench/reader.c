// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * reader: listeners of conntrack events that do nothing with them, and a dump that
 * nobody looks at: what everybody who watches must pay at least.
 *
 *	reader paced	reads in batches, pauses, reads again: the agent's way
 *	reader spin	reads in batches and never sleeps
 *	reader one	one message a wake-up, as simple programs do
 *	reader drop	a filter drops everything before the queue
 *	reader dump	receives the kernel's table once
 *
 *	-b buffer bytes  -n messages a batch  -s bytes a message
 *	-p pause us, always as long (otherwise as agent/netlink/pace.h has it, from 1 ms on)
 *	-g groups: 1 NEW, 2 UPDATE, 4 DESTROY, added up
 *	-f a filter drops UPDATEs before the queue
 *	-m a socket for each group
 *
 * Events until SIGTERM or SIGINT; then, and after the dump, one line:
 * "messages N bytes N lost N calls N seconds S" (of the dump; 0 otherwise).
 * The defaults of `paced` are those of conntide-agent. Receives into the same
 * kind of buffers as the agent, looks at nothing in them.
 *
 * Threads: one. Needs CAP_NET_ADMIN.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/netlink/pace.h"
#include "lib/base/clock.h"

#define BATCH_MAX   1024u
#define CHUNK_BYTES 65536u

struct options {
	const char *mode;
	int buffer_bytes;
	unsigned int batch;
	unsigned int message_bytes;
	long pause_ns;
	unsigned int groups;
	bool filter_updates;
	bool steady_pause;
	bool many_sockets;
};

#define GROUPS 3

static const int group_numbers[GROUPS] = {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_UPDATE,
					  NFNLGRP_CONNTRACK_DESTROY};

static struct {
	uint64_t messages, bytes, lost, calls;
} done;

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "reader: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void set_option(int fd, int level, int option, const void *value, socklen_t len)
{
	if (setsockopt(fd, level, option, value, len) < 0)
		die("setsockopt");
}

static int open_netlink(void)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		die("netlink");
	return fd;
}

static void attach(int fd, const struct sock_filter *code, unsigned short len)
{
	const struct sock_fprog program = {.len = len,
					   .filter = (struct sock_filter *)(uintptr_t)code};

	set_option(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static void attach_filter(int fd, const struct options *o)
{
	static const struct sock_filter drop_all[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	/* Type CT_NEW without the flags of a NEW. The filter reads big-endian. */
	const struct sock_filter drop_updates[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
			 htons((NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_NEW), 0, 2),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_flags)),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, htons(NLM_F_CREATE | NLM_F_EXCL), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};

	if (strcmp(o->mode, "drop") == 0)
		attach(fd, drop_all, 1);
	else if (o->filter_updates)
		attach(fd, drop_updates, 6);
}

static int open_listener(const struct options *o, unsigned int groups)
{
	const int half = o->buffer_bytes / 2, on = 1;
	int fd = open_netlink();

	set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, &half, sizeof(half));
	set_option(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &on, sizeof(on));
	attach_filter(fd, o);
	for (unsigned int i = 0; i < GROUPS; i++)
		if (groups >> i & 1u)
			set_option(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group_numbers[i],
				   sizeof(group_numbers[i]));
	return fd;
}

static void read_one_each(int fd)
{
	static uint8_t bytes[CHUNK_BYTES];

	while (!ended) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

		done.calls++;
		if (n < 0)
			continue;
		done.messages++;
		done.bytes += (uint64_t)n;
	}
}

static int receive_batch(int fd, struct mmsghdr *heads, unsigned int batch)
{
	int n = recvmmsg(fd, heads, batch, MSG_DONTWAIT, NULL);

	done.calls++;
	for (int i = 0; i < n; i++)
		done.bytes += heads[i].msg_len;
	done.messages += n > 0 ? (uint64_t)n : 0;
	return n;
}

/* As the agent does, or always as long. */
static void pause_reading(struct pace *pace, uint32_t events, const struct options *o,
			  uint64_t read_ns)
{
	uint64_t now_ns = clock_boot_ns();
	uint64_t until_ns = now_ns + (uint64_t)o->pause_ns;

	if (!o->steady_pause)
		until_ns = pace_until(pace, events, (uint32_t)o->buffer_bytes, read_ns, now_ns);
	if (until_ns > now_ns)
		clock_sleep_until_boot_ns(until_ns);
}

static void read_paced(const int *fds, unsigned int sockets, const struct options *o)
{
	static struct mmsghdr heads[BATCH_MAX];
	static struct iovec vecs[BATCH_MAX];
	static struct sockaddr_nl from[BATCH_MAX];
	uint8_t *bytes = calloc(o->batch, o->message_bytes);
	struct pace pace;
	int wait_ms = strcmp(o->mode, "spin") == 0 ? 0 : -1;
	struct pollfd ready[GROUPS];

	if (!bytes)
		die("memory");
	for (unsigned int i = 0; i < o->batch; i++) {
		vecs[i].iov_base = bytes + (size_t)i * o->message_bytes;
		vecs[i].iov_len = o->message_bytes;
		heads[i].msg_hdr.msg_iov = &vecs[i];
		heads[i].msg_hdr.msg_iovlen = 1;
		heads[i].msg_hdr.msg_name = &from[i];
		heads[i].msg_hdr.msg_namelen = sizeof(from[i]);
	}
	pace_init(&pace, (uint64_t)o->pause_ns);
	for (unsigned int i = 0; i < sockets; i++)
		ready[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	while (!ended) {
		uint64_t before = done.messages, read_ns;

		if (poll(ready, sockets, wait_ms) < 0)
			continue;
		read_ns = clock_boot_ns();
		for (unsigned int i = 0; i < sockets; i++)
			while (receive_batch(fds[i], heads, o->batch) == (int)o->batch)
				;
		if (wait_ms)
			pause_reading(&pace, (uint32_t)(done.messages - before), o, read_ns);
	}
	free(bytes);
}

static uint64_t drops(int fd)
{
	uint32_t info[SK_MEMINFO_VARS] = {0};
	socklen_t len = sizeof(info);

	getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len);
	return info[SK_MEMINFO_DROPS];
}

static void dump(void)
{
	struct {
		struct nlmsghdr head;
		struct nfgenmsg nfg;
	} request = {
		.head = {.nlmsg_len = sizeof(request),
			 .nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.nfg = {.version = NFNETLINK_V0},
	};
	static _Alignas(8) uint8_t bytes[CHUNK_BYTES];
	int fd = open_netlink();

	if (send(fd, &request, sizeof(request), 0) < 0)
		die("dump");
	for (;;) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
		const struct nlmsghdr *nlh = (const void *)bytes;

		if (n < (ssize_t)sizeof(*nlh))
			die("dump");
		done.calls++;
		done.bytes += (uint64_t)n;
		for (size_t left = (size_t)n; left >= sizeof(*nlh) && nlh->nlmsg_len <= left &&
					      nlh->nlmsg_len >= sizeof(*nlh);) {
			size_t step = NLMSG_ALIGN(nlh->nlmsg_len);

			if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
				return;
			done.messages++;
			nlh = (const void *)((const uint8_t *)nlh + step);
			left -= step < left ? step : left;
		}
	}
}

static void listen_to_the_end(const struct options *o)
{
	int fds[GROUPS];
	unsigned int sockets = 0;

	if (o->many_sockets) {
		for (; sockets < GROUPS; sockets++)
			fds[sockets] = open_listener(o, 1u << sockets);
	} else {
		fds[sockets++] = open_listener(o, o->groups);
	}
	if (strcmp(o->mode, "paced") == 0 || strcmp(o->mode, "spin") == 0)
		read_paced(fds, sockets, o);
	else
		read_one_each(fds[0]);
	for (unsigned int i = 0; i < sockets; i++)
		done.lost += drops(fds[i]);
}

static struct options parse(int argc, char **argv)
{
	struct options o = {.buffer_bytes = 64 << 20,
			    .batch = 128,
			    .message_bytes = 1024,
			    .pause_ns = 1000000,
			    .groups = 7};
	int c;

	while ((c = getopt(argc, argv, "b:n:p:s:g:fm")) != -1) {
		if (c == 'b')
			o.buffer_bytes = atoi(optarg);
		else if (c == 'n')
			o.batch = (unsigned int)atoi(optarg);
		else if (c == 'p')
			o.pause_ns = 1000L * atoi(optarg), o.steady_pause = true;
		else if (c == 's')
			o.message_bytes = (unsigned int)atoi(optarg);
		else if (c == 'g')
			o.groups = (unsigned int)atoi(optarg);
		else if (c == 'f')
			o.filter_updates = true;
		else if (c == 'm')
			o.many_sockets = true;
		else
			exit(2);
	}
	if (optind + 1 != argc || o.batch == 0 || o.batch > BATCH_MAX || o.pause_ns > 999999999) {
		fprintf(stderr,
			"usage: reader [-b buffer-bytes] [-n batch] [-p pause-us]"
			" [-s message-bytes] [-g groups] [-f] [-m] paced|spin|one|drop|dump\n");
		exit(2);
	}
	o.mode = argv[optind];
	return o;
}

int main(int argc, char **argv)
{
	struct options o = parse(argc, argv);
	/* Without SA_RESTART: it is to interrupt what waits. */
	struct sigaction action = {.sa_handler = on_signal};
	uint64_t began_ns = clock_boot_ns();
	double seconds = 0;

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if (strcmp(o.mode, "dump") == 0) {
		dump();
		seconds = (double)(clock_boot_ns() - began_ns) / 1e9;
	} else {
		listen_to_the_end(&o);
	}
	printf("messages %llu bytes %llu lost %llu calls %llu seconds %.3f\n",
	       (unsigned long long)done.messages, (unsigned long long)done.bytes,
	       (unsigned long long)done.lost, (unsigned long long)done.calls, seconds);
	return 0;
}
