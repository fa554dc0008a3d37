// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/families.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/health/health.h"
#include "lib/kernel/states.h"

/* One table's families while they are built. */
struct build {
	struct families *families;
	const struct snapshot *snap;
	const struct families_options *options;
	struct series_memory *memory;
	char netns[160]; /* netns="..." */
	char labels[320];
};

static const char *with(struct build *build, const char *more)
{
	snprintf(build->labels, sizeof(build->labels), "%s%s%s", build->netns, more[0] ? "," : "",
		 more);
	return build->labels;
}

static const char *with_one(struct build *build, const char *name, const char *value)
{
	snprintf(build->labels, sizeof(build->labels), "%s,%s=\"%s\"", build->netns, name, value);
	return build->labels;
}

/* The name of a namespace is a file's name: it may hold anything. */
static void set_netns(struct build *build, const char *netns)
{
	size_t at = (size_t)snprintf(build->netns, sizeof(build->netns), "netns=\"");

	for (; *netns && at < sizeof(build->netns) - 4; netns++) {
		if (*netns == '"' || *netns == '\\')
			build->netns[at++] = '\\';
		build->netns[at++] =
			(unsigned char)*netns < 0x20 || (unsigned char)*netns > 0x7e ? '_' : *netns;
	}
	build->netns[at++] = '"';
	build->netns[at] = '\0';
}

static const char *row_labels(struct build *build, unsigned int l4proto, unsigned int direction,
			      const char *port, const char *state)
{
	const struct l4proto_info *info = l4proto_info(l4proto);

	snprintf(build->labels, sizeof(build->labels),
		 "%s,l4proto=\"%s\",direction=\"%s\",port=\"%s\"%s%s%s", build->netns,
		 info ? info->name : "unknown", direction_name(direction), port,
		 state ? ",state=\"" : "", state ? state : "", state ? "\"" : "");
	return build->labels;
}

static void add_scalars(struct build *build)
{
	const struct snap_live *live = &build->snap->live;
	struct families *to = build->families;

#define ONE(x) families_add_integer(to, id, labels, x)
#define NS(x)  families_add_double(to, id, labels, (double)(x) / 1e9)
#define VALUE(field, family, label, label_value, scale)                                            \
	{                                                                                          \
		enum family_id id = FAMILY_##family;                                               \
		int64_t number = live->field;                                                      \
		const char *labels =                                                               \
			label[0] ? with_one(build, label, label_value) : with(build, "");          \
		scale(number);                                                                     \
	}
#include "lib/shm/metrics.def"
#undef VALUE
#undef ONE
#undef NS
}

static bool slot_shown(const struct build *build, const struct snap_row *row)
{
	return row->slot >= 0 && (uint32_t)row->slot < SHM_SLOT_COUNT - build->memory->slots_hidden;
}

/* What was shown for a slot belongs to the port that had it then. */
static uint16_t states_to_show(struct build *build, const struct snap_row *row)
{
	struct series_memory *memory = build->memory;
	unsigned int slot = (unsigned int)row->slot;

	if (memory->slot_generation[slot] != row->slot_generation ||
	    memcmp(&memory->slot_key[slot], &row->key, sizeof(row->key)) != 0) {
		memory->slot_generation[slot] = row->slot_generation;
		memory->slot_key[slot] = row->key;
		memory->slot_states[slot] = 0;
	}
	for (unsigned int i = 0; i < STATE_SLOTS_MAX; i++)
		if (row->states[i])
			memory->slot_states[slot] |= (uint16_t)(1u << i);
	return memory->slot_states[slot];
}

/*
 * Entries by state, of the states in `shown`. Codes that are no state of the protocol share one
 * series, "unknown": even a damaged segment gives no series twice.
 */
static void add_states(struct build *build, const struct row_key *key, const char *port,
		       uint16_t shown, const uint64_t states[STATE_SLOTS_MAX])
{
	uint64_t unknown = 0;
	bool any = false;

	for (unsigned int i = 0; i < STATE_SLOTS_MAX; i++) {
		const char *name = state_name(key->l4proto, i);

		if (!(shown & 1u << i))
			continue;
		if (name && strcmp(name, "unknown") != 0) {
			families_add_u64(
				build->families, FAMILY_ENTRIES,
				row_labels(build, key->l4proto, key->direction, port, name),
				states[i]);
			continue;
		}
		any = true;
		unknown += states[i];
	}
	if (any)
		families_add_u64(build->families, FAMILY_ENTRIES,
				 row_labels(build, key->l4proto, key->direction, port, "unknown"),
				 unknown);
}

