// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What if: where the table settles after a change. Where it settles without one is the
 * forecast's; by what part a change moves that is the model's (model.h).
 *
 *	notrack=tcp/80			do not track this port; tcp/80/inbound: in this
 *					direction only; several with commas
 *	timeout.tcp_time_wait=30	seconds; any name of timeouts.def
 *	max=524288			nf_conntrack_max; 0: no limit
 *	buckets=131072			nf_conntrack_buckets
 *	rate.tcp/80=2			new connections times this factor, 0 to 1000; likewise
 *tcp/80/inbound keepalive=tcp/8080		connections this host opens to the port are reused
 *
 * Any of them together, none twice. The words are the same in a query string and on
 * the command line. What contradicts itself or cannot be is refused with a sentence.
 *
 * What the kernel does, and the model therefore (net/netfilter/nf_conntrack_*.c): a
 * timeout changes only the stay that it ends, not those that packets end; it holds
 * for packets to come, so the result is for when the entries of before have gone; an
 * entry stays until the collector comes by.
 *
 * Pure. Ownership: whatif_run() allocates, whatif_free() frees; the model must live
 * as long as the result.
 */
#ifndef CONNTIDE_ADVICE_WHATIF_H
#define CONNTIDE_ADVICE_WHATIF_H

#include "exporters/advice/change.h"
#include "exporters/advice/model.h"
#include "exporters/advice/savings.h"
#include "exporters/advice/warnings.h"
#include "exporters/render/rows.h"
#include "exporters/render/services.h"
#include "exporters/render/text.h"

#define WHATIF_WHY_BYTES 256u
#define WHATIF_KEY_BYTES 64u

#define WHATIF_MAX_MAX	   2147483647.0 /* of an int, as the sysctl takes it */
#define WHATIF_BUCKETS_MAX 536870911.0	/* of a hash table of the kernel */
#define WHATIF_TIMEOUT_MAX 2147483.0	/* seconds in an int of milliseconds: for any HZ */
#define WHATIF_RATE_MAX	   1000.0

struct whatif_result {
	const struct model *model;
	struct settings then;
	double steady_now; /* of the model; shown by whatif_now() and whatif_then() */
	double steady_then;
	double interval_then_s;
	double lag_then_s;
	double *times;	   /* of arrivals, by class */
	double *class_now; /* steady entries by class */
	double *class_then;
	double *phase_now; /* steady entries by phase */
	double *phase_then;
	bool *touched; /* by class: a change names it */
	struct savings counted;
	uint32_t warnings; /* WARN() bits */
};

/*
 * Adds what KEY=VALUE says. 0, or -EINVAL with a sentence in `why`. Keys may come in any
 * order; a key a second time is refused.
 */
int whatif_add(struct whatif *whatif, const char *key, const char *value,
	       char why[WHATIF_WHY_BYTES]);

/* After the last one: do they contradict each other? 0, or -EINVAL with the sentence, and
 * the key at fault in `key`. */
int whatif_check(const struct whatif *whatif, char key[WHATIF_KEY_BYTES],
		 char why[WHATIF_WHY_BYTES]);

/* Is this a key of a what-if (not: is it a good one)? */
bool whatif_is_key(const char *key);

/* "tcp/80", "tcp/80/inbound", "icmp". */
const char *change_port(const struct change *change, char out[WHATIF_KEY_BYTES]);
/* The change as it was asked for: "timeout.tcp_time_wait=30". */
const char *change_text(const struct change *change, char out[WHATIF_KEY_BYTES]);

/* 0 or -ENOMEM; to be freed in either case. */
int whatif_run(const struct whatif *whatif, const struct model *model,
	       struct whatif_result *result);
void whatif_free(struct whatif_result *result);

/* Where the forecast sees it settle (where it cannot say: what is there), and then. What moves
 * nothing leaves it as it is, to the digit. */
double whatif_now(const struct whatif_result *result);
double whatif_then(const struct whatif_result *result);

/* When it is full, s from now; infinite: not within the hour. */
struct whatif_full {
	bool known;
	double early_s, likely_s, late_s;
};

/* As the forecast has it. */
void whatif_full_now(const struct snapshot *snap, struct whatif_full *full);
/* The same where the changes move neither entries nor limit; not within the hour where it then
 * settles below the limit, and all of it is in force before the limit is likely to be reached.
 * Else not known: the forecast is of the table as it is. */
void whatif_full_then(const struct whatif_result *result, const struct snapshot *snap,
		      struct whatif_full *full);

/* NaN without a limit. */
double whatif_fill(double entries, const struct settings *settings);
/* Of entries and buckets, as the kernel needs it while somebody listens to events. */
double whatif_memory_bytes(double entries, const struct settings *settings);

extern const struct column whatif_columns[];
extern const size_t whatif_column_count;

/* Renderings: what is asked, the sum, and the classes that change or hold most, at most
 * WHATIF_ROWS of them. */
#define WHATIF_ROWS 12u

void whatif_text(const struct whatif *whatif, const struct whatif_result *result,
		 const struct snapshot *snap, const struct services *services, struct text *out);
void whatif_json(const struct whatif *whatif, const struct whatif_result *result,
		 const struct snapshot *snap, const struct services *services, struct text *out);

#endif
