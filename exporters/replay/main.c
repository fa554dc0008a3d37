// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conntide-replay [OPTION]... [FILE|-]
 *
 * Reads a trace and drives the mirror and the forecast with it (replay.h). Needs no
 * privilege and no kernel. `conntide replay` starts it.
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "exporters/replay/replay.h"
#include "exporters/replay/replay_print.h"
#include "lib/base/build_info.h"
#include "lib/base/clock.h"
#include "lib/base/options.h"
#include "lib/trace/trace.h"

struct options {
	bool forecast, words, cost, cells, json;
	const char *path;
};

struct cost {
	double sum_s, worst_s;
	unsigned int forecasts;
};

struct progress {
	off_t bytes; /* of the input; 0: no progress is shown */
	uint64_t next_ns;
	bool shown;
};

/* --- progress ------------------------------------------------------------------- */

#define PROGRESS_LINES 8192u
#define PROGRESS_NS    (500 * NS_PER_MS)

/* Only at a terminal: never into a file or between answers. */
static struct progress progress_of(FILE *in)
{
	struct progress progress = {.next_ns = clock_boot_ns() + 2 * PROGRESS_NS};
	struct stat st;

	if (isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO) && fstat(fileno(in), &st) == 0 &&
	    S_ISREG(st.st_mode))
		progress.bytes = st.st_size;
	return progress;
}

static void progress_show(struct progress *progress, const struct trace_reader *reader)
{
	uint64_t now_ns;

	if (!progress->bytes || reader->line % PROGRESS_LINES)
		return;
	now_ns = clock_boot_ns();
	if (now_ns < progress->next_ns)
		return;
	progress->next_ns = now_ns + PROGRESS_NS;
	progress->shown = true;
	fprintf(stderr, "\r%3.0f %%, %.0f s of the trace ",
		100.0 * (double)ftello(reader->in) / (double)progress->bytes,
		(double)reader->last_ns / (double)NS_PER_S);
}

static void progress_end(const struct progress *progress)
{
	if (progress->shown)
		fprintf(stderr, "\r%40s\r", "");
}

/* --- the run ---------------------------------------------------------------------- */

static void on_eval(struct replay *replay, const struct options *options, uint64_t k,
		    struct cost *cost)
{
	struct fc_forecast fc;
	uint64_t began_ns = clock_cpu_ns();
	double took_s;

	forecast_compute(replay->forecast, &fc);
	took_s = (double)(clock_cpu_ns() - began_ns) / (double)NS_PER_S;
	cost->sum_s += took_s;
	cost->worst_s = fmax(cost->worst_s, took_s);
	cost->forecasts++;
	if (!options->forecast)
		return;
	/* A driver in lockstep waits for this line. */
	replay_print_answer(stdout, k, &fc, options->words);
	fflush(stdout);
}

static int complain(const struct options *options, const struct trace_reader *reader,
		    const char *what)
{
	fprintf(stderr, "conntide-replay: %s: line %lu: %s\n", options->path, reader->line, what);
	return -EBADMSG;
}

/* 0, or -errno after a message. */
static int run(struct replay *replay, const struct options *options, FILE *in, struct cost *cost)
{
	struct progress progress = progress_of(in);
	struct trace_reader reader;
	struct trace_record rec;
	const char *wrong = NULL;
	int ret;

	trace_reader_init(&reader, in);
	while ((ret = trace_read(&reader, &rec)) > 0) {
		wrong = replay_line(replay, &rec);
		if (wrong)
			break;
		if (rec.kind == TRACE_EVAL)
			on_eval(replay, options, rec.eval, cost);
		if (ferror(stdout))
			break;
		progress_show(&progress, &reader);
	}
	progress_end(&progress);
	if (ret == -EIO) {
		fprintf(stderr, "conntide-replay: %s: %s\n", options->path, strerror(errno));
		return ret;
	}
	if (ret < 0 || wrong)
		return complain(options, &reader, wrong ? wrong : reader.error);
	if (!reader.line) {
		fprintf(stderr, "conntide-replay: %s: is empty, not a trace\n", options->path);
		return -ENODATA;
	}
	replay_end(replay);
	return 0;
}

