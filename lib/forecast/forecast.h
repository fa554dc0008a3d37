// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The forecast: when will the table be full, or where does it settle. The whole interface of
 * lib/forecast; agent, replay and what-if use it.
 *
 * The table is close to an Mt/G/infinity queue: entries of class c arrive at a
 * rate lambda_c(t) and stay for a time that depends on the class and on the
 * states they pass (Eick, Massey, Whitt: "The physics of the Mt/G/infinity
 * queue", 1993). forecast_move() and forecast_second() learn rates and stays;
 * forecast_compute() pushes what is in the table now, by age, and what is
 * expected to arrive through the states and says what comes out.
 *
 * PURE: no clock, no I/O, no log; forecast_compute_with() allocates while it runs, nothing
 * else after forecast_create(). What was learnt is one block of forecast_size() bytes (<= 4
 * MiB) without pointers, that begins with its version: it may be copied with memcpy() and the
 * copy given to forecast_compute_with(). One thread a forecast.
 * Times are int64_t ns on any one monotonic clock, the caller's. Ages, spans
 * and timeouts are seconds; rates are per second; counts are entries. External
 * input is never asserted on: values out of range are clamped or ignored.
 *
 * Not handled: which timeout policy a flow has (deadlines are learnt per class
 * and stage: of a port with and without one it is that of most), entries that never speak (they are
 * in `count` but in no stage: the difference is carried along and thins out as the others do).
 */
#ifndef CONNTIDE_FORECAST_FORECAST_H
#define CONNTIDE_FORECAST_FORECAST_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

/* Stage of an entry. SCTP uses the TCP names that fit; others the last four. */
enum fc_stage {
	FC_SYN_SENT,
	FC_SYN_RECV,
	FC_ESTABLISHED,
	FC_FIN_WAIT,
	FC_CLOSE_WAIT,
	FC_LAST_ACK,
	FC_TIME_WAIT,
	FC_CLOSE,
	FC_UNREPLIED,
	FC_REPLIED,
	FC_ASSURED,
	FC_UNKNOWN,
	FC_STAGES,
	FC_NONE = 255, /* not in the table */
};

/* l4proto as the mirror numbers them; only equality and the range matter. */
#define FC_L4PROTOS	 8
#define FC_SINCE_UNKNOWN INT64_MIN
#define FC_KEEP_NS	 (INT64_C(1) << 24)

enum fc_end {
	FC_END_EXPIRED, /* its timeout had run out */
	FC_END_EARLY,	/* deleted, evicted or killed before that */
	FC_END_UNKNOWN, /* swept by a resync: nothing is learnt from it */
	FC_END_EVICTED, /* thrown out by a full table: nor from this */
};

struct fc_move {
	int64_t now_ns;
	/*
	 * When it entered `from`; FC_SINCE_UNKNOWN. Of a found entry: when it
	 * entered `to`, where that is known.
	 */
	int64_t since_ns;
	uint8_t l4proto;    /* < FC_L4PROTOS, else pooled in the last */
	uint8_t direction;  /* 0..3 */
	uint16_t port;	    /* 0: none */
	uint8_t from;	    /* enum fc_stage; FC_NONE: new entry */
	uint8_t to;	    /* enum fc_stage; FC_NONE: it has gone */
	uint8_t end;	    /* enum fc_end, where to == FC_NONE */
	bool found;	    /* from == FC_NONE: found by a dump, not seen to arrive */
	uint32_t timeout_s; /* just set with `to` (found: remaining); 0: not told */
	/*
	 * Out: the `since_ns` the caller must keep for this entry and give
	 * back with its next move. now_ns, except for found entries, where it is
	 * a multiple of FC_KEEP_NS. It must come back as it was: callers that keep
	 * multiples of FC_KEEP_NS only give such times as now_ns.
	 */
	int64_t keep_since_ns;
};

/* What the kernel's rule comes to: lib/kernel/gc.h. All 0: not known, as in a trace. */
struct fc_collector {
	double interval_s; /* from one round of the collector to the next */
	double met_per_s;  /* chance a second that an expired entry is met before */
};

struct fc_stat {
	int64_t now_ns;
	uint32_t count, max;	   /* max 0: unlimited */
	uint32_t ceiling;	   /* chain-length ceiling, entries; 0: none */
	uint64_t drop, early_drop; /* counters, not differences */
	uint32_t tick_hz;	   /* CONFIG_HZ; 0: not known, as in a trace */
	struct fc_collector collector;
};

enum fc_notice {
	FC_RESYNCED,	    /* the mirror was rebuilt: expired entries went at once */
	FC_EVENTS_LOST,	    /* what was not seen is not "no arrivals" */
	FC_SOMEBODY_DUMPED, /* as FC_RESYNCED, by another program */
	FC_EVENTS_OFF,	    /* the kernel makes none (nf_conntrack_events=0) until .. */
	FC_EVENTS_ON,
};

#define FC_HORIZONS	 4 /* 30, 120, 600, 3600 s */
#define FC_FULL_HORIZONS 8 /* 30, 60, 120, 300, 600, 1200, 1800, 3600 s */
#define FC_REASONS	 8

extern const unsigned int fc_horizon_s[FC_HORIZONS];
extern const unsigned int fc_full_horizon_s[FC_FULL_HORIZONS];

enum fc_verdict {
	FC_WATCHING,   /* cannot say: see `silence` and for how long */
	FC_STEADY,     /* stays where it is */
	FC_LEVELS_OFF, /* moves, and stays below the limit */
	FC_FILLING,    /* will be full within the hour, more likely than not */
	FC_FULL,
	FC_DRAINING,
	FC_UNLIMITED,
};

/* Why it cannot say. */
enum fc_silence {
	FC_SAYS,
	FC_STARTING,	     /* watched for too short a time */
	FC_NO_EVENTS,	     /* the kernel makes none: not before it does */
	FC_LOSING_EVENTS,    /* a good part of the entries is not known */
	FC_OVERLOADED,	     /* the table was full and evicted: what came since is not load */
	FC_TIMEOUTS_CHANGED, /* how long entries stay with the new ones is not known yet */
};

struct fc_count { /* entries */
	double p50, lo80, hi80, lo95, hi95;
};

/* A class that carries the forecast. */
struct fc_reason {
	uint8_t l4proto, direction;
	uint16_t port; /* 0: pooled ports */
	bool pooled;
	double entries;	       /* now */
	double rate_per_s;     /* arrivals now */
	double slope_per_s2;   /* how fast the rate changes */
	double steady_entries; /* rate x mean stay, as things stand */
	double entries_600;    /* expected in 10 min */
};

struct fc_forecast {
	int64_t now_ns;
	uint32_t limit; /* min(max, ceiling); 0: none */
	struct fc_count count[FC_HORIZONS];
	double p_full[FC_FULL_HORIZONS];
	double p_drop[FC_FULL_HORIZONS]; /* first packet dropped */
	/* median, 10 %, 90 %, the latter two a tenth wider; INFINITY: not within 1 h */
	double tte_s, tte_early_s, tte_late_s;
	/* where it settles, whatever the limit: median in an hour, and what those are by their
	 * timeout that have never been seen to end */
	double steady_entries;
	double soft_entries; /* unassured: early drop may take them */
	bool alarm;	     /* full within 10 min, with hysteresis */
	enum fc_verdict verdict;
	enum fc_silence silence;
	double watching_s; /* FC_WATCHING: for how much longer, as far as is known */
	struct fc_reason reason[FC_REASONS];
	unsigned int n_reasons;
};

/* What if. */
enum fc_change_kind {
	FC_WITHOUT, /* the class is not tracked: its entries and arrivals are gone */
	FC_CAPPED,  /* it keeps `value` entries open and makes no new ones (keepalive) */
	FC_TIMEOUT, /* of `stage`, for entries that enter it from now on: `value` seconds */
	FC_RATE,    /* `value` times as many arrive */
	FC_LIMIT,   /* nf_conntrack_max is `value` */
};

struct fc_change {
	enum fc_change_kind kind;
	uint8_t l4proto, direction; /* FC_WITHOUT, FC_CAPPED, FC_RATE; l4proto also FC_TIMEOUT */
	uint16_t port;
	uint8_t stage; /* enum fc_stage */
	double value;
};

struct forecast;

/* Of what was learnt, bytes. */
size_t forecast_size(void);

/* 0, or -EPROTO: not what this version of the library has learnt. */
int forecast_check(const void *block, size_t size);

/* NULL with errno ENOMEM. Freed by forecast_destroy(), which takes NULL. */
struct forecast *forecast_create(int64_t now_ns);
void forecast_destroy(struct forecast *f);

/*
 * The timeout in force for entries entering this stage from now on; what
 * events tell (timeout_s of a move) overrides it per class. Out of range: ignored.
 */
void forecast_timeout(struct forecast *f, uint8_t l4proto, enum fc_stage stage, uint32_t timeout_s);

/*
 * The timeout with which entries of a port come into this stage, as events told it: another than
 * the one in force where a policy or a helper sets it. 0: the port has no class of its own, or none
 * came yet. Of a port with both it is that of most.
 */
uint32_t forecast_timeout_of(const struct forecast *f, uint8_t l4proto, uint8_t direction,
			     uint16_t port, enum fc_stage stage);

/* How long a day is, 86400 s unless told: recorded traces may have short ones. Out of range:
 * ignored. */
void forecast_day(struct forecast *f, uint32_t day_s);

/* One entry appears, changes stage or goes. O(1). Sets m->keep_since_ns. */
void forecast_move(struct forecast *f, struct fc_move *m);

/* Once a second, after the moves of that second. Missed seconds are made up. */
void forecast_second(struct forecast *f, const struct fc_stat *st);

/* Something happened that is not load. */
void forecast_notice(struct forecast *f, enum fc_notice what, int64_t now_ns);

/*
 * The forecast as of the last forecast_second(). Also keeps it, so that later
 * seconds can compare it with what came: intervals are scaled by past errors.
 * About 1 ms on a 2020 core. Before the first second: FC_WATCHING.
 */
void forecast_compute(struct forecast *f, struct fc_forecast *out);

/*
 * The same for a changed copy; f stays as it is. Without changes just what forecast_compute()
 * says. A change that names a class that is not known has no effect: *ret_unknown (or NULL)
 * counts those. 0 or -ENOMEM.
 */
int forecast_compute_with(const struct forecast *f, const struct fc_change *change, unsigned int n,
			  struct fc_forecast *out, unsigned int *ret_unknown);

/* Accuracy: share of 80 % intervals that held at horizon h (the first three), of how many. */
double forecast_hit_ratio(const struct forecast *f, unsigned int h, unsigned int *compared);

/* The verdict in words, NUL terminated, cut to size; as "full in about 4 min (2-9)". */
void fc_words(const struct fc_forecast *fc, char *buf, size_t size);

#endif
