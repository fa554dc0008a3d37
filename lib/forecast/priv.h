// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Inside the forecast. Included by forecast*.c and its unit tests only.
 *
 * Three kinds of state, all of fixed size:
 *   struct fc_cell    one (class, stage): who is in it by age, and how entries leave it
 *   struct fc_rate    one class: hypotheses about its arrival rate
 *   struct fc_record  own past forecasts and what came
 */
#ifndef CONNTIDE_FORECAST_PRIV_H
#define CONNTIDE_FORECAST_PRIV_H

#include "lib/forecast/forecast.h"

#define FC_CLASSES 32
#define FC_CELLS   220
#define FC_NO_CELL 255

/* ---- stays ---- */

/*
 * Ages are differences of whole seconds. Population is kept by second of
 * entry, coarser the older: level l has FC_SLOTS slots of fc_width_s[l].
 */
#define FC_LEVELS    4
#define FC_SLOTS     256
#define FC_AGE_FINE  200 /* age bins of 1 s below this, 6 % wide above */
#define FC_AGE_BINS  330
#define FC_LATE_FINE 64 /* seconds past the deadline, likewise */
#define FC_LATE_BINS 96
#define FC_MEMORIES  3 /* forgetting times */
#define FC_GROUPS    6 /* age groups, each with its own weights of the memories */
#define FC_EPOCHS    4 /* timeouts that were in force lately */

extern const int fc_width_s[FC_LEVELS];
extern const double fc_memory_s[FC_MEMORIES];

struct fc_leave { /* one risk, one memory */
	float *events, *exposure;
};

struct fc_cell {
	uint8_t class_id, stage;
	bool used, refreshed; /* packets extend the timeout without an event */
	int32_t n[FC_LEVELS][FC_SLOTS];
	int32_t n_total, n_unknown; /* unknown: since when is not known */
	int32_t n_old, old_exits;   /* past their first seconds; of those, gone this second */
	/* going on to another stage or ended early, by age; one more bin: unknown age */
	float ev_go[FC_MEMORIES][FC_AGE_BINS + 1], risk_go[FC_MEMORIES][FC_AGE_BINS + 1];
	float h_go[FC_MEMORIES][FC_AGE_BINS + 1];
	float loglik[FC_MEMORIES][FC_GROUPS];
	/* expiry, by time past the deadline; two memories are enough: the last two */
	float ev_end[FC_LATE_BINS], risk_end[FC_LATE_BINS];
	float next[FC_STAGES + 1];	 /* where to; the last: gone early */
	float entered;			 /* decayed count, for "has it been seen at all" */
	int64_t epoch_from_s[FC_EPOCHS]; /* newest first */
	uint32_t epoch_timeout_s[FC_EPOCHS];
	uint32_t heard_timeout_s, heard_times;
};

#define FC_NEVERS  4
#define FC_SHIFTS  13
#define FC_MOMENTS 16

struct fc_hazard_shift {		 /* one class: has its stay in ESTABLISHED changed? */
	float h[FC_SHIFTS][FC_AGE_BINS]; /* hazards if it had so; the first: as usual */
	uint16_t exits[FC_AGE_BINS];	 /* of the second under way */
	int64_t since_s[FC_MOMENTS];	 /* newest first */
	float loglik[FC_MOMENTS][FC_SHIFTS];
	float expected[FC_MOMENTS]; /* exits since, as usual */
	float usual_exits;	    /* that `as usual` rests on */
	unsigned int n, best;
	double log_odds;   /* that it has, at one of the moments */
	int64_t changed_s; /* what the forecast takes it for; INT64_MAX: no change */
	float weight[FC_SHIFTS];
	bool ready;
};

/* ---- rates ---- */

#define FC_RUNS	 128
#define FC_BIN_S 5

struct fc_run {		     /* level and slope since some moment, Gaussian */
	double level, slope; /* per s, per s^2; level as of the last bin's end */
	double p00, p01, p11;
	double weight;
	int64_t start_s;
	uint8_t kind;
};

