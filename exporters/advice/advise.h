// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Steps of advice_make(): each adds the remedies of one kind for a finding, if they save enough
 * to be shown; all stop at the maker's first error. Private to advice.c and advise_*.c. Pure.
 */
#ifndef CONNTIDE_ADVICE_ADVISE_H
#define CONNTIDE_ADVICE_ADVISE_H

#include "exporters/advice/maker.h"

/* Above TCP's default keepalive of two hours (RFC 5382, REQ-5). */
#define ESTABLISHED_S 7440.0
/* Late segments come within seconds; 30 is what is in use. */
#define TIME_WAIT_S 30.0
/* Longer than anybody waits for an answer. */
#define SYN_SENT_S 20.0
#define UDP_S	   10.0
/* Longer than streams pause: they say something every half minute to keep NAT open. */
#define UDP_STREAM_S 60.0

/* A what-if of one change of a row. */
struct whatif advise_change(enum change_kind kind, const struct row_key *key, double value);

/* Where it does no harm (facts.h). */
void advise_notrack(struct maker *maker, const struct finding *finding, const struct row_key *key);
/* `nft_state`: offered for the finding's port alone, too; NULL: not. */
void advise_timeout(struct maker *maker, const struct finding *finding, int timeout, double then_s,
		    const char *nft_state);
/* A cause that others must remove; NULL: it saves too little. */
struct advice_item *advise_cause(struct maker *maker, const struct finding *finding,
				 const char *what);

void advise_leftovers(struct maker *maker, const struct finding *finding);
void advise_close(struct maker *maker, const struct finding *finding);
void advise_peers(struct maker *maker, const struct finding *finding);
void advise_long_timeout(struct maker *maker, const struct finding *finding);
void advise_asymmetric(struct maker *maker, const struct finding *finding);
void advise_checks(struct maker *maker, const struct finding *finding);

#endif
