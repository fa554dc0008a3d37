// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The forecast against exact truth, and its contract.
 *
 * Closed forms: Eick, Massey, Whitt, "Mt/G/infinity queues with sinusoidal
 * arrival rates" (1993). Arrivals at rate L (1 + B sin(w t)); the mean count is
 *   exponential stays of mean 1/u:  L/u + L B (u sin wt - w cos wt) / (u^2 + w^2)
 *   deterministic stays d:          L d + L B / w (cos w(t-d) - cos wt)
 *   hyperexponential:               the mixture of the exponential ones
 * The forecast learns stays from entries fed to it, its projection is given
 * the true rate, and the two must agree.
 */
#include "lib/forecast/paths.h"
#include "rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants these before it */
#include <cmocka.h>

#define NS	 1000000000LL
#define RUN_S	 2400
#define LEVEL	 40.0
#define SWING	 0.6
#define PERIOD_S 1800.0
#define OMEGA	 (6.283185307179586 / PERIOD_S)

enum law { EXPONENTIAL, DETERMINISTIC, HYPEREXPONENTIAL };

static double exponential_count(double t, double mean_s)
{
	double u = 1.0 / mean_s;

	return LEVEL * mean_s + LEVEL * SWING * (u * sin(OMEGA * t) - OMEGA * cos(OMEGA * t)) /
					(u * u + OMEGA * OMEGA);
}

static double true_count(enum law law, double t)
{
	if (law == EXPONENTIAL)
		return exponential_count(t, 60.0);
	if (law == HYPEREXPONENTIAL) /* a quarter long, three quarters short */
		return 0.25 * exponential_count(t, 160.0) + 0.75 * exponential_count(t, 20.0);
	return LEVEL * 30.0 + LEVEL * SWING / OMEGA * (cos(OMEGA * (t - 30.0)) - cos(OMEGA * t));
}

static double true_rate(double t)
{
	return LEVEL * (1.0 + SWING * sin(OMEGA * t));
}

static double draw_stay(enum law law, double u)
{
	if (law == DETERMINISTIC)
		return 30.0;
	if (law == EXPONENTIAL)
		return -60.0 * log(u);
	return u < 0.25 ? -160.0 * log(u * 4.0) : -20.0 * log((u - 0.25) / 0.75);
}

struct ended {
	double at, since;
};

static int by_end(const void *a, const void *b)
{
	const struct ended *x = a, *y = b;

	return (x->at > y->at) - (x->at < y->at);
}

/*
 * Arrivals exactly as the rate says, stays at the quantiles of a sequence of
 * low discrepancy: no chance, so that what is left is the projection's error.
 */
static unsigned int make_entries(enum law law, struct ended *e, unsigned int cap)
{
	double due = 0.5, sum = 0.0, t, u = 0.5;
	unsigned int n = 0;

	for (t = 0.0; t < RUN_S && n < cap; t += 0.001) {
		sum += true_rate(t) * 0.001;
		if (sum < due)
			continue;
		due += 1.0;
		u += 0.6180339887498949;
		u -= floor(u);
		e[n].since = t;
		e[n++].at = t + draw_stay(law, fmax(u, 1e-6));
	}
	return n;
}

