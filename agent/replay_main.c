// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conntide-replay [--forecast] [--words] [--cost] [FILE|-]
 *
 * Drives the forecast from a trace under the trace's own clock and answers
 * every EVAL line with one JSON line, flushed before the next line is read.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "agent/forecast.h"
#include "agent/replay_map.h"
#include "agent/trace.h"
#include "lib/base/clock.h"

struct replay {
	struct trace_reader reader;
	struct replay_map *map;
	struct forecast *fc;
	bool forecast, words, cost;
	double compute_s, worst_s;
	unsigned int computed;
};

static const char *const protos[] = {"tcp", "udp", "sctp", "icmp", "icmpv6", "gre"};
static const char *const states[FC_STAGES] = {
	"SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
	"TIME_WAIT", "CLOSE", "UNREPLIED", "REPLIED", "ASSURED", "",
};

static uint8_t number_of(const char *const *names, unsigned int n, const char *name)
{
	unsigned int i;

	for (i = 0; i < n && strcmp(names[i], name); i++)
		;
	return (uint8_t)i;
}

static void on_sysctl(struct replay *rp, const struct trace_record *rec)
{
	static const struct { const char *name; uint8_t l4proto, stage; } known[] = {
		{"tcp_timeout_syn_sent", 0, FC_SYN_SENT}, {"tcp_timeout_syn_recv", 0, FC_SYN_RECV},
		{"tcp_timeout_established", 0, FC_ESTABLISHED}, {"tcp_timeout_fin_wait", 0, FC_FIN_WAIT},
		{"tcp_timeout_close_wait", 0, FC_CLOSE_WAIT}, {"tcp_timeout_last_ack", 0, FC_LAST_ACK},
		{"tcp_timeout_time_wait", 0, FC_TIME_WAIT}, {"tcp_timeout_close", 0, FC_CLOSE},
		{"udp_timeout", 1, FC_UNREPLIED}, {"udp_timeout", 1, FC_REPLIED},
		{"udp_timeout_stream", 1, FC_ASSURED}, {"icmp_timeout", 3, FC_UNREPLIED},
		{"icmp_timeout", 3, FC_REPLIED}, {"icmpv6_timeout", 4, FC_UNREPLIED},
		{"icmpv6_timeout", 4, FC_REPLIED}, {"gre_timeout", 5, FC_UNREPLIED},
		{"gre_timeout", 5, FC_REPLIED}, {"gre_timeout_stream", 5, FC_ASSURED},
		{"generic_timeout", 6, FC_UNREPLIED}, {"generic_timeout", 6, FC_REPLIED},
	};
	unsigned int i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(rec->sysctl.name, known[i].name))
			forecast_timeout(rp->fc, known[i].l4proto, (enum fc_stage)known[i].stage,
					 rec->sysctl.value_s);
}

static int on_entry(struct replay *rp, const struct trace_record *rec)
{
	const struct trace_entry *te = &rec->entry;
	struct replay_entry *e = replay_map_find(rp->map, te->id);
	struct fc_move m = {.now_ns = rec->t_ns, .from = FC_NONE, .to = FC_NONE, .timeout_s = te->timeout_s};

	if (rec->kind == TRACE_DESTROY && !e)
		return 0;	/* its birth was lost: nothing to undo */
	m.l4proto = number_of(protos, 6, te->proto);
	m.port = te->dport;
	if (e) {
		m.from = e->stage;
		m.since_ns = e->since_ns;
		m.l4proto = e->l4proto;
		m.port = e->port;
	}
	if (rec->kind == TRACE_DESTROY) {
		m.end = te->timeout_s ? FC_END_EARLY : FC_END_EXPIRED;
		forecast_move(rp->fc, &m);
		replay_map_remove(rp->map, e);
		return 0;
	}
	if (e && rec->kind == TRACE_NEW) {	/* its DESTROY was lost */
		m.end = FC_END_UNKNOWN;
		forecast_move(rp->fc, &m);
		replay_map_remove(rp->map, e);
		e = NULL;
		m.from = FC_NONE;
	}
	m.to = number_of(states, FC_UNKNOWN, te->state);
	m.found = rec->kind == TRACE_DUMP || (!e && rec->kind == TRACE_UPDATE);
	if (m.found)
		m.since_ns = rec->kind == TRACE_DUMP ? FC_SINCE_UNKNOWN : rec->t_ns;
	if (!e)
		e = replay_map_add(rp->map, te->id);
	if (!e)
		return -ENOMEM;
	forecast_move(rp->fc, &m);
	e->l4proto = m.l4proto;
	e->port = m.port;
	e->stage = m.to;
	e->since_ns = m.keep_since_ns;
	return 0;
}

static void on_stat(struct replay *rp, const struct trace_record *rec)
{
	struct fc_stat st = {
		.now_ns = rec->t_ns, .count = rec->stat.count, .max = rec->stat.max,
		.drop = rec->stat.drop, .early_drop = rec->stat.early_drop,
	};

	forecast_second(rp->fc, &st);
}

