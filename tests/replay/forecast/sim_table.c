// SPDX-License-Identifier: GPL-2.0-or-later
/* The simulated table: pool, lists, heap, trace lines. */
#include "sim_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const sim_state_names[ST_COUNT] = {
	"SYN_SENT",  "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
	"TIME_WAIT", "CLOSE",	 "UNREPLIED",	"REPLIED",  "ASSURED",
};

const char *const sim_timeout_names[10] = {
	"tcp_timeout_syn_sent",	 "tcp_timeout_syn_recv",   "tcp_timeout_established",
	"tcp_timeout_fin_wait",	 "tcp_timeout_close_wait", "tcp_timeout_last_ack",
	"tcp_timeout_time_wait", "tcp_timeout_close",	   "udp_timeout",
	"udp_timeout_stream",
};

int sim_table_init(struct sim *s, unsigned int cap)
{
	unsigned int i;

	s->cap = cap;
	s->flow = calloc(cap, sizeof(*s->flow));
	s->free_at = malloc(cap * sizeof(*s->free_at));
	for (i = 0; i < LIST_COUNT; i++)
		s->list[i].at = malloc(cap * sizeof(uint32_t));
	s->heap_cap = 4 * cap;
	s->heap = malloc(s->heap_cap * sizeof(*s->heap));
	if (!s->flow || !s->free_at || !s->list[0].at || !s->list[1].at || !s->heap)
		return -ENOMEM;
	for (i = 0; i < cap; i++)
		s->free_at[i] = cap - 1 - i;
	s->n_free = cap;
	return 0;
}

void sim_table_free(struct sim *s)
{
	free(s->flow);
	free(s->free_at);
	free(s->list[0].at);
	free(s->list[1].at);
	free(s->heap);
}

void sim_table_copy(struct sim *to, const struct sim *from)
{
	const struct sim old = *to;
	int i;

	*to = *from;
	to->flow = old.flow;
	to->free_at = old.free_at;
	to->heap = old.heap;
	to->heap_n = 0;
	memcpy(to->flow, from->flow, from->high * sizeof(*to->flow));
	memcpy(to->free_at, from->free_at, from->n_free * sizeof(*to->free_at));
	for (i = 0; i < LIST_COUNT; i++) {
		to->list[i].at = old.list[i].at;
		memcpy(to->list[i].at, from->list[i].at, from->list[i].n * sizeof(uint32_t));
	}
	/* what an earlier use of `to` left beyond */
	if (old.high > from->high)
		memset(to->flow + from->high, 0, (old.high - from->high) * sizeof(*to->flow));
}

void sim_push(struct sim *s, double t, enum ev_kind kind, uint32_t flow, unsigned int attempt)
{
	struct ev ev = {.t = t, .flow = flow, .kind = (uint8_t)kind, .attempt = (uint8_t)attempt};
	unsigned int i, up;

	if (t > SIM_END_S + 1)
		return;
	if (s->heap_n == s->heap_cap) {
		s->out_of_memory = true;
		return;
	}
	if (kind == EV_FLOW)
		ev.stamp = s->flow[flow].stamp;
	for (i = s->heap_n++; i; i = up) {
		up = (i - 1) / 2;
		if (s->heap[up].t <= t)
			break;
		s->heap[i] = s->heap[up];
	}
	s->heap[i] = ev;
}

bool sim_pop(struct sim *s, struct ev *ev)
{
	struct ev last;
	unsigned int i = 0, child;

	if (!s->heap_n)
		return false;
	*ev = s->heap[0];
	last = s->heap[--s->heap_n];
	for (;;) {
		child = 2 * i + 1;
		if (child >= s->heap_n)
			break;
		if (child + 1 < s->heap_n && s->heap[child + 1].t < s->heap[child].t)
			child++;
		if (last.t <= s->heap[child].t)
			break;
		s->heap[i] = s->heap[child];
		i = child;
	}
	s->heap[i] = last;
	return true;
}

uint32_t sim_flow_new(struct sim *s)
{
	struct flow *fl;
	uint32_t f, stamp;

	if (!s->n_free) {
		s->out_of_memory = true;
		return NO_INDEX;
	}
	f = s->free_at[--s->n_free];
	if (f >= s->high)
		s->high = f + 1;
	fl = &s->flow[f];
	stamp = fl->stamp + 1;
	memset(fl, 0, sizeof(*fl));
	fl->stamp = stamp;
	fl->used = true;
	fl->pos[0] = fl->pos[1] = NO_INDEX;
	fl->id = s->next_id++ * 2654435761u;
	s->count++;
	return f;
}

void sim_flow_free(struct sim *s, uint32_t f)
{
	sim_list_del(s, LIST_UNASSURED, f);
	sim_list_del(s, LIST_EXPIRED, f);
	s->flow[f].used = false;
	s->flow[f].stamp++;
	s->free_at[s->n_free++] = f;
	s->count--;
}

void sim_list_add(struct sim *s, int list, uint32_t f)
{
	struct index_list *l = &s->list[list];

	if (s->flow[f].pos[list] != NO_INDEX)
		return;
	s->flow[f].pos[list] = l->n;
	l->at[l->n++] = f;
}

void sim_list_del(struct sim *s, int list, uint32_t f)
{
	struct index_list *l = &s->list[list];
	uint32_t pos = s->flow[f].pos[list];

	if (pos == NO_INDEX)
		return;
	l->at[pos] = l->at[--l->n];
	s->flow[l->at[pos]].pos[list] = pos;
	s->flow[f].pos[list] = NO_INDEX;
}

static const char *proto_name(const struct sim *s, unsigned int service)
{
	switch (s->sc->service[service].life) {
	case LIFE_TCP:
	case LIFE_TCP_FLOOD:
		return "tcp";
	case LIFE_ICMP:
		return "icmp";
	default:
		return "udp";
	}
}

void sim_emit(struct sim *s, const char *kind, uint32_t f, long timeout_s)
{
	const struct flow *fl = &s->flow[f];

	if (!s->tracing || s->now > SIM_OBSERVED_S || !s->out->trace)
		return;
	if (s->lose > 0.0 && rng_u(&s->table_rng) < s->lose)
		return;
	fprintf(s->out->trace, "%.0f,%s,%u,%s,10.%u.%u.%u,10.%u.%u.%u,%u,%u,%s,%d,%ld\n",
		s->now * 1e9, kind, fl->id, proto_name(s, fl->service), (fl->src >> 16) & 255,
		(fl->src >> 8) & 255, fl->src & 255, (fl->dst >> 16) & 255, (fl->dst >> 8) & 255,
		fl->dst & 255, fl->sport, fl->dport, sim_state_names[fl->state], fl->assured,
		timeout_s);
}

void sim_destroy(struct sim *s, uint32_t f)
{
	double left = s->flow[f].deadline_s - s->now;

	sim_emit(s, "DESTROY", f, left > 0.0 ? (long)left : 0);
	sim_flow_free(s, f);
}