static void feed(struct forecast *f, enum law law)
{
	static struct ended entry[1 << 18];
	unsigned int n = make_entries(law, entry, 1 << 18), in = 0, out = 0, s, count = 0;
	struct ended *ends = malloc(n * sizeof(*ends));
	bool fixed = law == DETERMINISTIC;

	assert_non_null(ends);
	memcpy(ends, entry, n * sizeof(*ends));
	qsort(ends, n, sizeof(*ends), by_end);
	for (s = 1; s <= RUN_S; s++) {
		for (;;) {
			double next_in = in < n ? entry[in].since : 1e9,
			       next_out = out < n ? ends[out].at : 1e9;
			struct fc_move m = {
				.l4proto = 0, .port = 80, .from = FC_NONE, .to = FC_NONE};
			bool comes = next_in <= next_out;

			if (fmin(next_in, next_out) >= s)
				break;
			m.now_ns = (int64_t)(fmin(next_in, next_out) * 1e9);
			if (comes) {
				m.to = fixed ? FC_UNREPLIED : FC_ESTABLISHED;
				m.timeout_s = fixed ? 30 : 432000;
			} else {
				m.from = fixed ? FC_UNREPLIED : FC_ESTABLISHED;
				m.since_ns = (int64_t)(ends[out].since * 1e9);
				m.end = fixed ? FC_END_EXPIRED : FC_END_EARLY;
			}
			in += comes;
			out += !comes;
			count += comes ? 1u : -1u;
			forecast_move(f, &m);
		}
		struct fc_stat st = {.now_ns = s * NS, .count = count, .max = 0};

		forecast_second(f, &st);
	}
	free(ends);
}

static void check_law(enum law law)
{
	struct forecast *f = forecast_create(0);
	static struct fc_curve curve[FC_GRIDS];
	static struct fc_project_work work;
	const struct fc_curve *fine = &curve[FC_FINE], *coarse = &curve[FC_COARSE];
	unsigned int i, j, k, id = FC_CLASSES;
	double worst = 0.0;

	assert_non_null(f);
	feed(f, law);
	for (i = 0; i < FC_CLASSES; i++)
		if (f->cls[i].used && f->cls[i].port == 80)
			id = i;
	assert_true(id < FC_CLASSES);
	fc_late_survival(&f->late, FC_LATE_N, FC_FINE_DT, work.late_survive);
	fc_project(f, id, &work, curve);
	for (j = 10; j < FC_FINE_N; j += 10) { /* every 30 s to 600 s */
		double t = RUN_S + j * FC_FINE_DT, sum = fine->stay[j], truth = true_count(law, t);

		for (k = 0; k < j; k++)
			sum += FC_FINE_DT * true_rate(t - (k + 0.5) * FC_FINE_DT) * fine->unit[k];
		worst = fmax(worst, fabs(sum - truth) / truth);
	}
	for (j = 25; j < FC_COARSE_N; j += 25) { /* every 10 min to 1 h */
		double t = RUN_S + j * FC_COARSE_DT, sum = coarse->stay[j],
		       truth = true_count(law, t);

		for (k = 0; k < j; k++)
			sum += FC_COARSE_DT * true_rate(t - (k + 0.5) * FC_COARSE_DT) *
			       coarse->unit[k];
		worst = fmax(worst, fabs(sum - truth) / truth);
	}
	print_message("law %d: worst error %.2f %%\n", law, 100.0 * worst);
	assert_true(worst < 0.04);
	forecast_destroy(f);
}

static void test_exponential(void **state)
{
	(void)state;
	check_law(EXPONENTIAL);
}

static void test_deterministic(void **state)
{
	(void)state;
	check_law(DETERMINISTIC);
}

static void test_hyperexponential(void **state)
{
	(void)state;
	check_law(HYPEREXPONENTIAL);
}

/* Arrivals of one class by bin, through the model of all classes; the line of the mean path. */
static struct fc_line found_line(struct fc_demand *d, const float *normals, double level,
				 double slope_per_s, struct rng *r)
{
	static struct fc_arrivals a;
	static struct fc_sums sums;
	struct fc_arrivals *all[1] = {&a};
	struct fc_line mean = {0}, line;
	unsigned int i, p;

	memset(&a, 0, sizeof(a));
	for (i = 0; i < 300; i++) { /* 600 s flat, 900 s with that slope */
		double at = level + slope_per_s * fmax(0.0, i * 5.0 + 2.5 - 600.0);

		a.bin += rng_poisson(r, at * FC_BIN_S);
		fc_demand_bin(d, all, 1);
	}
	fc_arrivals_sum(&a, &sums);
	for (p = 0; p < FC_PATHS; p++) {
		line = fc_arrivals_line(
			d, &a, &sums,
			&(struct fc_path_of){normals, 0, p, fc_arrivals_low(&a), 86400.0});
		mean.level += line.level / FC_PATHS;
		mean.slope += line.slope / FC_PATHS;
	}
	return mean;
}

