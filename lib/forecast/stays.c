// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How long entries stay in a stage: occurrence over exposure.
 *
 * Every second each age bin is charged with the entries it holds (exposure)
 * and credited with those that left (events); events / exposure is the
 * probability per second of leaving at that age. Entries that were there
 * before, or still are, count for what was seen of them only: left truncation
 * and right censoring need no further care (Kaplan, Meier 1958; Aalen 1978).
 *
 * Two competing risks. Going on (next stage, or an early end) by age, with
 * three forgetting times weighed by how well each foretold the recent exits
 * of its age group. Expiry by the time past the deadline, so that a changed
 * timeout moves it along; how late the collector comes is shared by all.
 */
#include "lib/forecast/priv.h"

#include <math.h>
#include <string.h>

const double fc_memory_s[FC_MEMORIES] = {60.0, 400.0, 3000.0};

#define DECAY_EVERY_S 4

unsigned int fc_age_bin(int64_t age_s)
{
	unsigned int b;

	if (age_s < FC_AGE_FINE)
		return age_s < 0 ? 0 : (unsigned int)age_s;
	b = FC_AGE_FINE + (unsigned int)(log((double)age_s / FC_AGE_FINE) / 0.06);
	return b < FC_AGE_BINS ? b : FC_AGE_BINS - 1;
}

double fc_age_bin_start(unsigned int bin)
{
	return bin <= FC_AGE_FINE ? bin : FC_AGE_FINE * exp(0.06 * (bin - FC_AGE_FINE));
}

unsigned int fc_late_bin(int64_t late_s)
{
	unsigned int b;

	if (late_s < FC_LATE_FINE)
		return late_s < 0 ? 0 : (unsigned int)late_s;
	b = FC_LATE_FINE + (unsigned int)(log((double)late_s / FC_LATE_FINE) / 0.25);
	return b < FC_LATE_BINS ? b : FC_LATE_BINS - 1;
}

double fc_late_bin_start(unsigned int bin)
{
	return bin <= FC_LATE_FINE ? bin : FC_LATE_FINE * exp(0.25 * (bin - FC_LATE_FINE));
}

static unsigned int group_of(unsigned int bin)
{
	if (bin < 2)
		return 0;
	if (bin < 8)
		return 1;
	if (bin < 32)
		return 2;
	if (bin < 128)
		return 3;
	return bin < 222 ? 4 : 5;
}

void fc_stays_init(struct forecast *f)
{
	unsigned int b;

	for (b = 0; b < FC_AGE_BINS; b++) {
		double width = b < FC_AGE_FINE ? fmax(0.5, 0.35 * b) : 8.0;

		f->window[b] = (float)exp(-1.0 / width);
		/* without any evidence: as likely to last as it has lasted */
		f->unseen[b] = (float)(0.5 / (fc_age_bin_start(b) + 2.0));
	}
}

void fc_cell_init(struct forecast *f, struct fc_cell *c, unsigned int class_id, unsigned int stage)
{
	unsigned int i, proto = f->cls[class_id].l4proto;

	memset(c, 0, sizeof(*c));
	c->class_id = (uint8_t)class_id;
	c->stage = (uint8_t)stage;
	c->used = true;
	c->refreshed = stage == FC_ESTABLISHED || stage == FC_ASSURED || stage == FC_UNKNOWN;
	for (i = 0; i < FC_EPOCHS; i++)
		c->epoch_from_s[i] = INT64_MIN;
	c->epoch_timeout_s[0] = f->sysctl_timeout_s[proto][stage];
	if (stage == FC_ESTABLISHED)
		fc_hazard_shift_init(&f->hazard_shift[class_id]);
}

uint32_t fc_cell_timeout_at(const struct fc_cell *c, int64_t since_s)
{
	unsigned int i;

	for (i = 0; i + 1 < FC_EPOCHS; i++)
		if (since_s >= c->epoch_from_s[i])
			break;
	return c->epoch_timeout_s[i];
}

void fc_cell_timeout(struct forecast *f, struct fc_cell *c, uint32_t timeout_s)
{
	unsigned int i;

	if (!timeout_s || timeout_s == c->epoch_timeout_s[0])
		return;
	if (timeout_s != c->heard_timeout_s) {
		c->heard_timeout_s = timeout_s;
		c->heard_times = 0;
	}
	/* one odd flow is not a change of timeout */
	if (++c->heard_times < 3 && c->epoch_timeout_s[0])
		return;
	for (i = FC_EPOCHS - 1; i; i--) {
		c->epoch_from_s[i] = c->epoch_from_s[i - 1];
		c->epoch_timeout_s[i] = c->epoch_timeout_s[i - 1];
	}
	c->epoch_from_s[0] = c->epoch_timeout_s[1] ? f->now_s : INT64_MIN;
	c->epoch_timeout_s[0] = timeout_s;
	c->heard_times = 0;
}

