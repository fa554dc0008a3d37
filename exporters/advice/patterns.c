// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/patterns.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exporters/render/port_name.h"
#include "lib/health/health.h"
#include "lib/health/level.h"

/* Losses within this many frames of ten seconds are current. */
#define RECENT_FRAMES 18u

static const struct {
	struct pattern_info info;
	void (*find)(struct look *look);
} patterns[PATTERN_COUNT] = {
	[PATTERN_TABLE_FULL] =
		{{"table-full", "the table is full",
		  "find what fills it below; make room with a larger limit until then"},
		 pattern_table_full},
	[PATTERN_CHAIN_DROPS] = {{"chain-drops", "hash chains are too long, below the limit",
				  "raise nf_conntrack_buckets"},
				 pattern_chain_drops},
	[PATTERN_EXPECTATIONS] = {{"expectations", "the table of expectations is full, or nearly",
				   "raise nf_conntrack_expect_max; a larger nf_conntrack_max does "
				   "nothing"},
				  pattern_expectations},
	[PATTERN_NAT_POOL] = {{"nat-pool", "source NAT runs out of ports towards one destination",
			       "more outside addresses, connections that are used again, or a "
			       "wider range of ports; a larger table does nothing"},
			      pattern_nat_pool},
	[PATTERN_NAT_COLLISIONS] =
		{{"nat-collisions", "NAT runs into tuples that are taken",
		  "more source addresses for NAT, or random ports; a larger table does "
		  "nothing; where rules narrow the range, tell the agent: --nat-ports"},
		 pattern_nat_collisions},
	[PATTERN_INSERT_CLASH] =
		{{"insert-clash", "packets of one flow clash before they are an entry",
		  "a DNS cache on each host or node, or clients that ask for one address at a time "
		  "(resolv.conf: options single-request-reopen) or over TCP; a larger table and "
		  "more NAT ports do nothing"},
		 pattern_insert_clash},
	[PATTERN_LONG_TIMEOUT] = {{"long-timeout",
				   "entries stay for longer than the kernel's setting says",
				   "shorten or remove the timeout policy (nft ct timeout, iptables "
				   "CT --timeout), or "
				   "what a helper's registrations ask for"},
				  pattern_long_timeout},
	[PATTERN_UPSTREAM] = {{"upstream-without-keepalive",
			       "this host opens a connection for each one that comes in",
			       "let what opens them keep them open and use them again: a proxy by "
			       "upstream keepalive, a program by a pool"},
			      pattern_upstream},
	[PATTERN_HEALTH_CHECKS] =
		{{"health-checks", "short connections by the clock, as health checks are",
		  "check less often, or in fewer places; one that is left open needs no check"},
		 pattern_health_checks},
	[PATTERN_TIME_WAIT] = {{"time-wait-pile", "closed connections wait in TIME_WAIT",
				"fewer, longer connections; or do not track the port; or a shorter "
				"tcp_timeout_time_wait"},
			       pattern_time_wait},
	[PATTERN_ASYMMETRIC] =
		{{"asymmetric-routing",
		  "one way of each connection passes here, the other does not",
		  "route both ways through this router, or do not track what passes one way"},
		 pattern_asymmetric},
	[PATTERN_DEAD_BACKEND] = {{"dead-backend", "nobody answers: connections wait in SYN_SENT",
				   "repair the destination, or stop calling it"},
				  pattern_dead_backend},
	[PATTERN_SYN_FLOOD] = {{"syn-flood", "half-open connections from outside",
				"SYN cookies and SYNPROXY, or drop them before they are tracked"},
			       pattern_syn_flood},
	[PATTERN_UDP_STORM] = {{"udp-query-storm", "short UDP exchanges, each on a port of its own",
				"a cache nearer to the client, or do not track the port"},
			       pattern_udp_storm},
	[PATTERN_UDP_STREAMS] = {{"udp-streams", "UDP that lasted and is over, mostly: QUIC, calls",
				  "a shorter udp_timeout_stream, or do not track the port"},
				 pattern_udp_streams},
	[PATTERN_LEFTOVERS] =
		{{"leftovers", "entries of before conntide started that nobody uses",
		  "delete those that have been idle for so long, and no others; then a shorter "
		  "tcp_timeout_established, with keepalives below it"},
		 pattern_leftovers},
	[PATTERN_IDLE_ESTABLISHED] =
		{{"idle-established", "open connections that hardly ever end",
		  "a shorter tcp_timeout_established, with keepalives below it"},
		 pattern_idle_established},
	[PATTERN_CLOSE_WAIT] = {{"close-wait-leak", "one side has closed, the other does not",
				 "repair the program that does not close its sockets"},
				pattern_close_wait},
	[PATTERN_ONE_HOST] = {{"one-host", "one host holds a large part of the table",
			       "look at that host, or limit connections per source"},
			      pattern_one_host},
	[PATTERN_PEER_TO_PEER] =
		{{"peer-to-peer", "many addresses and ports are called, and some of them answer",
		  "look at the host that calls them: limit its connections, or shorten the "
		  "timeouts of UDP"},
		 pattern_peer_to_peer},
	[PATTERN_PORT_SCAN] = {{"port-scan", "unanswered packets to many ports",
				"drop them before they are tracked"},
			       pattern_port_scan},
	[PATTERN_OTHER_PROTOCOL] = {{"other-protocol",
				     "a protocol other than TCP and UDP fills the table",
				     "see who sends it; a shorter timeout of that protocol"},
				    pattern_other_protocol},
};

