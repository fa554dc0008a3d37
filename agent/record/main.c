// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conntide-record [OPTION]...
 *
 * Writes what happens in the connection-tracking table of this network namespace as a
 * trace (capture.h). `conntide record` starts it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/private_file.h"
#include "agent/record/capture.h"
#include "lib/base/build_info.h"
#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/base/options.h"

#define SECONDS_MAX  (366u * 86400u)
#define EVAL_S	     30u
#define BUFFER_BYTES (64u << 20)
#define OUT_BYTES    (1u << 20)

struct output {
	const char *path; /* "-": standard output */
	FILE *file;
	bool created; /* by us, so that it may be removed again */
};

/* --- the file ------------------------------------------------------------------- */

/* What is there stays until it is certain that something will take its place. It is
 * for its owner only: a trace holds the addresses of everybody. */
static int output_open(struct output *output)
{
	static char buffer[OUT_BYTES];
	int fd;

	if (!strcmp(output->path, "-")) {
		output->file = stdout;
	} else {
		fd = private_file_open(output->path, &output->created);
		if (fd < 0)
			return fd;
		output->file = fdopen(fd, "w");
	}
	if (!output->file)
		return -errno;
	setvbuf(output->file, buffer, _IOFBF, sizeof(buffer));
	return 0;
}