/* Its deadline is known to the second once it is entered. */
bool fc_cell_fixed(const struct fc_cell *c)
{
	/* SYN/ACKs sent again move the deadline of SYN_RECV */
	return !c->refreshed && c->stage != FC_SYN_RECV;
}

static void learn_exit(struct fc_cell *c, unsigned int bin, unsigned int to)
{
	unsigned int m;

	for (m = 0; m < FC_MEMORIES; m++) {
		c->ev_go[m][bin] += 1.0f;
		if (bin < FC_AGE_BINS)
			c->loglik[m][group_of(bin)] += logf(fmaxf(c->h_go[m][bin], 1e-5f));
	}
	if (to != FC_NONE)
		c->next[to] += 1.0f;
}

void fc_cell_exit(struct forecast *f, struct fc_cell *c, int64_t since_s, bool unknown,
		  unsigned int to, bool expired)
{
	unsigned int bin, m, late;
	uint32_t timeout_s;
	int64_t late_s;

	bin = unknown ? FC_AGE_BINS : fc_age_bin(f->now_s - since_s);
	/* who leaves was at risk; who stays is counted at the end of the second */
	for (m = 0; m < FC_MEMORIES; m++)
		c->risk_go[m][bin] += 1.0f;
	if (!unknown) {
		timeout_s = fc_cell_timeout_at(c, since_s);
		late_s = f->now_s - since_s - (int64_t)timeout_s;
		if (late_s >= 0 || expired) {
			late = fc_late_bin(late_s);
			c->risk_end[late] += 1.0f;
			c->ev_end[late] += expired ? 1.0f : 0.0f;
			if (fc_cell_fixed(c)) {
				f->late_risk[late] += 1.0f;
				f->late_ev[late] += expired ? 1.0f : 0.0f;
				if (expired)
					fc_gc_exit(&f->gc, f->move_ns, late_s);
			}
		}
		if (expired)
			return;
	}
	c->old_exits += !expired && (unknown || f->now_s - since_s >= 5);
	if (f->n_pending < FC_PENDING)
		f->pending[f->n_pending++] = (struct fc_exit){
			(uint16_t)(c - f->cell), (uint16_t)bin, (uint8_t)(expired ? FC_NONE : to)};
	else
		learn_exit(c, bin, expired ? FC_NONE : to);
}

/*
 * The exits of the second that is over. Most of a stage gone within a second
 * is an incident, not how long entries stay; who was thrown out comes back.
 */
static void learn_second(struct forecast *f)
{
	unsigned int i;

	for (i = 0; i < f->n_pending; i++) {
		struct fc_exit *e = &f->pending[i];
		struct fc_cell *c = &f->cell[e->cell];
		struct fc_class *cl = &f->cls[c->class_id];

		if (c->used && (c->old_exits <= 12 || c->old_exits * 8 <= c->n_old)) {
			learn_exit(c, e->bin, e->to);
			if (c->stage == FC_ESTABLISHED)
				fc_hazard_shift_exit(&f->hazard_shift[c->class_id], e->bin);
			continue;
		}
		if (c->stage == FC_ESTABLISHED && c->old_exits > 0) {
			if (cl->thrown_out_s != f->now_s)
				cl->to_return += 1.15f * (float)c->old_exits; /* some come twice */
			cl->thrown_out_s = f->now_s;
		}
	}
	f->n_pending = 0;
}