/* The rate's level, over seeded series of known slope. */
static void test_rate_of_known_slope(void **state)
{
	const char *seed_text = getenv("SEED");
	uint64_t seed0 = seed_text ? strtoull(seed_text, NULL, 10) : 1;
	unsigned int k, bad = 0, n = seed_text ? 1 : 40;
	struct forecast *f = forecast_create(0);

	(void)state;
	assert_non_null(f);
	for (k = 0; k < n; k++) {
		struct rng r = {seed0 + k};
		double level = rng_log_range(&r, 1.0, 50.0), end = level * rng_range(&r, 1.5, 3.0);
		struct fc_line line =
			found_line(&f->demand, f->normal, level, (end - level) / 900.0, &r);

		if (fabs(line.level - end) > 5.0 * sqrt(end / 60.0) + 0.05 * end) {
			print_message("seed %llu: rate %.2f, found %.2f\n",
				      (unsigned long long)(seed0 + k), end, line.level);
			bad++;
		}
	}
	assert_true(bad <= n / 20);
	forecast_destroy(f);
}

/* Each part of (0, 1) once, whatever the stream, and no two streams near each other alike. */
static void test_draws(void **state)
{
	unsigned int stream, p, alike;

	(void)state;
	for (stream = 0; stream < 1200; stream++) {
		bool seen[FC_PATHS] = {false};

		for (p = 0, alike = 0; p < FC_PATHS; p++) {
			double part = fc_draw_part(stream, p) * FC_PATHS;
			unsigned int at = (unsigned int)part;

			assert_true(at < FC_PATHS && !seen[at] && fabs(part - at - 0.5) < 1e-9);
			seen[at] = true;
			alike += fabs(fc_draw_part(stream + 1, p) - part / FC_PATHS) < 0.01;
		}
		assert_true(alike < FC_PATHS / 4);
	}
}

static void test_normals(void **state)
{
	static float normals[FC_NORMALS];
	double sum = 0.0, sq = 0.0;
	unsigned int i;

	(void)state;
	fc_draw_fill(normals);
	for (i = 0; i < FC_NORMALS; i++) {
		float x = fc_draw_normal(normals, 7, i);

		sum += (double)x / FC_NORMALS;
		sq += (double)x * (double)x / FC_NORMALS;
	}
	assert_true(fabs(sum) < 0.03 && fabs(sq - 1.0) < 0.05);
}

/* Rounds every 37 s among listings by others at odd moments; lookups take a tenth. */
static void test_collector_rounds(void **state)
{
	static struct fc_late late;
	struct rng r = {99};
	int64_t now_s;
	double beat;

	(void)state;
	for (now_s = 1; now_s <= 700; now_s++) {
		bool all = now_s % 37 == 5 || now_s % 191 == 100;
		unsigned int i, n = 5 + rng_below(&r, 30), gone = all ? n : n / 10;

		for (i = 0; i < gone; i++)
			fc_late_gone(&late, 7, 0.5, true);
		fc_late_waits(&late, 7, n - gone);
		fc_late_second(&late, now_s);
	}
	assert_true(fabs(late.period_s - 37.0) < 0.2);
	beat = fmod(late.anchor_s - 5.5, 37.0);
	assert_true(fmin(beat, 37.0 - beat) < 1.0);
	memset(&late, 0, sizeof(late));
	for (now_s = 1; now_s <= 700; now_s++) { /* lookups only: no rounds */
		fc_late_waits(&late, 7, 20);
		fc_late_gone(&late, 7, 0.0, true);
		fc_late_second(&late, now_s);
	}
	assert_true(late.n_rounds == 0 && late.period_s == 0.0);
}

