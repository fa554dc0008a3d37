// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/replay/replay.h"

#include <errno.h>
#include <string.h>

#include "lib/trace/trace_event.h"

int replay_create(struct replay *replay)
{
	int err;

	memset(replay, 0, sizeof(*replay));
	err = mirror_offline_create(&replay->offline, REPLAY_ENTRIES_MAX);
	if (err)
		return err;
	replay->forecast = forecast_create(0);
	if (!replay->forecast)
		return -ENOMEM;
	/* No kernel to audit entries against. */
	replay->offline.verify.audit_rate = 0;
	observer_init(&replay->observer);
	replay->observer.forecast = replay->forecast;
	replay->offline.mirror.hook = &replay->observer.hook;
	mirror_offline_time(&replay->offline, 0);
	return 0;
}

void replay_destroy(struct replay *replay)
{
	mirror_offline_destroy(&replay->offline);
	forecast_destroy(replay->forecast);
	memset(replay, 0, sizeof(*replay));
}

static void begin_dump(struct replay *replay)
{
	struct mirror_offline *offline = &replay->offline;

	replay->dumping = true;
	resync_begin(&offline->resync, &offline->mirror, replay->begun);
	resync_next(&offline->resync, &offline->mirror);
}

static void end_dump(struct replay *replay)
{
	struct mirror_offline *offline = &replay->offline;

	if (!replay->dumping)
		return;
	replay->dumping = false;
	resync_dump_done(&offline->resync, &offline->mirror, !replay->begun, -1);
	mirror_offline_sweep(offline);
}

static const char *on_entry(struct replay *replay, const struct trace_record *rec)
{
	struct mirror_offline *offline = &replay->offline;
	struct ct_event event;
	const char *wrong = trace_to_event(rec, &event);

	if (wrong)
		return wrong;
	if (rec->kind != TRACE_DUMP) {
		mirror_event(&offline->mirror, &event);
		return NULL;
	}
	if (!replay->dumping)
		begin_dump(replay);
	resync_record(&offline->resync, &offline->mirror, &event, offline->resync.begin_mark);
	return NULL;
}

static void on_stat(struct replay *replay, const struct trace_record *rec)
{
	const struct fc_stat stat = {
		.now_ns = rec->t_ns,
		.count = rec->stat.count,
		.max = rec->stat.max,
		.drop = rec->stat.drop,
		.early_drop = rec->stat.early_drop,
	};

	replay->count = rec->stat.count;
	replay->max = rec->stat.max;
	replay->drop = rec->stat.drop;
	replay->early_drop = rec->stat.early_drop;
	if (replay->count > replay->count_peak)
		replay->count_peak = replay->count;
	forecast_second(replay->forecast, &stat);
}

static void on_sysctl(struct replay *replay, const struct trace_record *rec)
{
	int id = trace_timeout(rec->sysctl.name);

	if (id >= 0)
		observer_timeout(replay->forecast, (unsigned int)id, rec->sysctl.value_s);
}

const char *replay_line(struct replay *replay, const struct trace_record *rec)
{
	replay->lines[rec->kind]++;
	if (rec->kind == TRACE_META) {
		forecast_day(replay->forecast, rec->meta.day_s);
		return NULL;
	}
	if (rec->kind != TRACE_DUMP && rec->kind != TRACE_SYSCTL) {
		end_dump(replay);
		replay->begun = true;
	}
	replay->last_ns = rec->t_ns;
	mirror_offline_time(&replay->offline, (uint64_t)rec->t_ns);
	switch (rec->kind) {
	case TRACE_SYSCTL:
		on_sysctl(replay, rec);
		break;
	case TRACE_STAT:
		on_stat(replay, rec);
		break;
	case TRACE_LOST:
		replay->lost_events += rec->lost;
		forecast_notice(replay->forecast, FC_EVENTS_LOST, rec->t_ns);
		break;
	case TRACE_DUMP:
	case TRACE_NEW:
	case TRACE_UPDATE:
	case TRACE_DESTROY:
		return on_entry(replay, rec);
	default:
		break;
	}
	return NULL;
}

void replay_end(struct replay *replay)
{
	end_dump(replay);
}

int64_t replay_residual(const struct replay *replay)
{
	return (int64_t)replay->count - (int64_t)replay->offline.mirror.entries;
}
