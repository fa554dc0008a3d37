// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands of the remedies, word for word as an operator types them. Names in
 * capitals (ADDRESS, BACKEND) are for the operator to fill in; the rest runs as it is, for
 * the families of the item, in tables and files that belong to this remedy alone, and its
 * undo leaves nothing of it: tests/netns/test_remedies.py runs every one of them. Each adds
 * to the item and stops silently when it is full: ADVICE_COMMANDS is enough for the longest.
 *
 * Pure.
 */
#ifndef CONNTIDE_ADVICE_REMEDIES_H
#define CONNTIDE_ADVICE_REMEDIES_H

#include "exporters/advice/advice_item.h"

/* One line more for that tool. */
void remedy_say(struct advice_item *item, enum tool tool, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void remedy_notrack(struct advice_item *item, const struct row_key *key);
void remedy_timeout(struct advice_item *item, unsigned int timeout, double now_s, double then_s);
/* The same timeout, but for one port only: a timeout policy. */
void remedy_port_timeout(struct advice_item *item, const struct row_key *key, const char *state,
			 double then_s);
/* A number that is 0 or as it is stays out. */
void remedy_size(struct advice_item *item, const struct settings *now, double max, double buckets);
void remedy_expectations(struct advice_item *item, double now, double then);
/* Of a proxy in front of them where the two sides were seen to belong together; else only how
 * to find what opens them. */
void remedy_keepalive(struct advice_item *item, const struct row_key *keys, uint32_t count,
		      double idle, bool proxied);
void remedy_checks(struct advice_item *item, const struct row_key *keys, uint32_t count);
void remedy_dead_backend(struct advice_item *item, const struct row_key *key);
void remedy_syn_flood(struct advice_item *item, const struct row_key *key);
void remedy_one_host(struct advice_item *item, double entries);
void remedy_block_source(struct advice_item *item);
/* TCP entries of the port in that state, now; UDP ones without an answer. */
void remedy_delete(struct advice_item *item, const struct row_key *key, const char *state);
/* TCP entries of the port in that state of whose deadline more than `above_s` are left, and less
 * than `below_s`. */
void remedy_delete_idle(struct advice_item *item, const struct row_key *key, const char *state,
			double above_s, double below_s);
/* All entries of SOURCE, now. */
void remedy_delete_source(struct advice_item *item);
/* SOURCE and SOURCE6 become that address, where the item has a source. */
void remedy_name_source(struct advice_item *item);
/* A scan that this host does itself. */
void remedy_own_scan(struct advice_item *item, const struct row_key *key);
/* Which way packets take from here. */
void remedy_routes(struct advice_item *item);
/* Where the timeout of a row comes from: the rules, and what they name. */
void remedy_own_timeout(struct advice_item *item, bool helper);
void remedy_nat(struct advice_item *item);
/* A rule that comes before the one that translates now; `name` in its table's name. */
void remedy_translate(struct advice_item *item, const char *name, const char *nft_rule,
		      const char *xt_rule);
void remedy_close_wait(struct advice_item *item, const struct row_key *key);

#endif