/* Five a second that stay 20 s in the mean, and four times as long once `slow_s` has passed. */
static struct forecast *feed_slow(int64_t slow_s, int64_t until_s)
{
	static uint16_t ends[4096][64]; /* seconds of entry of those who leave in this second */
	static uint8_t n_ends[4096];
	struct forecast *f = forecast_create(0);
	struct rng r = {7};
	unsigned int i, count = 0;
	int64_t t;

	assert_non_null(f);
	memset(n_ends, 0, sizeof(n_ends));
	for (t = 0; t < until_s; t++) {
		struct fc_move m = {
			.now_ns = t * NS, .port = 80, .from = FC_NONE, .to = FC_ESTABLISHED};
		struct fc_stat st = {.now_ns = (t + 1) * NS};

		for (i = 0; i < 5; i++) {
			int64_t end = t + 1 + (int64_t)rng_exp(&r, t < slow_s ? 20.0 : 80.0);

			forecast_move(f, &m);
			count++;
			if (end < 4096 && n_ends[end] < 64)
				ends[end][n_ends[end]++] = (uint16_t)t;
		}
		for (i = 0; i < n_ends[t]; i++, count--) {
			struct fc_move gone = {.now_ns = t * NS + NS / 2,
					       .since_ns = ends[t][i] * NS,
					       .port = 80,
					       .from = FC_ESTABLISHED,
					       .to = FC_NONE,
					       .end = FC_END_EARLY};

			forecast_move(f, &gone);
		}
		st.count = count;
		forecast_second(f, &st);
	}
	return f;
}

static void test_stays_that_lengthen(void **state)
{
	struct forecast *f = feed_slow(4000, 800);
	struct fc_forecast out;
	unsigned int i;

	(void)state;
	for (i = 0; i < FC_CLASSES; i++)
		assert_true(f->shift[i].changed_s == INT64_MAX || !f->cls[i].used);
	forecast_destroy(f);
	/* 75 s later the count has hardly begun to rise to four times itself */
	f = feed_slow(800, 875);
	forecast_compute(f, &out);
	for (i = 0; i < FC_CLASSES; i++)
		if (f->cls[i].used && f->cls[i].port == 80)
			assert_in_range((uintmax_t)f->shift[i].changed_s, 760, 840);
	print_message("in ten minutes: %.0f\n", out.count[2].p50);
	assert_true(out.count[2].p50 > 250.0 && out.count[2].p50 < 600.0);
	forecast_destroy(f);
}

/* Four classes of two a second each; for the last 300 s they rise by half in ten minutes. */
static double weight_of_rise(double slope_per_s, uint64_t seed)
{
	struct forecast *f = forecast_create(0);
	struct fc_arrivals *all[4] = {&f->cls[10].arrivals, &f->cls[11].arrivals,
				      &f->cls[12].arrivals, &f->cls[13].arrivals};
	struct rng r = {seed};
	double sum = 0.0;
	unsigned int c, i;

	assert_non_null(f);
	for (i = 0; i < 200; i++) {
		double since = fmax(0.0, i * 5.0 - 700.0);

		for (c = 0; c < 4; c++)
			all[c]->bin = rng_poisson(&r, 10.0 * (1.0 + slope_per_s * since));
		fc_demand_bin(&f->demand, all, 4);
	}
	for (i = 0; i < FC_PATHS; i++) {
		const struct fc_shape *sh = &f->demand.shape[f->demand.pick[i]];

		if (f->demand.pick[i] != FC_NOTHING && sh->kind == FC_SHAPE_TREND &&
		    sh->steep % 2 == 0)
			sum += 1.0 / FC_PATHS;
	}
	forecast_destroy(f);
	return sum;
}

