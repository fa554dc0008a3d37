// SPDX-License-Identifier: GPL-2.0-or-later
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/num.h"
#include "lib/health/health.h"
#include "lib/shm/seqlock.h"

/* Between two publications of the scalars, while events come. */
#define PUBLISH_NS (50 * NS_PER_MS)

/* Resident pages from /proc/self/statm; 0 when it is hidden. */
static int64_t resident_bytes(void)
{
	char text[128];
	long long total, resident;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	if (sscanf(text, "%lld %lld", &total, &resident) != 2)
		return 0;
	return resident * sysconf(_SC_PAGESIZE);
}

/*
 * The count is read between two drains. Part of what the second one finds was counted before its
 * event was read, and is no error of the mirror.
 */
static void sample_count(struct agent *agent)
{
	ct_proc_read(&agent->kernel.proc, &agent->kernel.told, &agent->kernel.limits);
	agent->losses.in_flight = 0;
	agent_drain(agent);
	quality_sampled(agent);
}

int64_t publish_residual(const struct agent *agent)
{
	return agent->kernel.limits.count_entries - (int64_t)agent->mirror.entries;
}

static void set(_Atomic int64_t *field, int64_t value)
{
	atomic_store_explicit(field, value, memory_order_relaxed);
}

/* A rehearsal is one limit for everybody: what is published is the assumed one. */
int64_t publish_max(const struct agent *agent)
{
	int64_t max = agent->kernel.limits.max_entries, assumed = agent->config.assume_max_entries;

	return assumed > 0 && (max <= 0 || assumed < max) ? assumed : max;
}

static int64_t limit_of(const struct agent *agent, uint32_t *ret_kind)
{
	const struct forecast_publish_second second = {
		.max_entries = agent->kernel.limits.max_entries,
		.chain_limit_entries = ct_chain_limit(agent->kernel.limits.buckets),
		.assumed_max_entries = agent->config.assume_max_entries,
	};

	return forecast_publish_limit(&second, ret_kind);
}

static void write_level(const struct agent *agent, struct shm_live *live)
{
	uint32_t kind;

	set(&live->limit_entries, limit_of(agent, &kind));
	set(&live->limit_kind, kind);
	set(&live->level, agent->level.level);
	set(&live->level_reason, agent->level.reason);
	set(&live->level_value, agent->level.value);
	set(&live->level_since_real_ns, (int64_t)agent->level.since_real_ns);
	set(&live->assumed_max_entries, agent->config.assume_max_entries);
	set(&live->dropped_milli_per_s, level_milli_per_s(&agent->level, LEVEL_DROPS));
	set(&live->evicted_milli_per_s, level_milli_per_s(&agent->level, LEVEL_EARLY_DROPS));
	set(&live->chain_milli_per_s, level_milli_per_s(&agent->level, LEVEL_CHAIN_DROPS));
	set(&live->insert_failed_milli_per_s,
	    level_milli_per_s(&agent->level, LEVEL_INSERT_FAILED));
	set(&live->found_milli_per_s, level_milli_per_s(&agent->level, LEVEL_FOUND));
	set(&live->new_milli_per_s, level_milli_per_s(&agent->level, LEVEL_NEW_ENTRIES));
}

static void write_kernel(const struct agent *agent, struct shm_live *live)
{
	const uint64_t *values = agent->kernel.counters.values;

	set(&live->count_entries, agent->kernel.limits.count_entries);
	set(&live->max_entries, publish_max(agent));
	set(&live->buckets, agent->kernel.limits.buckets);
	set(&live->chain_limit_entries, ct_chain_limit(agent->kernel.limits.buckets));
	set(&live->events_mode, agent->kernel.limits.events_mode);
	set(&live->tick_hz, agent->kernel.tick_hz);
	set(&live->own_packets_milli_per_s, agent->kernel.softnet.own_milli_per_s);
	set(&live->other_packets_milli_per_s, agent->kernel.softnet.others_milli_per_s);
	set(&live->stat_drop, (int64_t)values[CT_STAT_DROP]);
	set(&live->stat_early_drop, (int64_t)values[CT_STAT_EARLY_DROP]);
	set(&live->stat_insert, (int64_t)values[CT_STAT_INSERT]);
	set(&live->stat_insert_failed, (int64_t)values[CT_STAT_INSERT_FAILED]);
	set(&live->stat_chaintoolong, (int64_t)values[CT_STAT_CHAINTOOLONG]);
	set(&live->stat_clash_resolve, (int64_t)values[CT_STAT_CLASH_RESOLVE]);
	set(&live->stat_found, (int64_t)values[CT_STAT_FOUND]);
	set(&live->stat_invalid, (int64_t)values[CT_STAT_INVALID]);
	set(&live->stat_error, (int64_t)values[CT_STAT_ERROR]);
	set(&live->stat_search_restart, (int64_t)values[CT_STAT_SEARCH_RESTART]);
	set(&live->expectations, ct_expectations(&agent->kernel.counters));
	set(&live->expectations_max, agent->kernel.settings.values[SETTING_EXPECT_MAX]);
}