/* Charge the bins with who is in them. */
static void expose(struct forecast *f, struct fc_cell *c)
{
	float n_at[FC_AGE_BINS + 1] = {0};
	unsigned int l, s, b, m, late;
	int64_t since, age;

	for (l = 0; l < FC_LEVELS; l++) {
		for (s = 0; s < FC_SLOTS; s++) {
			int64_t now_at = f->now_s / fc_width_s[l];

			if (!c->n[l][s])
				continue;
			since = (now_at - (int64_t)(((uint64_t)now_at - s) % FC_SLOTS)) *
					fc_width_s[l] +
				fc_width_s[l] / 2;
			age = f->now_s - since;
			n_at[fc_age_bin(age)] += (float)c->n[l][s];
			age -= fc_cell_timeout_at(c, since);
			if (age < 0 || f->now_s < f->unsure_until_s || (!c->refreshed && age > 80))
				continue;
			late = fc_late_bin(age);
			c->risk_end[late] += (float)c->n[l][s];
			if (!fc_cell_fixed(c))
				continue;
			f->late_risk[late] += (float)c->n[l][s];
			if (age >= 2)
				f->gc.left += (uint32_t)c->n[l][s];
		}
	}
	if (f->now_s < f->unsure_until_s) {
		if (c->stage == FC_ESTABLISHED)
			fc_hazard_shift_unsure(&f->hazard_shift[c->class_id]);
		return;
	}
	n_at[FC_AGE_BINS] = (float)c->n_unknown;
	c->n_old = c->n_total - (int32_t)(n_at[0] + n_at[1] + n_at[2] + n_at[3] + n_at[4]);
	if (c->stage == FC_ESTABLISHED)
		fc_hazard_shift_second(f, c, n_at);
	for (m = 0; m < FC_MEMORIES; m++) {
		float lost[FC_GROUPS] = {0};

		for (b = 0; b <= FC_AGE_BINS; b++)
			c->risk_go[m][b] += n_at[b];
		for (b = 0; b < FC_AGE_BINS; b++)
			if (n_at[b] > 0.0f)
				lost[group_of(b)] -= n_at[b] * log1pf(-c->h_go[m][b]);
		for (b = 0; b < FC_GROUPS; b++)
			c->loglik[m][b] -= lost[b];
	}
}

/* Closed entries wait for their timeout: before anything was seen, next to none go. */
static float unseen_share(const struct fc_cell *c)
{
	return c->stage == FC_TIME_WAIT || c->stage == FC_CLOSE ? 0.02f : 1.0f;
}

static void refresh_hazards(const struct forecast *f, struct fc_cell *c)
{
	float share = unseen_share(c);
	unsigned int m, b;

	for (m = 0; m < FC_MEMORIES; m++) {
		float ev = 0.0f, risk = 0.0f;

		/* lean on younger ages, over a window that grows with age */
		for (b = 0; b < FC_AGE_BINS; b++) {
			float smooth;

			ev = ev * f->window[b] + c->ev_go[m][b];
			risk = risk * f->window[b] + c->risk_go[m][b];
			smooth = (ev + 0.2f) / (risk + 0.2f / (share * f->unseen[b]));
			c->h_go[m][b] =
				fminf((c->ev_go[m][b] + smooth * 8.0f) / (c->risk_go[m][b] + 8.0f),
				      0.9999f);
		}
	}
}

static void decay(const struct forecast *f, struct fc_cell *c)
{
	unsigned int m, b, g;
	float d;

	for (m = 0; m < FC_MEMORIES; m++) {
		d = (float)exp(-DECAY_EVERY_S / fc_memory_s[m]);
		for (b = 0; b <= FC_AGE_BINS; b++) {
			c->ev_go[m][b] *= d;
			c->risk_go[m][b] *= d;
		}
	}
	for (m = 0; m < FC_MEMORIES; m++)
		for (g = 0; g < FC_GROUPS; g++)
			c->loglik[m][g] *= (float)exp(-DECAY_EVERY_S / 150.0);
	d = (float)exp(-DECAY_EVERY_S / 1200.0);
	for (b = 0; b < FC_LATE_BINS; b++) {
		c->ev_end[b] *= d;
		c->risk_end[b] *= d;
	}
	d = (float)exp(-DECAY_EVERY_S / 400.0);
	for (b = 0; b <= FC_STAGES; b++)
		c->next[b] *= d;
	refresh_hazards(f, c);
}

void fc_cells_second(struct forecast *f)
{
	unsigned int i, b;
	float d = (float)exp(-DECAY_EVERY_S / 600.0);

	learn_second(f);
	for (i = 0; i < f->n_cells; i++) {
		struct fc_cell *c = &f->cell[i];

		if (!c->used)
			continue;
		if (c->n_total > 0)
			expose(f, c);
		c->old_exits = 0;
		if ((f->now_s + i) % DECAY_EVERY_S == 0)
			decay(f, c);
		if ((f->now_s + i) % 60 == 0)
			fc_cell_forget_ghosts(f, c);
	}
	if (f->now_s % DECAY_EVERY_S == 0) {
		for (b = 0; b < FC_LATE_BINS; b++) {
			f->late_ev[b] *= d;
			f->late_risk[b] *= d;
		}
	}
	fc_gc_second(f);
	f->now_s++;
	for (i = 0; i < f->n_cells; i++)
		if (f->cell[i].used && f->cell[i].n_total > 0)
			fc_cell_fold(f, &f->cell[i]);
}

