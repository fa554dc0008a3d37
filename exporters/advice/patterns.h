// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the patterns share. A pattern is a function that looks and adds findings; all of
 * them are in the table of patterns.c. Thresholds stand where they are used, with the
 * reason; those of all are here.
 */
#ifndef CONNTIDE_ADVICE_PATTERNS_H
#define CONNTIDE_ADVICE_PATTERNS_H

#include "exporters/advice/findings.h"

/* Fewer entries fill no table: the default limit of a machine with 512 MiB is 4096, of
 * which this is an eighth. Where somebody set a smaller limit it is an eighth of that,
 * but never below 100, for then everything is a pattern. */
#define MIN_ENTRIES	  500u
#define MIN_ENTRIES_LEAST 100u

/* So many failed insertions in the last minutes are no single race. */
#define INSERT_FAILED_MIN 10.0

/* Without a packet for longer than this nobody uses it, nor keeps it alive: TCP's keepalive comes
 * every two hours, and no NAT need remember longer than a few minutes more (RFC 5382, REQ-5). The
 * edge of a bucket of snap_ages.h, so that it is counted. */
#define UNUSED_S 8192.0

struct recent {
	double over_s; /* 0: not known */
	double drops;
	double early_drops;
	double insert_failed;
	double chaintoolong;
	double found;
	double clash_resolved;
	double invalid;
	double new_entries;
};

struct look {
	struct why *why;
	const struct snapshot *snap;
	const struct snap_detail *details;
	const struct model *model; /* its classes are the snapshot's rows, in order */
	double entries;		   /* of the mirror: what rows add up to */
	uint32_t min_entries;
	struct recent recent; /* counters of the last minutes */
};

const struct pattern_info *pattern_info(enum pattern_id id);
const char *confidence_name(enum confidence confidence); /* "sure", "likely", "not sure" */

/* NULL when there is no room for more. */
struct finding *look_add(struct look *look, enum pattern_id pattern, enum confidence confidence,
			 double entries);
void finding_row(struct finding *finding, const struct row_key *key, int state);
void finding_figure(struct finding *finding, const char *name, double value);
void finding_summary(struct finding *finding, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Is this row part of a finding of that pattern already? */
bool look_has(const struct look *look, enum pattern_id pattern, const struct row_key *key);

bool look_has_pattern(const struct look *look, enum pattern_id pattern);

/* "tcp/8080 outbound", "protocol 50 forwarded". */
#define ROW_TEXT_BYTES 32u
const char *row_text(const struct row_key *key, char out[ROW_TEXT_BYTES]);

/* "TIME_WAIT"; a slot that no state uses, which only a damaged segment fills: "?". */
const char *state_text(const struct row_key *key, int state);

double look_share(const struct look *look, double entries);
/* Addresses that hold entries as sources; 0: not known. */
double look_sources(const struct look *look);
/* Entries of rows that this host opened itself. */
double look_own_entries(const struct look *look);
/* Mean stay of a row's entries in a state, s; NaN: not known. */
double look_stay_s(const struct look *look, const struct class *class, unsigned int state);
/* A TCP row's entries whose SYN got no answer. */
double row_unanswered(const struct snap_row *row);
/* The other host that is for certain the source of half of these entries or more, which come
 * from elsewhere; NULL: none is, or it is not known. */
const struct snap_talker *look_source_of(const struct look *look, double entries);
/* The largest destination of a port, or NULL. */
const struct snap_talker *look_service(const struct look *look, const struct row_key *key);
/* The largest source that must be another host; *ret_entries: it holds at least that many. */
const struct snap_talker *look_stranger(const struct look *look, double *ret_entries);

/* Fills findings and urgent. */
void patterns_look(struct why *why);

void pattern_table_full(struct look *look);
void pattern_chain_drops(struct look *look);
void pattern_expectations(struct look *look);
void pattern_nat_pool(struct look *look);
void pattern_nat_collisions(struct look *look);
void pattern_insert_clash(struct look *look);
void pattern_long_timeout(struct look *look);
void pattern_upstream(struct look *look);
void pattern_health_checks(struct look *look);
void pattern_time_wait(struct look *look);
void pattern_asymmetric(struct look *look);
void pattern_dead_backend(struct look *look);
void pattern_syn_flood(struct look *look);
void pattern_udp_storm(struct look *look);
void pattern_udp_streams(struct look *look);
void pattern_leftovers(struct look *look);
void pattern_idle_established(struct look *look);
void pattern_close_wait(struct look *look);
void pattern_one_host(struct look *look);
void pattern_peer_to_peer(struct look *look);
void pattern_port_scan(struct look *look);
void pattern_other_protocol(struct look *look);
/* UDP-Lite has UDP's; of all others that have no name here it is the generic one. -1: none. */
int pattern_other_timeout(const struct row_key *key, unsigned int state);

#endif