static void write_mirror(const struct agent *agent, struct shm_live *live)
{
	const struct mirror *mirror = &agent->mirror;
	const struct mirror_counters *counters = &mirror->counters;

	set(&live->mirror_entries, mirror->entries);
	set(&live->residual_entries, publish_residual(agent));
	set(&live->silent_entries, mirror->silent_entries);
	set(&live->unassured_entries, mirror->unassured_entries);
	set(&live->events_new, (int64_t)counters->events[CT_NEW]);
	set(&live->events_update, (int64_t)counters->events[CT_UPDATE]);
	set(&live->events_destroy, (int64_t)counters->events[CT_DESTROY]);
	set(&live->events_malformed, (int64_t)agent->losses.malformed_events);
	set(&live->repairs_state, (int64_t)counters->repairs_state);
	set(&live->repairs_missing, (int64_t)counters->repairs_missing);
	set(&live->repairs_ghost, (int64_t)counters->repairs_ghost);
	set(&live->repairs_replaced, (int64_t)counters->repairs_replaced);
	set(&live->audits_match, (int64_t)counters->audits_match);
	set(&live->audits_mismatch, (int64_t)counters->audits_mismatch);
	set(&live->clash_events, (int64_t)counters->clash_events);
	set(&live->refused_decrements, (int64_t)agent->hist.refused_decrements);
	set(&live->overflow_rows, (int64_t)agent->hist.overflow_rows);
	set(&live->mirror_limit_entries, mirror->table.limit_entries);
	set(&live->mirror_refused_entries, (int64_t)counters->refused_entries);
	set(&live->mirror_bytes, (int64_t)flow_table_bytes(&mirror->table));
	set(&live->verify_pending_entries, verify_pending(&agent->verify));
	set(&live->table_audits_per_s, quality_table_audits(&agent->config));
}

static void write_quality(const struct agent *agent, struct shm_live *live)
{
	const struct quality_view view = quality_view(agent);

	set(&live->doubts, view.doubts);
	set(&live->quality, view.quality);
	set(&live->quality_reason, view.reason);
	set(&live->verified_real_ns, (int64_t)view.verified_real_ns);
	set(&live->wrong_found_share_ppm, view.wrong_found_share_ppm);
}

static void write_agent(const struct agent *agent, struct shm_live *live)
{
	set(&live->heartbeat_boot_ns, (int64_t)agent->mirror.now_ns);
	set(&live->heartbeat_real_ns, (int64_t)clock_real_ns());
	set(&live->started_boot_ns, (int64_t)agent->loop.started_ns);
	set(&live->mode, agent->schedule.mode);
	set(&live->events_lost, (int64_t)agent->events.lost);
	set(&live->last_loss_boot_ns, (int64_t)agent->losses.last_loss_ns);
	set(&live->resyncs_valid, (int64_t)agent->resyncs.valid);
	set(&live->resyncs_invalid, (int64_t)agent->resyncs.invalid);
	set(&live->resync_ns, (int64_t)agent->resyncs.spent_ns);
	set(&live->last_resync_boot_ns, (int64_t)agent->resyncs.valid_end_ns);
	set(&live->last_resync_real_ns, (int64_t)agent->resyncs.valid_end_real_ns);
	set(&live->resync_progress_entries,
	    agent->dump.progress != DUMP_NONE ? (int64_t)agent->resync.records : 0);
	set(&live->rate_mark_boot_ns_0, (int64_t)agent->ports.rate_mark_ns[0]);
	set(&live->rate_mark_boot_ns_1, (int64_t)agent->ports.rate_mark_ns[1]);
	set(&live->agent_cpu_ns, (int64_t)clock_cpu_ns());
	set(&live->agent_rss_bytes, agent->published.resident_bytes);
	set(&live->event_queue_bytes, agent->events.queue_bytes);
	set(&live->event_buffer_bytes, agent->events.buffer_bytes);
}