static int output_begin(struct output *output)
{
	struct stat st;
	int fd = fileno(output->file);

	if (output->file == stdout || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	return ftruncate(fd, 0) < 0 ? -errno : 0;
}

static int output_close(struct output *output, bool keep)
{
	int err = 0;

	if (output->file != stdout && fclose(output->file) != 0)
		err = -errno;
	if (!keep && output->created)
		unlink(output->path);
	return err;
}

/* --- the run ---------------------------------------------------------------------- */

static void say(const char *what)
{
	fprintf(stderr, "conntide-record: %s\n", what);
}

static void report(const struct capture *capture)
{
	fprintf(stderr,
		"conntide-record: %.1f s: %" PRIu64 " entries at the start, %" PRIu64
		" events; %u entries now, the kernel counts %" PRId64 "\n",
		(double)(capture->now_ns - capture->began_ns) / (double)NS_PER_S,
		capture->dumped_entries, capture->event_lines, capture->cache.live,
		capture->limits.count_entries);
	if (capture->lost_events)
		fprintf(stderr,
			"conntide-record: %" PRIu64
			" events were lost, the receive buffer was full: the "
			"trace has gaps, marked by LOST lines\n",
			capture->lost_events);
	if (capture->malformed_events)
		fprintf(stderr, "conntide-record: %" PRIu64 " messages could not be understood\n",
			capture->malformed_events);
	if (capture->cache.refused)
		fprintf(stderr, "conntide-record: %" PRIu64 " entries found no room\n",
			capture->cache.refused);
	if (capture->dump_doubtful)
		say("the table at the start may be incomplete: it changed under each dump");
	if (capture->counters_missing)
		say("/proc/net/stat/nf_conntrack cannot be read: drops are written as 0");
}

static int record(struct capture *capture, struct output *output, char why[CAPTURE_WHY_BYTES])
{
	int err = output_begin(output);

	if (err) {
		snprintf(why, CAPTURE_WHY_BYTES, "%s: %s", output->path, strerror(-err));
		return err;
	}
	if (capture->limits.events_mode == 0)
		say("net.netfilter.nf_conntrack_events is 0: the kernel tells of no changes");
	err = capture_begin(capture, why);
	if (!err)
		err = capture_run(capture, why);
	if (!err && !capture->began_ns) {
		snprintf(why, CAPTURE_WHY_BYTES, "stopped before the table was read");
		err = -EINTR;
	}
	return err;
}

static int run(const struct capture_config *config, struct output *output)
{
	static struct capture capture;
	char why[CAPTURE_WHY_BYTES] = "";
	bool keep = false;
	int err = output_open(output);

	if (err) {
		fprintf(stderr, "conntide-record: %s: %s\n", output->path, strerror(-err));
		return 1;
	}
	err = capture_create(&capture, config, output->file, why);
	if (!err) {
		err = record(&capture, output, why);
		keep = capture.began_ns != 0;
	}
	if (capture.began_ns)
		report(&capture);
	if (err)
		fprintf(stderr, "conntide-record: %s%s%s\n",
			capture.write_error ? output->path : "", capture.write_error ? ": " : "",
			why);
	capture_destroy(&capture);
	if (output_close(output, keep) < 0 && !err) {
		fprintf(stderr, "conntide-record: %s: %s\n", output->path, strerror(errno));
		err = -EIO;
	}
	return err ? 1 : 0;
}

/* --- options ---------------------------------------------------------------------- */

static const char usage[] =
	"Usage: conntide-record [OPTION]...\n"
	"Writes the events of the connection-tracking table of this network namespace as\n"
	"a trace, for conntide-replay. Needs CAP_NET_ADMIN; changes nothing.\n\n"
	"  --out FILE      where to (standard output)\n"
	"  --seconds N     stop after N seconds (default: at Ctrl-C)\n"
	"  --eval SECONDS  ask for a forecast every SECONDS; 0: never (30)\n"
	"  --anonymise     replace addresses by others, under a key that is thrown away\n"
	"  --no-sandbox    keep all privileges and system calls\n"
	"  --version       print the version\n"
	"  --help          print this\n\n"
	"Signals: INT, TERM and HUP end it.\n"
	"Exit status: 0 recorded, 1 could not go on, 2 wrong usage.\n";

enum { OUT, SECONDS, EVAL, ANONYMISE, NO_SANDBOX, VERSION, HELP };

static const struct option longs[] = {
	{"out", required_argument, NULL, OUT},
	{"seconds", required_argument, NULL, SECONDS},
	{"eval", required_argument, NULL, EVAL},
	{"anonymise", no_argument, NULL, ANONYMISE},
	{"no-sandbox", no_argument, NULL, NO_SANDBOX},
	{"version", no_argument, NULL, VERSION},
	{"help", no_argument, NULL, HELP},
	{0},
};

static int wrong_usage(const char *why, const char *what)
{
	char message[OPTION_MESSAGE_BYTES];

	fputs(option_message(message, "conntide-record", why, what), stderr);
	return 2;
}

/* -1: go on; else the exit status. */
static int take(struct capture_config *config, struct output *output, int letter)
{
	switch (letter) {
	case OUT:
		output->path = optarg;
		return -1;
	case SECONDS:
		if (num_u64(optarg, 1, SECONDS_MAX, &config->seconds) < 0)
			return wrong_usage("--seconds is a number from 1 to 31622400, not", optarg);
		return -1;
	case EVAL:
		if (num_u32(optarg, 0, SECONDS_MAX, &config->eval_s) < 0)
			return wrong_usage("--eval is a number from 0 to 31622400, not", optarg);
		return -1;
	case ANONYMISE:
		config->anonymise = true;
		return -1;
	case NO_SANDBOX:
		config->sandbox = false;
		return -1;
	case VERSION:
		return printf("conntide-record %s (revision %s)\n", build_version, build_revision) <
		       0;
	default:
		return fputs(usage, stdout) < 0;
	}
}

int main(int argc, char **argv)
{
	struct capture_config config = {
		.eval_s = EVAL_S, .buffer_bytes = BUFFER_BYTES, .sandbox = true};
	struct output output = {.path = "-"};
	int letter, status;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		if (letter == '?')
			return wrong_usage("unknown option", argv[optind - 1]);
		if (letter == ':')
			return wrong_usage("missing value after", argv[optind - 1]);
		status = take(&config, &output, letter);
		if (status >= 0)
			return status;
	}
	if (optind < argc)
		return wrong_usage("unexpected argument", argv[optind]);
	return run(&config, &output);
}