const struct pattern_info *pattern_info(enum pattern_id id)
{
	return &patterns[id].info;
}

const char *confidence_name(enum confidence confidence)
{
	static const char *const names[] = {"sure", "likely", "not sure"};

	return names[confidence];
}

struct finding *look_add(struct look *look, enum pattern_id pattern, enum confidence confidence,
			 double entries)
{
	struct finding *finding;

	if (look->why->finding_count == WHY_FINDINGS)
		return NULL;
	finding = &look->why->findings[look->why->finding_count++];
	memset(finding, 0, sizeof(*finding));
	finding->pattern = pattern;
	finding->confidence = confidence;
	finding->entries = entries < (double)UINT32_MAX ? (uint32_t)entries : UINT32_MAX;
	finding->share = look_share(look, entries);
	finding->state = -1;
	return finding;
}

void finding_row(struct finding *finding, const struct row_key *key, int state)
{
	if (finding->row_count < WHY_ROWS)
		finding->rows[finding->row_count++] = *key;
	finding->state = state;
}

void finding_figure(struct finding *finding, const char *name, double value)
{
	if (finding->figure_count < WHY_FIGURES)
		finding->figures[finding->figure_count++] = (struct figure){name, value};
}

void finding_summary(struct finding *finding, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(finding->summary, sizeof(finding->summary), fmt, args);
	va_end(args);
}

bool look_has(const struct look *look, enum pattern_id pattern, const struct row_key *key)
{
	for (uint32_t i = 0; i < look->why->finding_count; i++) {
		const struct finding *finding = &look->why->findings[i];

		for (uint32_t j = 0; finding->pattern == pattern && j < finding->row_count; j++)
			if (!memcmp(&finding->rows[j], key, sizeof(*key)))
				return true;
	}
	return false;
}

const char *row_text(const struct row_key *key, char out[ROW_TEXT_BYTES])
{
	char name[PORT_NAME_BYTES];

	snprintf(out, ROW_TEXT_BYTES, "%s %s", port_name(key->l4proto, key->port, name),
		 direction_name(key->direction));
	return out;
}

const char *state_text(const struct row_key *key, int state)
{
	const char *name = state < 0 ? NULL : state_name(key->l4proto, (unsigned int)state);

	return name ? name : "?";
}

double look_share(const struct look *look, double entries)
{
	return look->entries > 0 ? entries / look->entries : 0;
}

double look_sources(const struct look *look)
{
	const struct snap_table_log *frames = &look->details->minutes;
	double frame = frames->count ? frames->frames[frames->count - 1].sources : 0;
	double tracked = look->details->talkers[SHM_TALKER_SOURCE].tracked;

	return frame > tracked ? frame : tracked;
}

double look_own_entries(const struct look *look)
{
	double own = 0;

	for (size_t i = 0; i < look->snap->row_count; i++)
		if (look->snap->rows[i].key.direction == DIR_OUTBOUND ||
		    look->snap->rows[i].key.direction == DIR_LOOPBACK)
			own += look->snap->rows[i].entries;
	return own;
}

double look_stay_s(const struct look *look, const struct class *class, unsigned int state)
{
	for (uint32_t i = 0; i < class->phase_count; i++) {
		const struct phase *phase = &look->model->phases[class->first_phase + i];

		if (phase->state == state)
			return phase->stay_s;
	}
	return (double)NAN;
}

const struct snap_talker *look_service(const struct look *look, const struct row_key *key)
{
	const struct snap_talker_list *list = &look->details->talkers[SHM_TALKER_SERVICE];

	for (uint32_t i = 0; i < list->count; i++)
		if (list->talkers[i].l4proto == key->l4proto && list->talkers[i].port == key->port)
			return &list->talkers[i];
	return NULL;
}

