// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conntide-flow [OPTION]... L4PROTO SOURCE DESTINATION
 *
 * Looks one entry up in the kernel's table of this network namespace. `conntide flow` starts it.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "agent/flow/lookup.h"
#include "agent/flow/print.h"
#include "agent/flow/tuple.h"
#include "lib/base/build_info.h"
#include "lib/base/num.h"
#include "lib/base/options.h"

#define NO_SUCH_ENTRY 4

struct wish {
	struct ct_key key;
	uint32_t zone;
	bool json;
	bool confined;
};

static const char usage[] =
	"Usage: conntide-flow [OPTION]... L4PROTO SOURCE DESTINATION\n"
	"Looks one entry up in the connection-tracking table of this network namespace:\n"
	"state, NAT both ways, seconds left, zone, mark. Needs CAP_NET_ADMIN; changes\n"
	"nothing and asks for this entry alone.\n\n"
	"  conntide-flow tcp 10.0.0.5:51344 192.0.2.9:443\n"
	"  conntide-flow udp [2001:db8::5]:5353 [2001:db8::9]:53\n"
	"  conntide-flow icmp 10.0.0.5:17 192.0.2.9            17 is the echo id\n\n"
	"  --zone N        in this conntrack zone (0)\n"
	"  --json          JSON, for programs\n"
	"  --no-sandbox    keep all privileges and system calls\n"
	"  --version       print the version\n"
	"  --help          print this\n\n"
	"Exit status: 0 found, 1 could not ask, 2 wrong usage, 4 no such entry.\n";

enum { ZONE, JSON, NO_SANDBOX, VERSION, HELP };

static const struct option longs[] = {
	{"zone", required_argument, NULL, ZONE},
	{"json", no_argument, NULL, JSON},
	{"no-sandbox", no_argument, NULL, NO_SANDBOX},
	{"version", no_argument, NULL, VERSION},
	{"help", no_argument, NULL, HELP},
	{0},
};

static int wrong_usage(const char *why, const char *what)
{
	char message[OPTION_MESSAGE_BYTES];

	fputs(option_message(message, "conntide-flow", why, what), stderr);
	return 2;
}

/* -1: go on; else the exit status. */
static int take(struct wish *wish, int letter)
{
	switch (letter) {
	case ZONE:
		if (num_u32(optarg, 0, UINT16_MAX, &wish->zone) < 0)
			return wrong_usage("--zone is a number from 0 to 65535, not", optarg);
		return -1;
	case JSON:
	case 'j':
		wish->json = true;
		return -1;
	case NO_SANDBOX:
		wish->confined = false;
		return -1;
	case VERSION:
		return printf("conntide-flow %s (revision %s)\n", build_version, build_revision) <
		       0;
	default:
		return fputs(usage, stdout) < 0;
	}
}

static int complain(const struct wish *wish, int err)
{
	if (err == -ENOENT) {
		if (wish->json)
			printf("{\"found\":false}\n");
		else
			fprintf(stderr, "conntide-flow: no such entry in zone %u\n", wish->zone);
		return NO_SUCH_ENTRY;
	}
	if (err == -EPERM)
		fprintf(stderr, "conntide-flow: not allowed to ask the kernel: run it as root, or "
				"with CAP_NET_ADMIN in this network namespace\n");
	else if (err == -EINVAL || err == -EOPNOTSUPP)
		fprintf(stderr, "conntide-flow: the kernel does not answer questions about "
				"connection tracking: modprobe nf_conntrack_netlink\n");
	else
		fprintf(stderr, "conntide-flow: the kernel does not answer: %s\n", strerror(-err));
	return 1;
}

static int look_up(struct wish *wish)
{
	struct looked_up flow = {.mark = 0};
	int err;

	wish->key.zone = (uint16_t)wish->zone;
	err = flow_look_up(&wish->key, wish->confined, &flow);
	if (err)
		return complain(wish, err);
	if (wish->json)
		flow_print_json(&flow, stdout);
	else
		flow_print(&flow, stdout);
	return fflush(stdout) ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct wish wish = {.confined = true};
	const char *wrong, *why;
	int letter, status;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, ":hj", longs, NULL)) != -1) {
		if (letter == '?')
			return wrong_usage("unknown option", argv[optind - 1]);
		if (letter == ':')
			return wrong_usage("missing value after", argv[optind - 1]);
		status = take(&wish, letter);
		if (status >= 0)
			return status;
	}
	if (argc - optind != 3)
		return wrong_usage("a protocol, a source and a destination are needed, as in",
				   "tcp 10.0.0.5:51344 192.0.2.9:443");
	why = tuple_parse((const char *const *)(argv + optind), &wish.key, &wrong);
	if (why) {
		fprintf(stderr, "conntide-flow: %s %s\n", wrong, why);
		return 2;
	}
	return look_up(&wish);
}
