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
#include "lib/forecast/priv.h"
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
	static struct fc_curve fine, coarse;
	struct fc_class *cl = NULL;
	unsigned int i, j, k;
	double worst = 0.0;

	assert_non_null(f);
	feed(f, law);
	for (i = 0; i < FC_CLASSES; i++)
		if (f->cls[i].used && f->cls[i].port == 80)
			cl = &f->cls[i];
	assert_non_null(cl);
	fc_project(f, cl, FC_FINE_DT, FC_FINE_N, &fine);
	fc_project(f, cl, FC_COARSE_DT, FC_COARSE_N, &coarse);
	for (j = 15; j < FC_FINE_N; j += 15) { /* every 30 s to 600 s */
		double t = RUN_S + j * FC_FINE_DT, sum = fine.stay[j], truth = true_count(law, t);

		for (k = 0; k < j; k++)
			sum += FC_FINE_DT * true_rate(t - (k + 0.5) * FC_FINE_DT) * fine.unit[k];
		worst = fmax(worst, fabs(sum - truth) / truth);
	}
	for (j = 25; j < FC_COARSE_N; j += 25) { /* every 10 min to 1 h */
		double t = RUN_S + j * FC_COARSE_DT, sum = coarse.stay[j],
		       truth = true_count(law, t);

		for (k = 0; k < j; k++)
			sum += FC_COARSE_DT * true_rate(t - (k + 0.5) * FC_COARSE_DT) *
			       coarse.unit[k];
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

/* The rate's level and slope, over seeded series of known slope. */
static void test_rate_of_known_slope(void **state)
{
	const char *seed_text = getenv("SEED");
	uint64_t seed0 = seed_text ? strtoull(seed_text, NULL, 10) : 1;
	unsigned int k, i, j, bad = 0, n = seed_text ? 1 : 200;

	(void)state;
	for (k = 0; k < n; k++) {
		struct rng r = {seed0 + k};
		double level = rng_log_range(&r, 1.0, 50.0), end = level * rng_range(&r, 1.5, 3.0);
		double slope = (end - level) / 900.0, mean = 0.0, at;
		struct fc_rate rate;

		fc_rate_init(&rate);
		for (i = 0; i < 300; i++) { /* 600 s flat, 900 s rising */
			at = level + slope * fmax(0.0, i * 5.0 + 2.5 - 600.0);
			rate.bin_arrivals += rng_poisson(&r, at * FC_BIN_S);
			fc_rate_bin(&rate, (i + 1) * FC_BIN_S);
		}
		at = end;
		for (j = 0; j < rate.n_runs; j++)
			mean += rate.run[j].weight * rate.run[j].level;
		if (fabs(mean - at) > 5.0 * sqrt(at / 60.0) + 0.05 * at) {
			print_message("seed %llu: rate %.2f, found %.2f\n",
				      (unsigned long long)(seed0 + k), at, mean);
			bad++;
		}
	}
	assert_true(bad <= n / 50);
}

/* Rounds every 37 s among listings by others at odd moments; lookups take a tenth. */
static void test_collector_rounds(void **state)
{
	struct forecast *f = forecast_create(0);
	struct fc_gc *co = &f->gc;
	struct rng r = {99};
	double beat;

	(void)state;
	assert_non_null(f);
	for (f->now_s = 1; f->now_s <= 700; f->now_s++) {
		bool all = f->now_s % 37 == 5 || f->now_s % 191 == 100;
		unsigned int i, late = 5 + rng_below(&r, 30), gone = all ? late : late / 10;

		for (i = 0; i < gone; i++)
			fc_gc_exit(co, f->now_s * NS + NS / 2, 7);
		co->left = late - gone;
		fc_gc_second(f);
	}
	assert_true(fabs(co->period_s - 37.0) < 0.2);
	beat = fmod(co->anchor_s - 5.5, 37.0);
	assert_true(fmin(beat, 37.0 - beat) < 1.0);
	memset(co, 0, sizeof(*co));
	for (f->now_s = 1; f->now_s <= 700; f->now_s++) { /* lookups only: no rounds */
		co->left = 20;
		fc_gc_exit(co, f->now_s * NS, 7);
		fc_gc_second(f);
	}
	assert_true(co->n_rounds == 0 && co->period_s == 0.0);
	forecast_destroy(f);
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
	fc_hazard_shift_decide(f);
	for (i = 0; i < FC_CLASSES; i++)
		assert_true(f->hazard_shift[i].changed_s == INT64_MAX || !f->cls[i].used);
	forecast_destroy(f);
	/* 75 s later the count has hardly begun to rise to four times itself */
	f = feed_slow(800, 875);
	forecast_compute(f, &out);
	for (i = 0; i < FC_CLASSES; i++)
		if (f->cls[i].used && f->cls[i].port == 80)
			assert_in_range((uintmax_t)f->hazard_shift[i].changed_s, 760, 840);
	print_message("in ten minutes: %.0f\n", out.count[2].p50);
	assert_true(out.count[2].p50 > 250.0 && out.count[2].p50 < 600.0);
	forecast_destroy(f);
}

/* Four classes of two a second each; for the last 300 s they rise by half in ten minutes. */
static double weight_of_rise(double slope_per_s, uint64_t seed)
{
	struct forecast *f = forecast_create(0);
	struct fc_rate rate = {.dispersion = 1.0};
	struct rng r = {seed};
	double sum = 0.0;
	unsigned int c, i;

	assert_non_null(f);
	for (c = 10; c < 14; c++) {
		fc_class_init(&f->cls[c], 0, 0, (uint16_t)c, false);
		for (i = 0; i < 200; i++) {
			double since = fmax(0.0, i * 5.0 - 700.0);

			rate.bin_arrivals = rng_poisson(&r, 10.0 * (1.0 + slope_per_s * since));
			fc_history_add(&f->cls[c].history, &rate);
		}
	}
	f->now_s = 1000;
	fc_trends_find(f, &f->trends);
	for (i = 0; i < f->trends.n; i++)
		if (f->trends.change[i].kind == FC_CHANGE_TREND &&
		    f->trends.change[i].slope_per_bin > 0.0f)
			sum += (double)f->trends.change[i].weight;
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
	assert_true(forecast_size() <= 8u << 20);
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
		forecast_notice(f, (enum fc_notice)rng_below(&r, 3), now);
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
	bool crowded;

	forecast_second(f, &st);
	forecast_move(f, &m);
	m.since_ns = m.now_ns;
	m.now_ns = 9 * NS;
	m.from = FC_ESTABLISHED;
	m.to = FC_NONE;
	m.end = FC_END_EARLY;
	forecast_move(f, &m);
	crowded = f->n_pending == 0;
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
	struct fc_forecast out = {.soft_entries = 10};

	(void)state;
	forecast_second(f, &st);
	for (unsigned int p = 0; p < FC_PATHS; p++)
		for (unsigned int i = 0; i < FC_PATH_POINTS; i++)
			f->path[p][i] = p % 2 && i >= 3 ? 2000.0f : 100.0f;
	fc_read_passage(f, 1000.0, 1.0, &out);
	assert_true(out.p_full[7] == 0.5);
	assert_true(out.tte_early_s <= out.tte_s && out.tte_s < 1e30);
	assert_true(out.tte_late_s > 1e30);
	/* One less, and it is more likely that it stays below. */
	for (unsigned int i = 0; i < FC_PATH_POINTS; i++)
		f->path[1][i] = 100.0f;
	fc_read_passage(f, 1000.0, 1.0, &out);
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
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_before_first_second),
		cmocka_unit_test(test_hostile_input),
		cmocka_unit_test(test_repeatable),
		cmocka_unit_test(test_crowded),
		cmocka_unit_test(test_half_of_the_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