static void test_shared_trend(void **state)
{
	double rises = 0.0, flat = 0.0;
	uint64_t k;

	(void)state;
	for (k = 1; k <= 20; k++) {
		rises += weight_of_rise(1.0 / 600.0, k) / 20.0;
		flat += weight_of_rise(0.0, k) / 20.0;
	}
	print_message("a rise: %.2f where there is one, %.2f where there is none\n", rises, flat);
	assert_true(rises > 0.6);
	assert_true(flat < 0.2);
}

static void test_memory(void **state)
{
	(void)state;
	assert_true(forecast_size() <= 4u << 20);
}

static void test_before_first_second(void **state)
{
	struct forecast *f = forecast_create(5 * NS);
	struct fc_forecast out;
	char words[64];

	(void)state;
	forecast_compute(f, &out);
	assert_int_equal(out.verdict, FC_WATCHING);
	fc_words(&out, words, sizeof(words));
	assert_string_equal(words, "cannot say yet: watching for 40 s");
	forecast_destroy(f);
	forecast_destroy(NULL);
}

/* ---- what if ---- */

static void test_no_change_changes_nothing(void **state)
{
	struct forecast *f = feed_slow(4000, 500), *copy = malloc(forecast_size());
	const struct fc_change rate_as_it_is = {.kind = FC_RATE, .port = 80, .value = 1.0};
	struct fc_forecast said, same;
	struct fc_stat st = f->stat;
	unsigned int unknown = 7;

	(void)state;
	assert_non_null(copy);
	st.now_ns += NS;
	st.max = 150;
	forecast_second(f, &st);
	forecast_compute(f, &said);
	memcpy(copy, f, forecast_size());
	assert_int_equal(forecast_check(copy, forecast_size()), 0);
	assert_int_equal(forecast_compute_with(copy, NULL, 0, &same, &unknown), 0);
	assert_int_equal(unknown, 0);
	assert_memory_equal(&said, &same, sizeof(said));
	assert_int_equal(forecast_compute_with(copy, &rate_as_it_is, 1, &same, &unknown), 0);
	assert_memory_equal(&said, &same, sizeof(said));
	((uint32_t *)copy)[1]++;
	assert_true(forecast_check(copy, forecast_size()) < 0);
	assert_true(forecast_check(f, forecast_size() - 1) < 0);
	free(copy);
	forecast_destroy(f);
}

/* 100 entries of 20 s at 5 a second: twice the arrivals, twice the entries; and so on. */
static void test_changes(void **state)
{
	struct forecast *f = feed_slow(4000, 900);
	struct fc_change change = {.kind = FC_RATE, .port = 80, .value = 2.0};
	struct fc_forecast now, then;
	unsigned int unknown;

	(void)state;
	forecast_compute(f, &now);
	assert_int_equal(forecast_compute_with(f, &change, 1, &then, NULL), 0);
	assert_true(fabs(then.steady_entries - 2.0 * now.steady_entries) < 20.0);
	change.kind = FC_WITHOUT;
	assert_int_equal(forecast_compute_with(f, &change, 1, &then, NULL), 0);
	assert_true(then.steady_entries < 1.0);
	change.kind = FC_CAPPED;
	change.value = 30.0;
	assert_int_equal(forecast_compute_with(f, &change, 1, &then, NULL), 0);
	assert_true(fabs(then.steady_entries - 30.0) < 5.0);
	change = (struct fc_change){.kind = FC_LIMIT, .value = 50.0};
	assert_int_equal(forecast_compute_with(f, &change, 1, &then, NULL), 0);
	assert_int_equal(then.limit, 50);
	assert_int_equal(then.verdict, FC_FULL);
	change = (struct fc_change){.kind = FC_WITHOUT, .port = 81};
	assert_int_equal(forecast_compute_with(f, &change, 1, &then, &unknown), 0);
	assert_int_equal(unknown, 1);
	assert_memory_equal(&now, &then, sizeof(now));
	forecast_destroy(f);
}

/* ---- honest silence ---- */