struct fc_rate {
	struct fc_run run[FC_RUNS];
	unsigned int n_runs;
	double bin_arrivals, span_s; /* in the bin under way, and its length so far */
	double counted;		     /* of those, in the history already */
	int64_t end_s;		     /* of the last whole bin */
	double last_y, dispersion;   /* variance / mean of arrivals per second */
	double diff_var, diff_mean;
	double mean_per_s; /* slow mean, for floors */
	double total;
	bool censored;
};

#define FC_PULSES 6

struct fc_pulses { /* bursts, newest first */
	int64_t at_s[FC_PULSES];
	float size[FC_PULSES]; /* entries */
	unsigned int n, bins_left;
	double usual_per_bin;
};

#define FC_HISTORY 480

struct fc_history { /* arrivals by bin of FC_BIN_S, newest at `at` */
	float y[FC_HISTORY];
	unsigned int at, n;
};

/* ---- one class ---- */

struct fc_class {
	bool used, pooled;
	uint8_t l4proto, direction;
	uint16_t port;
	int64_t own_from_s; /* entries since before this are in the pooled class */
	int64_t last_seen_s;
	uint8_t cell[FC_STAGES];
	struct fc_rate rate;
	struct fc_pulses pulses;
	struct fc_history history;
	float to_return; /* thrown out at once, expected to come back */
	int64_t thrown_out_s;
	float first[FC_STAGES]; /* stage in which entries arrive, decayed counts */
	int32_t n_total;
};

/* ---- collector ---- */

#define FC_ROUNDS 12
#define FC_DRIFTS 5
#define FC_LATE_N 100 /* lateness in steps of FC_FINE_DT */

struct fc_gc {
	uint32_t gone, left;	     /* late entries of the second under way */
	double gone_at_s;	     /* sum of when in the second */
	double seen_gone, seen_risk; /* decayed, outside rounds */
	double round_s[FC_ROUNDS];   /* newest first */
	unsigned int n_rounds;
	double anchor_s, period_s; /* 0: no comb fits */
	double promised_s;	   /* by the collector's own rule, at its last round */
	unsigned int kept;	   /* promises, in a row */
};

/* ---- shared trends ---- */

enum fc_change_kind { FC_CHANGE_JUMP, FC_CHANGE_TREND };

struct fc_change {
	float weight, slope_per_bin, jump;
	uint16_t began, ended; /* bins ago; 0: has not ended */
	uint8_t kind;
};

#define FC_EXPLANATIONS 2400

struct fc_trends {
	struct fc_change change[FC_EXPLANATIONS];
	unsigned int n;
};

struct fc_sums {
	double y[FC_HISTORY + 1], iy[FC_HISTORY + 1];
	unsigned int n;
};

/* ---- the day ---- */

#define FC_SEASON_AHEAD 60

struct fc_season_said { /* of the mean arrivals by bin FC_SEASON_AHEAD later */
	double fit, now;
};

struct fc_season {
	double day_s;
	double s[6], v[FC_CLASSES][3]; /* normal equations: 00 01 02 11 12 22; right hand sides */
	double err_fit, err_now;       /* squared, summed, forgetting */
	unsigned int bins, compared, at;
	struct fc_season_said said[FC_SEASON_AHEAD];
	double weight; /* share of the paths that follow the day */
};

/* ---- projection ---- */

#define FC_FINE_DT   2
#define FC_FINE_N    301 /* points at 0, 2, .. 600 s */
#define FC_COARSE_DT 24
#define FC_COARSE_N  151 /* points at 0, 24, .. 3600 s */

struct fc_curve {		   /* on one grid, for one class */
	float stay[FC_FINE_N];	   /* present entries still here */
	float stay_var[FC_FINE_N]; /* variance of it */
	float unit[FC_FINE_N];	   /* share of entries arrived in step 0 still here */
	/* fine grid only: passing a fixed deadline in a step, whenever they go then */
	float due[FC_FINE_N], due_unit[FC_FINE_N];
	float late[FC_LATE_N]; /* past it already, by lateness */
};