static void write_incidents(const struct incident_recorder *incidents, struct shm_live *live)
{
	set(&live->incidents_recorded, (int64_t)incidents->recorded);
	set(&live->incidents_suppressed, (int64_t)incidents->trigger.suppressed);
	set(&live->incident_writes_ok, (int64_t)incidents->writes_ok);
	set(&live->incident_writes_failed, (int64_t)incidents->writes_failed);
	set(&live->incidents_kept, (int64_t)incidents->kept);
	set(&live->incident_active, incidents->trigger.episode);
}

static void write_live(struct agent *agent)
{
	struct shm_live *live = segment_live(&agent->segment);

	seq_write_begin(&live->seq);
	write_kernel(agent, live);
	write_mirror(agent, live);
	write_agent(agent, live);
	write_quality(agent, live);
	write_level(agent, live);
	write_incidents(&agent->incidents, live);
	publish_nat_live(agent, live);
	seq_write_end(&live->seq);
	agent->published.at_ns = agent->mirror.now_ns;
	agent->published.behind = false;
}

/* --- history ------------------------------------------------------------------- */

static struct history_state sums(const struct agent *agent)
{
	const struct history_state now = {
		.new_entries = agent->mirror.counters.new_entries,
		.destroyed_entries = agent->mirror.counters.destroyed_entries,
		.drops = agent->kernel.counters.values[CT_STAT_DROP],
		.early_drops = agent->kernel.counters.values[CT_STAT_EARLY_DROP],
		.lost_events = agent->events.lost,
	};

	return now;
}

static uint32_t since(uint64_t now, uint64_t before)
{
	return clamp_u32((int64_t)(now - before));
}

static void append_sample(struct agent *agent, bool minutes, struct history_state *base)
{
	struct shm_history *history = segment_history(&agent->segment, minutes);
	uint64_t head = peek_u64(&history->head);
	struct shm_sample *sample =
		&history->samples[head % (minutes ? SHM_HISTORY_MINUTES : SHM_HISTORY_SECONDS)];
	struct history_state now = sums(agent);

	poke_u64(&sample->real_ns, clock_real_ns());
	poke_u32(&sample->count_entries, clamp_u32(agent->kernel.limits.count_entries));
	poke_u32(&sample->mirror_entries, agent->mirror.entries);
	poke_u32(&sample->max_entries, clamp_u32(publish_max(agent)));
	poke_u32(&sample->new_entries, since(now.new_entries, base->new_entries));
	poke_u32(&sample->destroyed_entries, since(now.destroyed_entries, base->destroyed_entries));
	poke_u32(&sample->drops, since(now.drops, base->drops));
	poke_u32(&sample->early_drops, since(now.early_drops, base->early_drops));
	poke_u32(&sample->lost_events, since(now.lost_events, base->lost_events));
	for (uint32_t i = 0; i < SHM_TOP_PORTS; i++) {
		bool there = i < agent->ports.top_count;

		poke_u32(&sample->top[i].row, there ? agent->ports.top[i].row : ROW_INVALID);
		poke_u32(&sample->top[i].entries, there ? agent->ports.top[i].entries : 0);
	}
	publish_u64(&history->head, head + 1);
	*base = now;
}

static void tell_if_inactive(struct agent *agent)
{
	if (agent->loop.inactive_logged || agent->resyncs.valid_begin_ns == 0)
		return;
	agent->loop.inactive_logged = true;
	if (agent->kernel.limits.count_entries == 0 && agent->mirror.entries == 0)
		log_info("agent", HEALTH_EMPTY);
}