static void add_slot_states(struct build *build, const struct snap_row *row)
{
	uint64_t states[STATE_SLOTS_MAX];
	char port[8];

	snprintf(port, sizeof(port), "%u", row->key.port);
	for (unsigned int i = 0; i < STATE_SLOTS_MAX; i++)
		states[i] = row->states[i];
	add_states(build, &row->key, port, states_to_show(build, row), states);
}

static void add_slot_counters(struct build *build, const struct snap_row *row)
{
	char port[8];

	snprintf(port, sizeof(port), "%u", row->key.port);
	families_add_u64(build->families, FAMILY_NEW,
			 row_labels(build, row->key.l4proto, row->key.direction, port, NULL),
			 row->slot_new_entries);
	families_add_u64(build->families, FAMILY_DESTROYED,
			 row_labels(build, row->key.l4proto, row->key.direction, port, NULL),
			 row->slot_destroyed_entries);
}

struct rest {
	uint64_t states[STATE_SLOTS_MAX];
	struct snap_other flow;
};

static void add_rest(struct build *build, unsigned int l4proto, unsigned int direction,
		     const struct rest *rest)
{
	/* Known in advance: every host has these. */
	bool known = l4proto == L4_TCP || l4proto == L4_UDP;
	uint16_t *seen = &build->memory->other_states[l4proto][direction];
	const struct row_key key = {(uint8_t)l4proto, (uint8_t)direction, 0};

	for (unsigned int i = 0; i < STATE_SLOTS_MAX; i++) {
		if (rest->states[i] || (known && state_name(l4proto, i)))
			*seen |= (uint16_t)(1u << i);
	}
	add_states(build, &key, "other", *seen, rest->states);
	if (!known && !rest->flow.new_entries && !rest->flow.destroyed_entries)
		return;
	families_add_u64(build->families, FAMILY_NEW,
			 row_labels(build, l4proto, direction, "other", NULL),
			 rest->flow.new_entries);
	families_add_u64(build->families, FAMILY_DESTROYED,
			 row_labels(build, l4proto, direction, "other", NULL),
			 rest->flow.destroyed_entries);
}

/* Every row is counted exactly once: in its slot's series or in the rest. */
static void add_ports(struct build *build)
{
	const struct snapshot *snap = build->snap;
	struct rest rest[L4_COUNT][DIR_COUNT];
	uint64_t in_other = 0;

	memset(rest, 0, sizeof(rest));
	for (unsigned int p = 0; p < L4_COUNT; p++)
		for (unsigned int d = 0; d < DIR_COUNT; d++)
			rest[p][d].flow = snap->other[p][d];
	for (size_t i = 0; i < snap->row_count; i++) {
		const struct snap_row *row = &snap->rows[i];
		struct rest *to = &rest[row->key.l4proto][row->key.direction];

		if (row->slot >= 0 && build->memory->counters_hidden) {
			to->flow.new_entries += row->slot_new_entries;
			to->flow.destroyed_entries += row->slot_destroyed_entries;
		} else if (row->slot >= 0) {
			add_slot_counters(build, row);
		}
		if (slot_shown(build, row)) {
			add_slot_states(build, row);
			continue;
		}
		in_other += row->entries > 0;
		for (unsigned int s = 0; s < STATE_SLOTS_MAX; s++)
			to->states[s] += row->states[s];
	}
	for (unsigned int p = 0; p < L4_COUNT; p++)
		for (unsigned int d = 0; d < DIR_COUNT; d++)
			add_rest(build, p, d, &rest[p][d]);
	families_add_u64(build->families, FAMILY_OTHER_PORTS, with(build, ""), in_other);
}