static void says(struct forecast *f, enum fc_silence why, const char *words)
{
	struct fc_forecast out;
	char buf[96];

	forecast_compute(f, &out);
	assert_int_equal(out.silence, why);
	assert_int_equal(out.verdict == FC_WATCHING, why != FC_SAYS);
	fc_words(&out, buf, sizeof(buf));
	if (words)
		assert_string_equal(buf, words);
}

static void test_silence(void **state)
{
	struct forecast *f = feed_slow(4000, 300);
	struct fc_stat st = f->stat;
	int64_t s;

	(void)state;
	st.max = 1000;
	st.now_ns += NS;
	forecast_second(f, &st);
	says(f, FC_SAYS, NULL);
	forecast_notice(f, FC_EVENTS_OFF, st.now_ns);
	says(f, FC_NO_EVENTS, "cannot say: the kernel makes no events");
	forecast_notice(f, FC_EVENTS_ON, st.now_ns);
	says(f, FC_LOSING_EVENTS, "cannot say yet: events were lost, watching for 60 s");
	for (s = 0; s < 61; s++) {
		st.now_ns += NS;
		forecast_second(f, &st);
	}
	says(f, FC_SAYS, NULL);
	st.drop = 10;
	st.now_ns += NS;
	forecast_second(f, &st);
	says(f, FC_OVERLOADED, "cannot say yet: the table was full, watching for 30 s");
	st.count *= 3; /* most of it in no stage */
	for (s = 0; s < 31; s++) {
		st.now_ns += NS;
		forecast_second(f, &st);
	}
	says(f, FC_LOSING_EVENTS, NULL);
	forecast_destroy(f);
}

static void test_new_timeout_is_learnt_first(void **state)
{
	struct forecast *f = feed_slow(4000, 300);

	(void)state;
	forecast_timeout(f, 0, FC_TIME_WAIT, 30); /* nobody there */
	says(f, FC_SAYS, NULL);
	forecast_timeout(f, 0, FC_ESTABLISHED, 100);
	says(f, FC_TIMEOUTS_CHANGED, "cannot say yet: a timeout was changed, watching for 160 s");
	forecast_destroy(f);
}

/* All that were thrown out by a full table leave no trace in how long entries stay. */
static void test_eviction_teaches_nothing(void **state)
{
	struct forecast *f = feed_slow(4000, 300);
	struct fc_cell before, *c = NULL;
	struct fc_move gone = {.now_ns = 300 * NS,
			       .since_ns = 299 * NS,
			       .port = 80,
			       .from = FC_ESTABLISHED,
			       .to = FC_NONE,
			       .end = FC_END_EVICTED};
	unsigned int i;

	(void)state;
	for (i = 0; i < f->n_cells; i++)
		if (f->cell[i].stage == FC_ESTABLISHED && f->cell[i].pop.total > 0)
			c = &f->cell[i];
	assert_non_null(c);
	before = *c;
	forecast_move(f, &gone);
	assert_int_equal(c->pop.total, before.pop.total - 1);
	assert_memory_equal(c->ev_go, before.ev_go, sizeof(before.ev_go));
	assert_memory_equal(c->risk_go, before.risk_go, sizeof(before.risk_go));
	assert_memory_equal(c->went_to, before.went_to, sizeof(before.went_to));
	forecast_destroy(f);
}

/* Word, number and verdict are of one moment: a rise that the words call one is one. */
static void test_verdict_and_number_agree(void **state)
{
	struct forecast *f = feed_slow(800, 875);
	struct fc_stat st = f->stat;
	struct fc_forecast out;

	(void)state;
	st.max = 10000;
	st.now_ns += NS;
	forecast_second(f, &st);
	forecast_compute(f, &out);
	assert_int_equal(out.verdict, FC_LEVELS_OFF);
	assert_true(out.steady_entries > 1.5 * st.count);
	assert_true(fabs(out.steady_entries - out.count[FC_HORIZONS - 1].p50) < 1.0);
	forecast_destroy(f);
}

