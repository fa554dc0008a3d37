// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/record/capture_lines.h"

#include <errno.h>

#include "lib/base/clock.h"
#include "lib/base/num.h"
#include "lib/trace/trace_event.h"

static void note_error(struct capture *capture)
{
	if (!capture->write_error)
		capture->write_error = errno ? -errno : -EIO;
}

static void write_line(struct capture *capture, struct trace_record *rec)
{
	if (capture->write_error)
		return;
	rec->t_ns = (int64_t)(capture->now_ns - capture->began_ns);
	errno = 0;
	if (trace_write(capture->out, rec) < 0)
		note_error(capture);
}

void capture_flush(struct capture *capture)
{
	errno = 0;
	if (!capture->write_error && fflush(capture->out) != 0)
		note_error(capture);
}

void capture_write_head(struct capture *capture, uint32_t day_s)
{
	struct trace_record rec = {.kind = TRACE_META};

	rec.meta.version = TRACE_VERSION;
	rec.meta.max = clamp_u32(capture->limits.max_entries);
	rec.meta.buckets = clamp_u32(capture->limits.buckets);
	rec.meta.day_s = day_s;
	rec.meta.horizon_s = 3600;
	write_line(capture, &rec);
}

void capture_write_timeouts(struct capture *capture, bool all)
{
	for (unsigned int i = 0; i < TIMEOUT_COUNT; i++) {
		struct trace_record rec = {.kind = TRACE_SYSCTL};

		if (!all && capture->timeouts.values_s[i] == capture->timeouts_written_s[i])
			continue;
		snprintf(rec.sysctl.name, sizeof(rec.sysctl.name), "%s", trace_timeout_name(i));
		rec.sysctl.value_s = capture->timeouts.values_s[i];
		capture->timeouts_written_s[i] = capture->timeouts.values_s[i];
		write_line(capture, &rec);
	}
}

static void write_entry(struct capture *capture, enum trace_kind kind, const struct ct_event *event)
{
	struct trace_record rec = {.kind = kind};
	struct ct_event shown = *event;

	if (capture->config.anonymise)
		pseudonym_apply(&capture->pseudonym, &shown.key);
	trace_from_event(&shown, &rec);
	write_line(capture, &rec);
}

/* What remains of a timeout that was reported earlier. */
static uint32_t remaining_s(const struct ct_event *event, uint64_t age_ns)
{
	uint64_t age_s = age_ns / NS_PER_S;

	return event->timeout_s > age_s ? (uint32_t)(event->timeout_s - age_s) : 0;
}

void capture_write_table(struct capture *capture)
{
	const struct ct_cache_entry *entry;
	uint32_t cursor = 0;

	while ((entry = ct_cache_next(&capture->cache, &cursor)) != NULL) {
		struct ct_event event = entry->event;

		event.timeout_s = remaining_s(&event, capture->began_ns - entry->at_ns);
		write_entry(capture, TRACE_DUMP, &event);
		capture->dumped_entries++;
	}
}

void capture_write_event(struct capture *capture, const struct ct_event *event)
{
	static const uint8_t kinds[CT_KINDS] = {
		[CT_NEW] = TRACE_NEW,
		[CT_UPDATE] = TRACE_UPDATE,
		[CT_DESTROY] = TRACE_DESTROY,
		[CT_RECORD] = TRACE_UPDATE,
	};

	write_entry(capture, (enum trace_kind)kinds[event->kind], event);
}

void capture_write_stat(struct capture *capture)
{
	struct trace_record rec = {.kind = TRACE_STAT};

	rec.stat.count = clamp_u32(capture->limits.count_entries);
	rec.stat.max = clamp_u32(capture->limits.max_entries);
	rec.stat.drop = capture->counters.values[CT_STAT_DROP];
	rec.stat.early_drop = capture->counters.values[CT_STAT_EARLY_DROP];
	write_line(capture, &rec);
}

void capture_write_eval(struct capture *capture)
{
	struct trace_record rec = {.kind = TRACE_EVAL, .eval = capture->evals++};

	write_line(capture, &rec);
}

void capture_write_lost(struct capture *capture, uint64_t lost)
{
	struct trace_record rec = {.kind = TRACE_LOST, .lost = lost};

	if (capture->began_ns)
		write_line(capture, &rec);
}