static void print_answer(const struct replay *rp, uint64_t k, const struct fc_forecast *fc)
{
	unsigned int h;
	char words[128];

	printf("{\"k\":%llu,\"count\":{", (unsigned long long)k);
	for (h = 0; h < 3; h++)
		printf("%s\"%u\":[%.1f,%.1f,%.1f,%.1f,%.1f]", h ? "," : "", fc_horizon_s[h],
		       fc->count[h].p50, fc->count[h].lo80, fc->count[h].hi80, fc->count[h].lo95,
		       fc->count[h].hi95);
	if (isfinite(fc->tte_s))
		printf("},\"tte\":%.1f,\"p_full\":{", fc->tte_s);
	else
		printf("},\"tte\":null,\"p_full\":{");
	for (h = 0; h < FC_FULL_HORIZONS; h++)
		printf("%s\"%u\":%.4f", h ? "," : "", fc_full_horizon_s[h], fc->p_full[h]);
	printf("},\"alarm\":%d,\"p_drop\":{\"600\":%.4f,\"3600\":%.4f}", fc->alarm, fc->p_drop[4],
	       fc->p_drop[7]);
	if (rp->words) {
		forecast_words(fc, words, sizeof(words));
		printf(",\"verdict\":\"%s\",\"reasons\":[", words);
		for (h = 0; h < fc->n_reasons; h++) {
			const struct fc_reason *r = &fc->reason[h];

			printf("%s{\"port\":%u,\"l4proto\":%u,\"entries\":%.0f,\"rate_per_s\":%.3f,"
			       "\"slope_per_min2\":%.3f,\"in_600_s\":%.0f,\"steady\":%.0f}",
			       h ? "," : "", r->port, r->l4proto, r->entries, r->rate_per_s,
			       r->slope_per_s2 * 3600.0, r->entries_600, r->steady_entries);
		}
		printf("]");
	}
	printf("}\n");
	fflush(stdout);
}

static void on_eval(struct replay *rp, uint64_t k)
{
	struct fc_forecast fc;
	uint64_t began_ns = clock_cpu_ns();
	double took;

	forecast_compute(rp->fc, &fc);
	took = 1e-9 * (double)(clock_cpu_ns() - began_ns);
	rp->compute_s += took;
	rp->worst_s = fmax(rp->worst_s, took);
	rp->computed++;
	if (rp->forecast)
		print_answer(rp, k, &fc);
}

static int replay(struct replay *rp)
{
	struct trace_record rec;
	int ret;

	while ((ret = trace_read(&rp->reader, &rec)) > 0) {
		switch (rec.kind) {
		case TRACE_META:
			break;
		case TRACE_SYSCTL:
			on_sysctl(rp, &rec);
			break;
		case TRACE_STAT:
			on_stat(rp, &rec);
			break;
		case TRACE_EVAL:
			on_eval(rp, rec.eval);
			break;
		default:
			ret = on_entry(rp, &rec);
			if (ret)
				return ret;
			break;
		}
	}
	return ret;
}

static const char usage[] =
	"Usage: conntide-replay [--forecast] [--words] [--cost] [FILE|-]\n"
	"Drives the forecast from a recorded trace, under the trace's own clock.\n\n"
	"  --forecast   answer each EVAL line by a line of JSON\n"
	"  --words      with the verdict in words and what it rests on\n"
	"  --cost       say at the end what the forecasts cost\n"
	"  --version    print the version\n"
	"  --help       print this\n\n"
	"Exit status: 0 the trace ended, 1 it cannot be read, 2 wrong usage.\n";

int main(int argc, char **argv)
{
	struct replay rp = {0};
	const char *path = "-";
	FILE *in = stdin;
	int i, ret;

	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--forecast"))
			rp.forecast = true;
		else if (!strcmp(argv[i], "--words"))
			rp.words = true;
		else if (!strcmp(argv[i], "--cost"))
			rp.cost = true;
		else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return fputs(usage, stdout) < 0;
		else if (!strcmp(argv[i], "--version"))
			return printf("conntide-replay %s (revision %s)\n", CONNTIDE_VERSION,
				      CONNTIDE_REVISION) < 0;
		else if (argv[i][0] == '-' && argv[i][1]) {
			fprintf(stderr, "conntide-replay: unknown option \"%s\"; see conntide-replay --help\n",
				argv[i]);
			return 2;
		} else
			path = argv[i];
	}
	if (strcmp(path, "-"))
		in = fopen(path, "r");
	if (!in) {
		fprintf(stderr, "conntide-replay: %s: %s\n", path, strerror(errno));
		return 1;
	}
	rp.map = replay_map_create();
	rp.fc = forecast_create(0);
	trace_reader_init(&rp.reader, in);
	ret = rp.map && rp.fc ? replay(&rp) : -ENOMEM;
	if (ret)
		fprintf(stderr, "conntide-replay: %s: line %lu: %s\n", path, rp.reader.line,
			rp.reader.error ? rp.reader.error : strerror(-ret));
	if (rp.cost && rp.computed)
		fprintf(stderr, "forecasts %u, mean %.3f ms, worst %.3f ms, memory %.2f MiB\n", rp.computed,
			1e3 * rp.compute_s / rp.computed, 1e3 * rp.worst_s,
			(double)forecast_size() / (1 << 20));
	forecast_destroy(rp.fc);
	replay_map_destroy(rp.map);
	if (in != stdin)
		fclose(in);
	return ret ? 1 : 0;
}