/*
 * It is not known which addresses are this host's own. As sources they hold what this host
 * opened, no more: who can be explained by that is passed over.
 */
const struct snap_talker *look_stranger(const struct look *look, double *ret_entries)
{
	const struct snap_talker_list *list = &look->details->talkers[SHM_TALKER_SOURCE];
	double own = look_own_entries(look);

	for (uint32_t i = 0; i < list->count; i++) {
		const struct snap_talker *talker = &list->talkers[i];
		double least = (double)talker->entries - talker->error_entries;

		if (least <= own) {
			own -= least;
			continue;
		}
		*ret_entries = least - own;
		return talker;
	}
	*ret_entries = 0;
	return NULL;
}

/* All it has elsewhere is as much as others leave there, at most. */
const struct snap_talker *look_source_of(const struct look *look, double entries)
{
	double foreign = look->entries - look_own_entries(look);
	double least;
	const struct snap_talker *host = look_stranger(look, &least);

	return host && least - fmax(0, foreign - entries) >= entries / 2 ? host : NULL;
}

double row_unanswered(const struct snap_row *row)
{
	return (double)row->states[ST_TCP_SYN_SENT] + row->states[ST_TCP_SYN_SENT2];
}

bool look_has_pattern(const struct look *look, enum pattern_id pattern)
{
	for (uint32_t i = 0; i < look->why->finding_count; i++)
		if (look->why->findings[i].pattern == pattern)
			return true;
	return false;
}

/* --- losses: counters that rose, however few entries there are ------------------------ */

void pattern_table_full(struct look *look)
{
	const struct snap_live *live = &look->snap->live;
	double fill = health_fill_ratio(live);
	double lost = look->recent.drops + look->recent.early_drops;
	struct finding *finding;

	if (fill < LEVEL_CRITICAL_RATIO && !(lost > 0 && fill > LEVEL_HIGH_RATIO))
		return;
	finding = look_add(look, PATTERN_TABLE_FULL, CONFIDENCE_SURE, (double)live->count_entries);
	if (!finding)
		return;
	finding_summary(
		finding,
		"%.0f of %.0f entries are in use; in the last %.0f s %.0f packets were dropped "
		"and %.0f entries evicted to make room",
		(double)live->count_entries, (double)live->max_entries, look->recent.over_s,
		look->recent.drops, look->recent.early_drops);
	finding_figure(finding, "entries", (double)live->count_entries);
	finding_figure(finding, "max", (double)live->max_entries);
	finding_figure(finding, "fill_ratio", fill);
	finding_figure(finding, "unassured_entries", (double)live->unassured_entries);
	finding_figure(finding, "dropped", look->recent.drops);
	finding_figure(finding, "evicted", look->recent.early_drops);
	finding_figure(finding, "over_seconds", look->recent.over_s);
}

void pattern_chain_drops(struct look *look)
{
	const struct snap_live *live = &look->snap->live;
	struct finding *finding;

	if (!(look->recent.chaintoolong > 0))
		return;
	finding = look_add(look, PATTERN_CHAIN_DROPS, CONFIDENCE_SURE, 0);
	if (!finding)
		return;
	finding_summary(finding,
			"%.0f packets were refused in the last %.0f s because a hash chain was too "
			"long: %.0f entries in %.0f buckets, two chains an entry",
			look->recent.chaintoolong, look->recent.over_s, (double)live->count_entries,
			(double)live->buckets);
	finding_figure(finding, "chain", look->recent.chaintoolong);
	finding_figure(finding, "over_seconds", look->recent.over_s);
	finding_figure(finding, "entries", (double)live->count_entries);
	finding_figure(finding, "max", (double)live->max_entries);
	finding_figure(finding, "buckets", (double)live->buckets);
	finding_figure(finding, "mean_chain_entries",
		       live->buckets > 0 ? 2 * (double)live->count_entries / (double)live->buckets
					 : 0);
	finding_figure(finding, "chain_limit_entries", (double)live->chain_limit_entries);
}

/* --- all of them ---------------------------------------------------------------------- */

static struct recent sum_recent(const struct snap_table_log *frames)
{
	size_t first = frames->count > RECENT_FRAMES ? frames->count - RECENT_FRAMES : 0;
	struct recent recent = {.over_s = (double)(frames->count - first) * frames->interval_s};

	for (size_t i = first; i < frames->count; i++) {
		const struct snap_frame *frame = &frames->frames[i];

		recent.drops += frame->drops;
		recent.early_drops += frame->early_drops;
		recent.insert_failed += frame->insert_failed;
		recent.chaintoolong += frame->chaintoolong;
		recent.found += frame->found;
		recent.clash_resolved += frame->clash_resolved;
		recent.invalid += frame->invalid;
		recent.new_entries += frame->new_entries;
	}
	return recent;
}