/* Every second bucket of the segment's: half the series, still powers of four. */
static void add_lifetimes(struct build *build)
{
	static const char *const bounds[SHM_LIFETIME_BUCKETS] = {
		"0.125", NULL, "0.5",	NULL, "2.0",   NULL, "8.0",    NULL,
		"32.0",	 NULL, "128.0", NULL, "512.0", NULL, "2048.0", NULL};

	for (unsigned int p = 0; p < L4_COUNT; p++) {
		const struct snap_lifetime *lifetime = &build->snap->lifetimes[p];
		const char *name = l4proto_info(p)->name;
		struct sample *sample;
		uint64_t sum = 0;
		char labels[80];

		for (unsigned int i = 0; i < SHM_LIFETIME_BUCKETS; i++)
			sum += lifetime->buckets[i];
		if (!sum && p != L4_TCP && p != L4_UDP)
			continue;
		sum = 0;
		for (unsigned int i = 0; i < SHM_LIFETIME_BUCKETS; i++) {
			bool last = i + 1 == SHM_LIFETIME_BUCKETS;

			sum += lifetime->buckets[i];
			if (!bounds[i] && !last)
				continue;
			snprintf(labels, sizeof(labels), "l4proto=\"%s\",le=\"%s\"", name,
				 last ? "+Inf" : bounds[i]);
			families_add_u64(build->families, FAMILY_LIFETIME, with(build, labels),
					 sum);
			build->families->samples[build->families->count - 1].suffix = SUFFIX_BUCKET;
		}
		families_add_u64(build->families, FAMILY_LIFETIME, with_one(build, "l4proto", name),
				 sum);
		sample = &build->families->samples[build->families->count - 1];
		sample->suffix = SUFFIX_COUNT;
		families_add_double(build->families, FAMILY_LIFETIME,
				    with_one(build, "l4proto", name),
				    (double)lifetime->sum_ms / 1e3);
		sample = &build->families->samples[build->families->count - 1];
		sample->suffix = SUFFIX_SUM;
	}
}

/* Exactly as node_exporter has them, which is without a label. */
static void add_node_exporter(struct build *build)
{
	const struct snap_live *live = &build->snap->live;
	struct families *to = build->families;

	families_add_integer(to, FAMILY_NODE_ENTRIES, "", live->count_entries);
	families_add_integer(to, FAMILY_NODE_LIMIT, "", live->max_entries);
	families_add_integer(to, FAMILY_NODE_FOUND, "", live->stat_found);
	families_add_integer(to, FAMILY_NODE_INVALID, "", live->stat_invalid);
	families_add_integer(to, FAMILY_NODE_IGNORE, "", 0);
	families_add_integer(to, FAMILY_NODE_INSERT, "", live->stat_insert);
	families_add_integer(to, FAMILY_NODE_INSERT_FAILED, "", live->stat_insert_failed);
	families_add_integer(to, FAMILY_NODE_DROP, "", live->stat_drop);
	families_add_integer(to, FAMILY_NODE_EARLY_DROP, "", live->stat_early_drop);
	families_add_integer(to, FAMILY_NODE_SEARCH_RESTART, "", live->stat_search_restart);
}

static void add_agent(struct build *build, const char *missing_state)
{
	static const char *const states[] = {"up",	"starting", "degraded", "silent",
					     "stopped", "rebooted", "missing",	"unreadable"};
	const struct snapshot *snap = build->snap;
	const char *now = snap ? health_state(snap) : missing_state;

	families_add_integer(build->families, FAMILY_UP, with(build, ""), snap && health_up(snap));
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		families_add_integer(build->families, FAMILY_AGENT_STATE,
				     with_one(build, "state", states[i]), !strcmp(states[i], now));
	families_add_double(build->families, FAMILY_HEARTBEAT, with(build, ""),
			    snap ? (double)snap->live.heartbeat_real_ns / 1e9 : 0);
}

/* One series for each value, 1 for the one that is: a state set. */
struct state_set {
	enum family_id id;
	const char *label;
	int count;
	const char *(*name)(int64_t value);
};

static void add_set(struct build *build, const struct state_set *set, int now)
{
	for (int i = 0; i < set->count; i++)
		families_add_integer(build->families, set->id,
				     with_one(build, set->label, set->name(i)), i == now);
}