static void print_end(struct replay *replay, const struct options *options)
{
	struct fc_forecast fc;

	if (options->forecast)
		return;
	if (options->cells) {
		mirror_offline_print_cells(&replay->offline.hist, stdout);
		return;
	}
	forecast_compute(replay->forecast, &fc);
	(options->json ? replay_print_summary_json : replay_print_summary)(stdout, replay, &fc);
}

static int replay_file(const struct options *options)
{
	bool is_stdin = !strcmp(options->path, "-");
	FILE *in = is_stdin ? stdin : fopen(options->path, "re");
	struct cost cost = {0};
	static struct replay replay;
	int err;

	if (!in) {
		fprintf(stderr, "conntide-replay: %s: %s\n", options->path, strerror(errno));
		return 1;
	}
	err = replay_create(&replay);
	if (err)
		fprintf(stderr, "conntide-replay: %s\n", strerror(-err));
	else
		err = run(&replay, options, in, &cost);
	if (!err)
		print_end(&replay, options);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "conntide-replay: standard output: %s\n", strerror(errno));
		err = -EIO;
	}
	if (options->cost && cost.forecasts)
		fprintf(stderr, "forecasts %u, mean %.3f ms, worst %.3f ms, memory %.2f MiB\n",
			cost.forecasts, 1e3 * cost.sum_s / cost.forecasts, 1e3 * cost.worst_s,
			(double)forecast_size() / (1 << 20));
	replay_destroy(&replay);
	if (!is_stdin)
		fclose(in);
	return err ? 1 : 0;
}

/* --- options ---------------------------------------------------------------------- */

static const char usage[] =
	"Usage: conntide-replay [OPTION]... [FILE|-]\n"
	"Runs a trace that conntide-record wrote through the mirror and the forecast,\n"
	"under the trace's own clock, and says what it was.\n\n"
	"  --forecast   answer each EVAL line by a line of JSON, and say nothing else\n"
	"  --words      with --forecast: with the verdict in words and what it rests on\n"
	"  --cells      the cells at the end, as conntide cells --json\n"
	"  --json       the summary as JSON\n"
	"  --cost       say at the end what the forecasts cost\n"
	"  --version    print the version\n"
	"  --help       print this\n\n"
	"Exit status: 0 the trace ended, 1 it cannot be read, 2 wrong usage.\n";

enum { FORECAST, WORDS, CELLS, JSON, COST, VERSION, HELP };

static const struct option longs[] = {
	{"forecast", no_argument, NULL, FORECAST}, {"words", no_argument, NULL, WORDS},
	{"cells", no_argument, NULL, CELLS},	   {"json", no_argument, NULL, JSON},
	{"cost", no_argument, NULL, COST},	   {"version", no_argument, NULL, VERSION},
	{"help", no_argument, NULL, HELP},	   {0},
};

static int wrong_usage(const char *why, const char *what)
{
	char message[OPTION_MESSAGE_BYTES];

	fputs(option_message(message, "conntide-replay", why, what), stderr);
	return 2;
}

/* -1: go on; else the exit status. */
static int parse(struct options *options, int argc, char **argv)
{
	bool *const switches[] = {
		[FORECAST] = &options->forecast, [WORDS] = &options->words,
		[CELLS] = &options->cells,	 [JSON] = &options->json,
		[COST] = &options->cost,
	};
	int letter;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (letter == HELP || letter == 'h')
			return fputs(usage, stdout) < 0;
		if (letter == VERSION)
			return printf("conntide-replay %s (revision %s)\n", build_version,
				      build_revision) < 0;
		if (letter == '?')
			return wrong_usage("unknown option", argv[optind - 1]);
		*switches[letter] = true;
	}
	if (optind + 1 < argc)
		return wrong_usage("unexpected argument", argv[optind + 1]);
	if ((int)options->forecast + (int)options->cells + (int)options->json > 1)
		return wrong_usage("only one of --forecast, --cells and --json", NULL);
	options->path = optind < argc ? argv[optind] : "-";
	return -1;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	int status = parse(&options, argc, argv);

	if (status >= 0)
		return status;
	/* The same trace gives the same answers. */
	ct_hash_seed_fixed(1);
	return replay_file(&options);
}