/* --- the forecast ----------------------------------------------------------------- */

/* Without events a growing table looks like a draining one. */
static void notice_events(struct agent *agent)
{
	bool off = agent->kernel.limits.events_mode == 0;

	if (off != agent->stats.events_off)
		forecast_notice(agent->stats.forecast, off ? FC_EVENTS_OFF : FC_EVENTS_ON,
				(int64_t)agent->mirror.now_ns);
	agent->stats.events_off = off;
}

static struct fc_collector collector_now(struct agent *agent)
{
	const struct collector_second second = {
		.tick_hz = agent->kernel.tick_hz,
		.buckets = agent->kernel.limits.buckets,
		.new_per_s = (double)level_milli_per_s(&agent->level, LEVEL_NEW_ENTRIES) / 1000,
		.audits_per_s = quality_table_audits(&agent->config),
		.packets = softnet_packets(&agent->kernel.softnet),
		.entries = agent->mirror.entries,
	};

	return collector_second(&agent->stats.collector, agent->stats.ages.sets,
				agent->kernel.timeouts.values_s, &second);
}

static void forecast_now(struct agent *agent)
{
	const uint64_t *values = agent->kernel.counters.values;
	const struct forecast_publish_second second = {
		.now_boot_ns = agent->mirror.now_ns,
		.now_real_ns = clock_real_ns(),
		.count_entries = agent->kernel.limits.count_entries,
		.max_entries = agent->kernel.limits.max_entries,
		.chain_limit_entries = ct_chain_limit(agent->kernel.limits.buckets),
		.assumed_max_entries = agent->config.assume_max_entries,
		.drops = values[CT_STAT_DROP],
		.early_drops = values[CT_STAT_EARLY_DROP],
		.tick_hz = agent->kernel.tick_hz,
		.collector = collector_now(agent),
	};

	/* While we leave out events on purpose, their rate is not the rate of arrivals. */
	if (agent->schedule.mode == SHM_MODE_NO_UPDATE || agent->schedule.mode == SHM_MODE_POLLING)
		forecast_notice(agent->stats.forecast, FC_EVENTS_LOST,
				(int64_t)agent->mirror.now_ns);
	notice_events(agent);
	observer_limit(&agent->stats.observer, second.max_entries, second.drops,
		       second.now_boot_ns);
	forecast_publish_second(&agent->stats.forecast_publish, &second);
}

/* --- the level ---------------------------------------------------------------------- */

static int64_t expectations_ppm(const struct agent *agent)
{
	int64_t max = agent->kernel.settings.values[SETTING_EXPECT_MAX];
	int64_t count = ct_expectations(&agent->kernel.counters);

	return max > 0 && count > 0 ? count * 1000000 / max : 0;
}

static void level_now(struct agent *agent)
{
	const struct shm_forecast *forecast = agent->stats.forecast_publish.to;
	const struct shm_live *live = segment_live(&agent->segment);
	const uint64_t *values = agent->kernel.counters.values;
	uint32_t kind, verdict = peek_u32(&forecast->verdict);
	const struct level_input in = {
		.now_ns = agent->mirror.now_ns,
		.now_real_ns = clock_real_ns(),
		.count_entries = agent->kernel.limits.count_entries,
		.limit_entries = limit_of(agent, &kind),
		.no_events = agent->kernel.limits.events_mode == 0,
		.counters_known = agent->kernel.told.count_entries >= 0,
		.new_unknown = agent->kernel.limits.events_mode == 0 ||
			       agent->schedule.mode == SHM_MODE_POLLING,
		.counters = {[LEVEL_DROPS] = values[CT_STAT_DROP],
			     [LEVEL_EARLY_DROPS] = values[CT_STAT_EARLY_DROP],
			     [LEVEL_CHAIN_DROPS] = values[CT_STAT_CHAINTOOLONG],
			     [LEVEL_INSERT_FAILED] = values[CT_STAT_INSERT_FAILED],
			     [LEVEL_FOUND] = values[CT_STAT_FOUND],
			     [LEVEL_NEW_ENTRIES] = agent->mirror.counters.new_entries,
			     [LEVEL_LOST_EVENTS] = agent->events.lost},
		.nat_pool_ppm =
			atomic_load_explicit(&live->nat_used_ratio_ppm, memory_order_relaxed),
		.expectations_ppm = expectations_ppm(agent),
		.forecast_alarm = peek_u32(&forecast->alarm) != 0,
		.forecast_filling = verdict == SHM_VERDICT_FILLING,
		.forecast_full_ms = peek_u64(&forecast->full_likely_ms),
	};

	level_second(&agent->level, &in);
}