#define FC_PATHS 200
/* points of a path: every 6 s up to 600 s, then every second coarse one */
#define FC_PATH_FINE   100
#define FC_PATH_FAR    2
#define FC_PATH_POINTS (FC_PATH_FINE + (FC_COARSE_N - 1 - 600 / FC_COARSE_DT) / FC_PATH_FAR)
#define FC_TIMES       176 /* room for them */
#define FC_NORMALS     8192
#define FC_ROUND_S     64

struct fc_record_entry {
	int64_t at_s;
	float p50[3], lo[3], hi[3], sd[3]; /* at +30, +120, +600 */
	uint8_t done;
};
#define FC_RECORDS 1024

#define FC_PENDING 16384

struct fc_exit {
	uint16_t cell, bin;
	uint8_t to; /* FC_NONE: expired */
};

struct forecast {
	int64_t start_s, now_s, move_ns;
	bool have_stat;
	struct fc_stat stat;
	struct fc_class cls[FC_CLASSES];
	struct fc_cell cell[FC_CELLS];
	unsigned int n_cells;
	uint32_t sysctl_timeout_s[FC_L4PROTOS][FC_STAGES];
	struct {
		uint32_t key, hits;
	} candidate[64];
	/* how late entries past a fixed deadline are collected, all classes */
	float late_ev[FC_LATE_BINS], late_risk[FC_LATE_BINS];
	struct fc_gc gc;
	struct fc_hazard_shift hazard_shift[FC_CLASSES];
	struct fc_season season;
	float rate_new[FC_CLASSES][FC_AGE_BINS];
	float late_survive[FC_LATE_N];
	double saw_now, saw_600; /* the count above the middle of what rounds make of it */
	struct fc_exit pending[FC_PENDING]; /* exits of the second under way */
	unsigned int n_pending;
	double residual;	/* count - entries known */
	int64_t account_from_s; /* shared changes before this are over */
	int64_t unsure_until_s; /* after losses and resyncs */
	/* at the limit: how far below it the count is, by second of the collector's round */
	int64_t last_full_s, last_evict_s;
	double evict_period_s;
	unsigned int evictions;
	float deficit[FC_ROUND_S], deficit_mean, deficit_err;
	uint64_t last_drop, last_early;
	int32_t arrivals_this_s;

	float normal[FC_NORMALS];
	float window[FC_AGE_BINS], unseen[FC_AGE_BINS]; /* constants of the smoothing */
	/* scratch of forecast_compute() */
	struct fc_curve fine[FC_CLASSES], coarse[FC_CLASSES];
	float mean_path[FC_TIMES], path_sd[FC_TIMES];
	float path[FC_PATHS][FC_TIMES];
	uint8_t path_joint[FC_PATHS];
	uint16_t path_trend[FC_PATHS];
	struct fc_trends trends;
	struct fc_sums sums[FC_CLASSES];
	float work[3][FC_FINE_N];
	/* hazards of each cell as rates per second, from the fine grid's pass */
	float rate_go[FC_CELLS][FC_AGE_BINS], rate_end[FC_CELLS][FC_LATE_BINS];
	float inflow[FC_STAGES][2][FC_FINE_N];

	struct fc_record_entry record[FC_RECORDS];
	unsigned int n_records, record_at;
	double scale[3]; /* conformal factors of the half width */
	double bias[3];
	unsigned int hits, compared;
	bool alarm;
};

/* forecast_classes.c */
void fc_class_init(struct fc_class *cl, uint8_t l4proto, uint8_t direction, uint16_t port,
		   bool pooled);
struct fc_class *fc_class_of(struct forecast *f, const struct fc_move *m, int64_t since_s,
			     bool unknown);
/* NULL: no cell is left. */
struct fc_cell *fc_cell_of(struct forecast *f, struct fc_class *cl, unsigned int stage);