static double at_least(double count, int64_t milli_per_s)
{
	double risen = (double)(milli_per_s > 0 ? milli_per_s : 0) * LEVEL_RISE_S / 1e3;

	return count > risen ? count : ceil(risen);
}

/* A frame is told when its interval has ended; losses that began since, and what tells their cause,
 * are in the level's rates alone, over a part of the same time. */
static void count_what_began(struct recent *recent, const struct snap_live *live)
{
	recent->over_s = fmax(recent->over_s, LEVEL_RISE_S);
	recent->drops = at_least(recent->drops, live->dropped_milli_per_s);
	recent->early_drops = at_least(recent->early_drops, live->evicted_milli_per_s);
	recent->chaintoolong = at_least(recent->chaintoolong, live->chain_milli_per_s);
	recent->insert_failed = at_least(recent->insert_failed, live->insert_failed_milli_per_s);
	recent->found = at_least(recent->found, live->found_milli_per_s);
	recent->new_entries = at_least(recent->new_entries, live->new_milli_per_s);
}

static uint32_t least_entries(const struct snap_live *live)
{
	int64_t eighth = live->max_entries > 0 ? live->max_entries / 8 : MIN_ENTRIES;

	return eighth >= MIN_ENTRIES	     ? MIN_ENTRIES
	       : eighth <= MIN_ENTRIES_LEAST ? MIN_ENTRIES_LEAST
					     : (uint32_t)eighth;
}

/* A proxy's two sides are one matter: before the pile on one of them. */
static double weight(const struct finding *finding)
{
	return (finding->pattern == PATTERN_UPSTREAM ? 2.0 : 1.0) * finding->entries;
}

/* Where two sides are one matter it comes before what is sure of one of them. */
static int rank(const struct finding *finding)
{
	return finding->pattern == PATTERN_UPSTREAM && finding->confidence == CONFIDENCE_LIKELY
		       ? CONFIDENCE_SURE
		       : (int)finding->confidence;
}

/* Losses first, then what is sure, then what holds most. */
static int finding_compare(const void *left, const void *right)
{
	const struct finding *a = left;
	const struct finding *b = right;
	bool a_loss = a->pattern <= PATTERN_INSERT_CLASH;
	bool b_loss = b->pattern <= PATTERN_INSERT_CLASH;

	if (a_loss != b_loss)
		return a_loss ? -1 : 1;
	if (rank(a) != rank(b))
		return rank(a) < rank(b) ? -1 : 1;
	if (weight(a) < weight(b) || weight(a) > weight(b))
		return weight(a) > weight(b) ? -1 : 1;
	return a->pattern < b->pattern ? -1 : a->pattern > b->pattern;
}

/* Of which patterns a host that sends is the cause: behind it may be others, but it is there that
 * they are found. What comes to a server from its only client is that client's by right. */
static bool source_matters(const struct finding *finding)
{
	if (!finding->row_count || finding->pattern < PATTERN_TIME_WAIT)
		return false;
	if (finding->rows[0].direction == DIR_INBOUND)
		return finding->pattern == PATTERN_SYN_FLOOD ||
		       finding->pattern == PATTERN_UDP_STORM;
	return finding->rows[0].direction == DIR_FORWARDED &&
	       finding->pattern != PATTERN_DEAD_BACKEND;
}

/* Before the service that it goes to. */
static void name_sources(struct look *look)
{
	for (uint32_t i = 0; i < look->why->finding_count; i++) {
		struct finding *finding = &look->why->findings[i];
		const struct snap_talker *host = source_matters(finding) && !finding->host_is_source
							 ? look_source_of(look, finding->entries)
							 : NULL;

		if (!host)
			continue;
		finding->has_host = finding->host_is_source = true;
		finding->host = *host;
	}
}

void patterns_look(struct why *why)
{
	struct look look = {.why = why,
			    .snap = why->snap,
			    .details = why->details,
			    .model = why->model,
			    .entries = (double)why->snap->live.mirror_entries,
			    .min_entries = least_entries(&why->snap->live),
			    .recent = sum_recent(&why->details->minutes)};

	if (health_fresh(why->snap))
		count_what_began(&look.recent, &why->snap->live);
	why->finding_count = 0;
	for (unsigned int i = 0; i < PATTERN_COUNT; i++)
		patterns[i].find(&look);
	name_sources(&look);
	qsort(why->findings, why->finding_count, sizeof(why->findings[0]), finding_compare);
	why->urgent = health_level(why->snap) >= SHM_LEVEL_HIGH;
}