/* --- who, and what it looked like --------------------------------------------------- */

/* Cells by zone as far as there is memory for them. */
static void zones_now(struct agent *agent)
{
	struct shm_zone_cells *to = segment_zone_cells(&agent->segment);
	uint32_t count = zone_cells_count(&agent->stats.zone_cells);

	zones_second(&agent->stats.zones, segment_zones(&agent->segment));
	if (!segment_back_zone_cells(&agent->segment, count))
		count = 0;
	zone_cells_second(&agent->stats.zone_cells, &agent->stats.zones, count, to);
}

static void records_second(struct agent *agent)
{
	struct shm_talkers *talkers = segment_talkers(&agent->segment);
	const uint64_t *values = agent->kernel.counters.values;
	const struct table_log_second second = {
		.now_boot_ns = agent->mirror.now_ns,
		.now_real_ns = clock_real_ns(),
		.count_entries = agent->kernel.limits.count_entries,
		.max_entries = publish_max(agent),
		.mirror_entries = agent->mirror.entries,
		.unassured_entries = agent->mirror.unassured_entries,
		.sources = talkers_sources(&agent->stats.talkers),
		.hosts = &talkers->list[SHM_TALKER_SOURCE],
		.counters =
			{
				.new_entries = agent->mirror.counters.new_entries,
				.destroyed_entries = agent->mirror.counters.destroyed_entries,
				.drops = values[CT_STAT_DROP],
				.early_drops = values[CT_STAT_EARLY_DROP],
				.insert_failed = values[CT_STAT_INSERT_FAILED],
				.chaintoolong = values[CT_STAT_CHAINTOOLONG],
				.clash_resolved = values[CT_STAT_CLASH_RESOLVE],
				.found = values[CT_STAT_FOUND],
				.invalid = values[CT_STAT_INVALID],
				.lost_events = agent->events.lost,
			},
	};

	talkers_second(&agent->stats.talkers, talkers, agent->mirror.now_ns);
	zones_now(agent);
	table_log_second(&agent->stats.table_log, &second);
	ages_second(&agent->stats.ages, second.now_real_ns, clamp_u32(second.count_entries));
}

void publish_second(struct agent *agent)
{
	agent->published.resident_bytes = resident_bytes();
	sample_count(agent);
	publish_settings_second(agent);
	softnet_second(&agent->kernel.softnet, agent->mirror.now_ns);
	ports_second(&agent->ports, agent->mirror.now_ns);
	forecast_now(agent);
	publish_nat_second(agent);
	level_now(agent);
	records_second(agent);
	write_live(agent);
	agent->events.queue_bytes = 0;
	append_sample(agent, false, &agent->published.second_base);
	if (--agent->published.minute_left_s == 0) {
		agent->published.minute_left_s = 60;
		append_sample(agent, true, &agent->published.minute_base);
	}
	tell_if_inactive(agent);
}

/* Cells change at once; their quality must not lag far behind. */
void publish_changes(struct agent *agent)
{
	if (!agent->published.behind || agent->mirror.now_ns - agent->published.at_ns < PUBLISH_NS)
		return;
	sample_count(agent);
	write_live(agent);
}

void publish_start(struct agent *agent)
{
	ct_proc_read(&agent->kernel.proc, &agent->kernel.told, &agent->kernel.limits);
	agent->published.second_base = agent->published.minute_base = sums(agent);
	/* The first evictions may come before the first second. */
	observer_limit(&agent->stats.observer, agent->kernel.limits.max_entries, 0,
		       agent->mirror.now_ns);
	level_now(agent);
	write_live(agent);
}