/* forecast_population.c */
void fc_cell_forget_ghosts(struct forecast *f, struct fc_cell *c);
void fc_cell_fold(struct forecast *f, struct fc_cell *c);

/* forecast_stays.c */
void fc_stays_init(struct forecast *f);
void fc_cell_init(struct forecast *f, struct fc_cell *c, unsigned int class_id, unsigned int stage);
void fc_cell_add(struct forecast *f, struct fc_cell *c, int64_t since_s, bool unknown);
void fc_cell_remove(struct forecast *f, struct fc_cell *c, int64_t since_s, bool unknown);
/* Learn from an exit. to: stage, FC_STAGES for gone early; expired: ran out. */
void fc_cell_exit(struct forecast *f, struct fc_cell *c, int64_t since_s, bool unknown,
		  unsigned int to, bool expired);
void fc_cell_timeout(struct forecast *f, struct fc_cell *c, uint32_t timeout_s);
/* The second f->now_s is over: learn from it and go on to the next. */
void fc_cells_second(struct forecast *f);
/* Entries long past their deadline that the count does not have: their end was lost. */
void fc_cells_drop_ghosts(struct forecast *f, int32_t ghosts);
const struct fc_cell *fc_cell_teacher(const struct forecast *f, const struct fc_cell *c);
bool fc_cell_fixed(const struct fc_cell *c);
uint32_t fc_cell_timeout_at(const struct fc_cell *c, int64_t since_s);
/* Probability per second of going on at this age, all memories weighed. */
void fc_cell_hazards(const struct forecast *f, const struct fc_cell *c, float *go);
float fc_unknown_hazard(const struct forecast *f, const struct fc_cell *c);
void fc_late_hazards(const struct forecast *f, const struct fc_cell *c, float *end);
unsigned int fc_age_bin(int64_t age_s);
unsigned int fc_late_bin(int64_t late_s);
double fc_age_bin_start(unsigned int bin);
double fc_late_bin_start(unsigned int bin);

/* forecast_regimes.c */
void fc_hazard_shift_init(struct fc_hazard_shift *rg);
void fc_hazard_shift_exit(struct fc_hazard_shift *rg, unsigned int bin);
/* Events were lost in this second: it says nothing. */
void fc_hazard_shift_unsure(struct fc_hazard_shift *rg);
void fc_hazard_shift_second(struct forecast *f, struct fc_cell *c, const float *n_at);
/* Which classes have changed, and when: sets changed_s and weight of each. */
void fc_hazard_shift_decide(struct forecast *f);
/* Entries of the cell since then stay otherwise; INT64_MAX: no change. */
int64_t fc_hazard_shift_since_s(const struct forecast *f, const struct fc_cell *c);
/* How they leave, probability per second by age. */
void fc_hazard_shift_hazards(const struct forecast *f, const struct fc_cell *c, float *h);

/* forecast_collector.c */
void fc_gc_exit(struct fc_gc *co, int64_t now_ns, int64_t late_s);
void fc_gc_second(struct forecast *f);
/* Share of late entries that lookups take in a second. */
float fc_gc_floor(const struct fc_gc *co, double late_s);
double fc_gc_lookups(const struct fc_gc *co);
void fc_late_survival(const struct forecast *f, float *survive);
unsigned int fc_gc_phase(struct forecast *f, const float *due, const float *late_now,
			 float (*diff)[FC_FINE_N]);

/* forecast_full.c */
void fc_full_second(struct forecast *f, uint32_t before);
/* How far below the limit a full table will be, in t_s; its spread. Entries. */
double fc_full_deficit(const struct forecast *f, double t_s, double limit, double *spread);

/* forecast_rates.c */
void fc_rate_init(struct fc_rate *r);
void fc_rate_bin(struct fc_rate *r, int64_t now_s); /* the bin under way is complete */