/* A stage hardly seen yet borrows from the same stage of another class. */
const struct fc_cell *fc_cell_teacher(const struct forecast *f, const struct fc_cell *c)
{
	const struct fc_cell *best = c;
	unsigned int i;

	if (c->entered >= 8.0f)
		return c;
	for (i = 0; i < f->n_cells; i++) {
		const struct fc_cell *o = &f->cell[i];

		if (o->used && o->stage == c->stage && o->entered > best->entered &&
		    f->cls[o->class_id].l4proto == f->cls[c->class_id].l4proto)
			best = o;
	}
	return best->entered > 20.0f ? best : c;
}

/*
 * Entries of unknown age: by their own record. Before there is one they are
 * taken to have been there for as long again as is being watched, and longer.
 */
float fc_unknown_hazard(const struct forecast *f, const struct fc_cell *c)
{
	float watched = (float)(f->now_s - f->start_s);
	float prior = 1.0f / (watched + 600.0f), weight = 3.0f / prior;
	float ev = c->ev_go[1][FC_AGE_BINS] + 0.3f * c->ev_go[2][FC_AGE_BINS];
	float risk = c->risk_go[1][FC_AGE_BINS] + 0.3f * c->risk_go[2][FC_AGE_BINS];

	return (ev + prior * weight) / (risk + weight);
}

void fc_cell_hazards(const struct forecast *f, const struct fc_cell *c, float *go)
{
	float w[FC_GROUPS][FC_MEMORIES], best, sum;
	unsigned int m, b, g;

	for (g = 0; g < FC_GROUPS; g++) {
		best = fmaxf(c->loglik[0][g], fmaxf(c->loglik[1][g], c->loglik[2][g]));
		sum = 0.0f;
		for (m = 0; m < FC_MEMORIES; m++) {
			/* with nothing to tell them apart the longest memory leads */
			w[g][m] = expf(fmaxf(c->loglik[m][g] - best, -40.0f)) * (m == 0	  ? 0.005f
										 : m == 1 ? 0.1f
											  : 1.0f);
			sum += w[g][m];
		}
		for (m = 0; m < FC_MEMORIES; m++)
			w[g][m] /= sum;
	}
	for (b = 0; b < FC_AGE_BINS; b++) {
		g = group_of(b);
		go[b] = w[g][0] * c->h_go[0][b] + w[g][1] * c->h_go[1][b] + w[g][2] * c->h_go[2][b];
	}
	/* older than being watched: those of unknown age are just that old */
	if (c->risk_go[2][FC_AGE_BINS] > 200.0f) {
		float old = fc_unknown_hazard(f, c);

		for (b = fc_age_bin(f->now_s - f->start_s) + 1; b < FC_AGE_BINS; b++)
			go[b] = old;
	}
}

void fc_late_hazards(const struct forecast *f, const struct fc_cell *c, float *end)
{
	float shared = 0.3f, ev = 0.0f, risk = 0.0f, smooth;
	unsigned int b;

	for (b = 0; b < FC_LATE_BINS; b++) {
		double width = fmax(1.0, 0.3 * (b < FC_LATE_FINE ? b : 12.0));
		float keep = (float)exp(-1.0 / width);
		/* refreshed: as likely to be used on as it has been used so far */
		float unseen = (float)(0.7 / (fc_late_bin_start(b) + 15.0));

		shared = (f->late_ev[b] + shared * 20.0f) / (f->late_risk[b] + 20.0f);
		ev = ev * keep + c->ev_end[b];
		risk = risk * keep + c->risk_end[b];
		if (c->refreshed) {
			smooth = (ev + 1.0f) / (risk + 1.0f / unseen);
			end[b] = (c->ev_end[b] + smooth * 20.0f) / (c->risk_end[b] + 20.0f);
		} else {
			end[b] = (c->ev_end[b] + shared * 6.0f) / (c->risk_end[b] + 6.0f);
			end[b] = fmaxf(end[b], fc_gc_floor(&f->gc, fc_late_bin_start(b)));
		}
		end[b] = fminf(end[b], 0.9999f);
	}
}
