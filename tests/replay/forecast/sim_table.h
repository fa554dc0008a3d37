// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The simulated table: entries, index lists, the event heap. Private to sim*.c
 * and oracle.c.
 *
 * A flow lives in the pool at a fixed index. Lists (unassured, expired) allow
 * a random member to be drawn and a member to be removed in O(1).
 */
#ifndef CONNTIDE_TEST_SIM_TABLE_H
#define CONNTIDE_TEST_SIM_TABLE_H

#include "sim.h"

#define NO_INDEX UINT32_MAX
#define SIM_CAP	 (1u << 18) /* entries */

enum { LIST_UNASSURED, LIST_EXPIRED, LIST_COUNT };

struct flow {
	double deadline_s;   /* logical end of its timeout */
	double set_s;	     /* when its state was set */
	double stay_scale_s; /* its stay's median or mean when that was drawn */
	double stay_until_s; /* ASSURED: its last packet */
	double p_leaked;     /* chance to be a leak when that was drawn */
	uint32_t stamp;	     /* invalidates older heap entries */
	uint32_t id;
	uint32_t src, dst;
	uint16_t sport, dport;
	uint8_t service, state, step;
	bool assured, used, expired, leaked;
	uint32_t pos[LIST_COUNT]; /* place in a list, NO_INDEX: not in */
};

enum ev_kind { EV_FLOW, EV_ARRIVAL, EV_SECOND, EV_GC, EV_CHANGE };

struct ev {
	double t;
	uint32_t flow, stamp;
	uint8_t kind, attempt;
};

struct index_list {
	uint32_t *at;
	unsigned int n;
};

struct sim {
	const struct scenario *sc;
	struct sim_out *out;
	struct rng rng;	      /* what the world does */
	struct rng table_rng; /* what the table does: a limit does not change the world */
	double now;
	struct flow *flow;
	uint32_t *free_at;
	unsigned int n_free, n_flows, cap;
	struct index_list list[LIST_COUNT];
	struct ev *heap;
	unsigned int heap_n, heap_cap;
	unsigned int count, max, drop, early_drop;
	bool evict, tracing, out_of_memory;
	uint32_t next_id;
	double timeout_s[10];
	double stay_factor[SIM_SERVICES_MAX];
	double p_leak[SIM_SERVICES_MAX], p_no_answer[SIM_SERVICES_MAX];
	double lose;
	double full_since_s, last_full_s;
	struct rng eval_rng;
	double next_eval_s;
	unsigned int eval_k;
	unsigned int high; /* entries above have never been used */
};

int sim_table_init(struct sim *s, unsigned int cap);
void sim_table_free(struct sim *s);
/* All but the heap, which is emptied. Both have the same cap. */
void sim_table_copy(struct sim *to, const struct sim *from);
void sim_push(struct sim *s, double t, enum ev_kind kind, uint32_t flow, unsigned int attempt);
bool sim_pop(struct sim *s, struct ev *ev);
uint32_t sim_flow_new(struct sim *s);
void sim_flow_free(struct sim *s, uint32_t f);
void sim_list_add(struct sim *s, int list, uint32_t f);
void sim_list_del(struct sim *s, int list, uint32_t f);

/* Trace lines. */
void sim_emit(struct sim *s, const char *kind, uint32_t f, long timeout_s);
/* Remove an entry, with its DESTROY. */
void sim_destroy(struct sim *s, uint32_t f);

/* sim.c: what an event does; new arrivals of the second that begins. */
void sim_event(struct sim *s, const struct ev *ev);
void sim_begin_second(struct sim *s);

/* sim_stay.c: a stay; the share of stays longer than age_s; one of those. */
double stay_draw_s(const struct sim_service *sv, double scale_s, struct rng *r);
double stay_survival(const struct sim_service *sv, double scale_s, double age_s);
double stay_beyond_s(const struct sim_service *sv, double scale_s, double age_s, struct rng *r);

/* sim_life.c: one step in the life of an entry; the arrival of a new one. */
void sim_step(struct sim *s, uint32_t f);
void sim_arrival(struct sim *s, unsigned int service, unsigned int attempt);
void sim_set_state(struct sim *s, uint32_t f, enum sim_state state, bool quiet);
double sim_rate_per_s(const struct sim *s, unsigned int service, double t);

#endif