/* The level even if the agent does not run: UNKNOWN. */
static void add_level(struct build *build)
{
	static const struct state_set levels = {FAMILY_LEVEL, "level", SHM_LEVEL_COUNT,
						snap_level_name};
	static const struct state_set qualities = {FAMILY_QUALITY, "quality", SHM_QUALITY_COUNT,
						   snap_quality_name};
	const struct snapshot *snap = build->snap;

	add_set(build, &levels, snap ? (int)health_level(snap) : SHM_LEVEL_UNKNOWN);
	families_add_integer(build->families, FAMILY_LEVEL_REASON,
			     with_one(build, "reason",
				      snap ? health_level_reason_name(snap)
					   : snap_level_reason_name(SHM_LEVEL_REASON_NO_AGENT)),
			     1);
	if (snap && health_fresh(snap))
		add_set(build, &qualities, (int)health_quality(snap));
}

static void add_limit(struct build *build)
{
	const struct snap_live *live = &build->snap->live;

	families_add_integer(build->families, FAMILY_REHEARSAL, with(build, ""),
			     health_rehearsal(build->snap));
	if (live->limit_entries > 0)
		families_add_integer(
			build->families, FAMILY_LIMIT,
			with_one(build, "limit", snap_limit_name((enum shm_limit)live->limit_kind)),
			live->limit_entries);
	if (live->expectations >= 0)
		families_add_integer(build->families, FAMILY_EXPECTATIONS, with(build, ""),
				     live->expectations);
	if (live->expectations_max >= 0)
		families_add_integer(build->families, FAMILY_EXPECTATIONS_LIMIT, with(build, ""),
				     live->expectations_max);
	if (live->wrong_found_share_ppm >= 0)
		families_add_double(build->families, FAMILY_WRONG_FOUND, with(build, ""),
				    (double)live->wrong_found_share_ppm / 1e6);
}

static void add_build_info(struct build *build)
{
	char labels[200];

#ifdef __clang__
	const char *compiler = "clang " __clang_version__;
#else
	const char *compiler = "gcc " __VERSION__;
#endif
#if defined(__x86_64__)
	const char *arch = "x86_64";
#elif defined(__aarch64__)
	const char *arch = "aarch64";
#else
	const char *arch = "other";
#endif
	snprintf(labels, sizeof(labels),
		 "version=\"%.32s\",revision=\"%.40s\",compiler=\"%.40s\",arch=\"%s\"",
		 build->options->version, build->options->revision, compiler, arch);
	families_add_integer(build->families, FAMILY_BUILD_INFO, with(build, labels), 1);
}

static void add_table(struct build *build)
{
	add_scalars(build);
	add_limit(build);
	add_ports(build);
	add_lifetimes(build);
	families_add_forecast(build->families, build->snap, build->netns);
	families_add_nat(build->families, &build->snap->live, build->netns);
	families_add_zones(build->families, &build->snap->zones, build->netns);
	families_add_settings(build->families, &build->snap->settings, build->netns);
	if (build->options->nat)
		families_add_nat_pools(build->families, build->options->nat, build->netns);
	families_add_talkers(build->families, build->snap, build->options, build->netns);
	if (build->options->compat_node_exporter)
		add_node_exporter(build);
}

void families_build(struct families *families, const struct snapshot *snap, const char *netns,
		    const char *missing_state, const struct families_options *options,
		    struct series_memory *memory)
{
	struct build build = {families, snap, options, memory, "", ""};
	size_t first_count = families->count;
	size_t first_label = families->labels.bytes;

	set_netns(&build, netns);
	if (snap && snap->instance_id != memory->instance_id) {
		memset(memory->slot_states, 0, sizeof(memory->slot_states));
		memory->instance_id = snap->instance_id;
	}
	for (;;) {
		add_agent(&build, missing_state);
		add_level(&build);
		add_build_info(&build);
		if (snap && health_fresh(snap))
			add_table(&build);
		if (!options->series_limit || families->failed ||
		    families->count + options->series_taken <= options->series_limit ||
		    memory->counters_hidden)
			break;
		if (memory->slots_hidden < SHM_SLOT_COUNT)
			memory->slots_hidden++;
		else
			memory->counters_hidden = true;
		families->count = first_count;
		families->labels.bytes = first_label;
	}
	if (text_failed(&families->labels))
		families->failed = true;
}