/* forecast_pulses.c */
/* A bin is over. Returns what of it is usual arrivals, to learn the rate from. */
double fc_pulse_bin(struct fc_pulses *pu, double arrivals, int64_t now_s, int64_t watched_s);
/* 0: no rhythm */
double fc_pulse_period_s(const struct fc_pulses *pu, int64_t now_s);
/* How likely it is that the rhythm is one, where there is one. */
double fc_pulse_belief(const struct fc_pulses *pu);
/* Mean size and its spread, entries. */
double fc_pulse_size(const struct fc_pulses *pu, double *sd);

/* forecast_joint.c */
#define FC_JOINT 48
struct fc_joint { /* changes that several classes share */
	int64_t start_s[FC_JOINT];
	bool sloped[FC_JOINT];		/* to a trend, not to a level */
	double p[FC_JOINT];		/* that it happened */
	float in[FC_JOINT][FC_CLASSES]; /* that the class took part, given it did */
	unsigned int n;
};
/* How far apart starts of one change may be estimated, seconds. */
int64_t fc_joint_near_s(const struct forecast *f, int64_t start_s, bool sloped);
void fc_joint_find(const struct forecast *f, struct fc_joint *j);

/* forecast_trends.c */
struct fc_line { /* an arrival rate: per s, its sd, per s^2, how long it has been one */
	double level, sd, slope, age_s;
};
/* The 5 s that are over; before fc_rate_bin(). */
void fc_history_add(struct fc_history *h, const struct fc_rate *r);
/* The rate at quiet times, per s: the lower quartile of the minutes of the last 40. */
double fc_history_low(const struct fc_history *h);
void fc_trends_find(struct forecast *f, struct fc_trends *jo);
/* The rate of a class under a trend; u in [0, 1) decides; false: it does not take part. */
bool fc_trend_line(const struct forecast *f, unsigned int class_id, const struct fc_change *ch,
		   double u, struct fc_line *line);

/* forecast_season.c */
void fc_season_bin(struct forecast *f); /* a bin of FC_BIN_S is over, in all histories */
/* The rate of a class s seconds from now is rate[0] + rate[1] cos w s + rate[2] sin w s, per s. */
void fc_season_rate(const struct forecast *f, unsigned int class_id, double *rate);
/* On one grid: what is there at each point of arrivals at that rate; unit as in struct fc_curve. */
void fc_season_respond(const struct forecast *f, const double *rate, const float *unit,
		       unsigned int points, double dt, float *out);

/* forecast_project.c */
void fc_project(struct forecast *f, struct fc_class *cl, unsigned int dt, unsigned int points,
		struct fc_curve *out);

/* forecast_lines.c */
struct fc_runs_drawn {	       /* of one class, for all paths */
	double up_to[FC_RUNS]; /* weight of runs 0 to i */
	double usual_per_s;    /* at quiet times */
};
struct fc_path_line { /* the rate of a class on one path: per s, per s^2, how long the slope lasts
		       */
	double a, b, lasts;
};
/* Which shared changes the paths believe in; before the lines. */
void fc_lines_draw(struct forecast *f, struct fc_joint *joint);
void fc_runs_prepare(const struct fc_class *cl, struct fc_runs_drawn *runs);
void fc_path_line(const struct forecast *f, unsigned int class_id, unsigned int path,
		  const struct fc_joint *joint, const struct fc_runs_drawn *runs,
		  struct fc_path_line *out);

/* forecast_balance.c: moves the paths in f, before the noise is added */
void fc_balance_cold(struct forecast *f);

/* forecast_quantiles.c: of the paths in f */
static inline double fc_path_time_s(unsigned int i)
{
	if (i < FC_PATH_FINE)
		return 6.0 * (i + 1);
	return 600.0 + (i + 1 - FC_PATH_FINE) * FC_PATH_FAR * FC_COARSE_DT;
}
void fc_read_counts(const struct forecast *f, double limit, struct fc_forecast *out);
void fc_read_passage(const struct forecast *f, double limit, double arrivals_per_s,
		     struct fc_forecast *out);

/* forecast_paths.c */
void fc_paths(struct forecast *f, struct fc_forecast *out);

#endif