static void check_sane(const struct fc_forecast *out, const struct fc_stat *st)
{
	unsigned int h;
	double limit = st->max ? st->max : 1e18;

	for (h = 0; h < FC_HORIZONS; h++) {
		const struct fc_count *c = &out->count[h];

		assert_true(c->lo95 >= 0.0 && c->lo95 <= c->lo80 && c->lo80 <= c->p50);
		assert_true(c->p50 <= c->hi80 && c->hi80 <= c->hi95 && c->hi95 <= limit + 1.0);
	}
	for (h = 0; h < FC_FULL_HORIZONS; h++) {
		assert_true(out->p_full[h] >= 0.0 && out->p_full[h] <= 1.0);
		assert_true(out->p_drop[h] >= 0.0 && out->p_drop[h] <= out->p_full[h]);
		assert_true(!h || out->p_full[h] + 1e-9 >= out->p_full[h - 1]);
	}
	assert_true(!(out->tte_s < 0.0) && !(out->tte_s > 3601.0 && isfinite(out->tte_s)));
	if (st->max && st->count >= st->max)
		assert_int_equal(out->verdict, FC_FULL);
}

/* Nonsense of every kind: no crash, no NaN, probabilities stay such. */
static void test_hostile_input(void **state)
{
	struct forecast *f = forecast_create(0);
	struct fc_forecast out;
	struct rng r = {4711};
	int64_t now = 0;
	unsigned int i;

	(void)state;
	for (i = 0; i < 60000; i++) {
		struct fc_move m;
		uint64_t bits = rng_u64(&r);

		now += (int64_t)(rng_below(&r, 40) * 1000000u);
		if (rng_below(&r, 5000) == 0)
			now += 7200 * NS;
		memset(&m, 0, sizeof(m));
		m.now_ns = rng_below(&r, 100) ? now : now - 5 * NS;
		m.since_ns = rng_below(&r, 10) ? now - (int64_t)(rng_u64(&r) % (400 * NS))
					       : FC_SINCE_UNKNOWN;
		m.l4proto = (uint8_t)(bits & 15);
		m.direction = (uint8_t)(bits >> 8);
		m.port = (uint16_t)(bits >> 16 & (rng_below(&r, 2) ? 0xffff : 7));
		m.from = rng_below(&r, 2) ? FC_NONE : (uint8_t)(bits >> 32 & 15);
		m.to = rng_below(&r, 3) ? (uint8_t)(bits >> 36 & 15) : FC_NONE;
		m.end = (uint8_t)(bits >> 40 & 3);
		m.found = bits >> 44 & 1;
		m.timeout_s = (uint32_t)(bits >> 45);
		if (m.found)
			m.since_ns = FC_SINCE_UNKNOWN;
		forecast_move(f, &m);
		if (i % 200)
			continue;
		struct fc_stat st = {
			.now_ns = now,
			.count = rng_below(&r, 5000),
			.max = rng_below(&r, 3) * 2000,
			.ceiling = rng_below(&r, 2) * 3000,
			.drop = rng_u64(&r),
			.early_drop = i,
		};

		forecast_second(f, &st);
		forecast_notice(f, (enum fc_notice)rng_below(&r, 5), now);
		forecast_timeout(f, (uint8_t)bits, (enum fc_stage)(bits >> 8 & 15), (uint32_t)bits);
		forecast_compute(f, &out);
		check_sane(&out, &st);
	}
	forecast_destroy(f);
}

/* The same input gives the same forecast. */
static void test_repeatable(void **state)
{
	struct forecast *a = forecast_create(0), *b = forecast_create(0);
	struct fc_forecast x, y;

	(void)state;
	feed(a, EXPONENTIAL);
	feed(b, EXPONENTIAL);
	forecast_compute(a, &x);
	forecast_compute(b, &y);
	assert_memory_equal(&x.count, &y.count, sizeof(x.count));
	assert_memory_equal(&x.p_full, &y.p_full, sizeof(x.p_full));
	assert_int_equal(x.verdict, FC_UNLIMITED);
	forecast_destroy(a);
	forecast_destroy(b);
}

/* Is an entry that ended early at this fill taken for one that was evicted? */
static bool is_crowded(uint32_t count, uint32_t max)
{
	struct forecast *f = forecast_create(0);
	struct fc_stat st = {.now_ns = NS, .count = count, .max = max};
	struct fc_move m = {.now_ns = NS,
			    .l4proto = 0,
			    .port = 80,
			    .from = FC_NONE,
			    .to = FC_ESTABLISHED,
			    .since_ns = FC_SINCE_UNKNOWN};
	const struct fc_cell *c;
	bool crowded;

	forecast_second(f, &st);
	forecast_move(f, &m);
	m.since_ns = m.now_ns;
	m.now_ns = 9 * NS;
	m.from = FC_ESTABLISHED;
	m.to = FC_NONE;
	m.end = FC_END_EARLY;
	forecast_move(f, &m);
	c = fc_cell_at(f, fc_class_find(f, 0, 0, 80), FC_ESTABLISHED);
	crowded = c->went_to[FC_STAGES] == 0;
	forecast_destroy(f);
	return crowded;
}

/* 94 hundredths, of any limit: a small one is not crowded for being small. */
static void test_crowded(void **state)
{
	(void)state;
	assert_false(is_crowded(1, 50));
	assert_false(is_crowded(47, 50));
	assert_true(is_crowded(48, 50));
	assert_false(is_crowded(94, 100));
	assert_true(is_crowded(95, 100));
	assert_false(is_crowded(186, 199)); /* 94 of 100 is not 94 of 199 */
	assert_true(is_crowded(188, 199));
	assert_true(is_crowded(UINT32_MAX, UINT32_MAX));
}

/* Half of the paths reach the limit, half never do: full, as likely as not, and that has a
 * time. */
static void test_half_of_the_paths(void **state)
{
	struct forecast *f = forecast_create(0);
	struct fc_stat st = {.now_ns = NS, .count = 100, .max = 1000};
	struct fc_forecast out = {.soft_entries = 10, .limit = 1000};
	static struct fc_work w;

	(void)state;
	forecast_second(f, &st);
	for (unsigned int p = 0; p < FC_PATHS; p++)
		for (unsigned int i = 0; i < FC_POINTS; i++)
			w.path[p][i] = p % 2 && i >= 3 ? 2000.0f : 100.0f;
	fc_read_passage(f, &w, &out);
	assert_true(out.p_full[7] == 0.5);
	assert_true(out.tte_early_s <= out.tte_s && out.tte_s < 1e30);
	assert_true(out.tte_late_s > 1e30);
	out = (struct fc_forecast){.soft_entries = 10, .limit = 1000};
	/* One less, and it is more likely that it stays below. */
	for (unsigned int i = 0; i < FC_POINTS; i++)
		w.path[1][i] = 100.0f;
	fc_read_passage(f, &w, &out);
	assert_true(out.p_full[7] < 0.5);
	assert_true(out.tte_s > 1e30);
	forecast_destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exponential),
		cmocka_unit_test(test_deterministic),
		cmocka_unit_test(test_hyperexponential),
		cmocka_unit_test(test_rate_of_known_slope),
		cmocka_unit_test(test_collector_rounds),
		cmocka_unit_test(test_stays_that_lengthen),
		cmocka_unit_test(test_shared_trend),
		cmocka_unit_test(test_draws),
		cmocka_unit_test(test_normals),
		cmocka_unit_test(test_no_change_changes_nothing),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_new_timeout_is_learnt_first),
		cmocka_unit_test(test_eviction_teaches_nothing),
		cmocka_unit_test(test_verdict_and_number_agree),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_before_first_second),
		cmocka_unit_test(test_hostile_input),
		cmocka_unit_test(test_repeatable),
		cmocka_unit_test(test_crowded),
		cmocka_unit_test(test_half_of_the_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
