// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs the mirror from a recording instead of a kernel: the same tracker, resync
 * and verify, under the clock of the recording and with a fixed hash secret.
 *
 *	mirror_replay [--counters] [--statistics] [--translated] [--no-pools] FILE
 *
 * Prints the cells as `conntide cells --json` does, by protocol, direction, port
 * and state; with --counters what the mirror counted instead. With --statistics
 * all statistics of the agent are kept too, as test-instructions counts them; --translated makes
 * of each event one of a connection that was masqueraded, of one of 251 clients; --no-pools keeps
 * no NAT pools. A file that is not a recording, or is cut or damaged, ends with 1 and a line that
 *names the offset.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/netlink/parser.h"
#include "agent/record/feed.h"
#include "lib/base/clock.h"
#include "lib/forecast/forecast.h"
#include "lib/stats/batch.h"
#include "tests/unit/offline.h"
#include "tests/unit/statistics.h"

/* The longest frame is a list of addresses. */
#define FRAME_MAX (LOCAL_ADDR_MAX * sizeof(struct local_addr))
#define LIMIT_MAX (64u << 20)

struct replay {
	FILE *file;
	uint64_t offset; /* of the frame at hand */
	struct recorder_frame frame;
	uint8_t *bytes;
	struct mirror_offline offline;
	bool created;
	bool with_statistics;
	bool translated;
	bool no_pools;
	struct statistics statistics;
	struct ct_event batch[BATCH_EVENTS]; /* of one time, not applied yet */
	unsigned int batched;
};

static const char *check_len(const struct replay *replay, size_t least)
{
	return replay->frame.len < least ? "a frame too short for its kind" : NULL;
}

/* The netlink message behind `skip` bytes of the frame. */
static const char *parse(const struct replay *replay, size_t skip, struct ct_event *event)
{
	const struct nlmsghdr *nlh = (const void *)(replay->bytes + skip);
	const char *wrong = check_len(replay, skip + sizeof(struct nlmsghdr));

	if (!wrong && ct_event_parse(nlh, replay->frame.len - skip, event) < 0)
		wrong = "a message that is not a conntrack entry";
	return wrong;
}

static const char *on_event(struct replay *replay)
{
	const char *wrong = parse(replay, 0, &replay->batch[replay->batched]);

	replay->batched += !wrong;
	return wrong;
}

/* As behind a router with the outside address 203.0.113.1, which keeps the ports of its 251
 * clients; the recording has one, so the port says which of them it is. */
static void translate(struct ct_event *event)
{
	const uint8_t client[4] = {10, 82, 2, (uint8_t)(event->key.sport % 251u)};
	static const uint8_t outside[4] = {203, 0, 113, 1};

	event->status |= CT_STATUS_SRC_NAT;
	memcpy(event->reply_dst, outside, sizeof(outside));
	memcpy(event->key.src, client, sizeof(client));
	event->hash = ct_hash(&event->key);
}

/* As the agent applies what it receives at once. Not inlined: callgrind knows it by its name. */
static __attribute__((noinline)) void apply_batch(struct replay *replay)
{
	batch_apply(&replay->offline.mirror, &replay->statistics.observer, replay->batch,
		    replay->batched);
	replay->batched = 0;
}

/* As the agent has its forecast live through a second; not as a part of an event. */
static void pass_second(struct replay *replay, uint64_t boot_ns)
{
	const struct mirror *mirror = &replay->offline.mirror;
	const struct fc_stat stat = {.now_ns = (int64_t)boot_ns, .count = mirror->entries};

	if (replay->with_statistics && boot_ns / NS_PER_S != mirror->now_ns / NS_PER_S)
		forecast_second(replay->statistics.observer.forecast, &stat);
}

/* Is this frame one more event of the batch? */
static bool continues(const struct replay *replay)
{
	const struct recorder_frame *frame = &replay->frame;

	return frame->kind == RECORD_EVENT && replay->batched < BATCH_EVENTS &&
	       (frame->boot_ns == 0 || frame->boot_ns == replay->offline.mirror.now_ns);
}

static const char *on_begin(struct replay *replay)
{
	struct mirror_offline *offline = &replay->offline;
	uint32_t explained;
	const char *wrong = check_len(replay, sizeof(explained));

	/* Recordings that do not tell the steps of a sweep: it was over by now. */
	mirror_offline_sweep(offline);
	if (!wrong && offline->resync.phase != RESYNC_IDLE)
		wrong = "a dump begins inside another";
	if (wrong)
		return wrong;
	memcpy(&explained, replay->bytes, sizeof(explained));
	resync_begin(&offline->resync, &offline->mirror, explained != 0);
	return NULL;
}

static const char *on_next(struct replay *replay)
{
	struct mirror_offline *offline = &replay->offline;

	if (offline->resync.phase != RESYNC_DUMPING)
		return "a chunk outside a dump";
	resync_next(&offline->resync, &offline->mirror);
	return NULL;
}

static const char *on_record(struct replay *replay)
{
	struct mirror_offline *offline = &replay->offline;
	struct recorder_record head;
	struct ct_event event;
	const char *wrong = parse(replay, sizeof(head), &event);

	if (wrong)
		return wrong;
	if (offline->resync.phase != RESYNC_DUMPING)
		return "a record outside a dump";
	if (replay->translated)
		translate(&event);
	memcpy(&head, replay->bytes, sizeof(head));
	resync_record(&offline->resync, &offline->mirror, &event, head.fill_mark);
	return NULL;
}

static const char *on_dump_done(struct replay *replay)
{
	struct mirror_offline *offline = &replay->offline;
	struct recorder_done done;
	const char *wrong = check_len(replay, sizeof(done));

	if (wrong)
		return wrong;
	if (offline->resync.phase != RESYNC_DUMPING)
		return "the end of a dump that did not begin";
	memcpy(&done, replay->bytes, sizeof(done));
	resync_dump_done(&offline->resync, &offline->mirror, done.valid != 0, done.kernel_entries);
	return NULL;
}

static const char *on_ask(struct replay *replay)
{
	struct mirror_offline *offline = &replay->offline;
	struct verify_item items[32];

	/* Whom to ask the recording says; ours are dropped, to make room. */
	verify_take(&offline->verify, offline->mirror.now_ns, items, 32);
	mirror_mark(&offline->mirror);
	return NULL;
}

static const char *on_answer(struct replay *replay)
{
	struct mirror_offline *offline = &replay->offline;
	struct recorder_answer head;
	struct ct_event event;
	const char *wrong = check_len(replay, sizeof(head));

	if (wrong)
		return wrong;
	memcpy(&head, replay->bytes, sizeof(head));
	if (head.found)
		wrong = parse(replay, sizeof(head), &event);
	if (wrong)
		return wrong;
	event.kind = CT_RECORD;
	/* The recorded hash is of another secret. */
	head.item.hash = ct_hash(&head.item.key);
	mirror_answer(&offline->mirror, &head.item, head.found ? &event : NULL, head.asked_mark);
	return NULL;
}

static const char *on_addresses(struct replay *replay)
{
	struct local_addr addr;
	struct local_addrs *set = &replay->offline.addrs;

	if (replay->frame.len % sizeof(addr) != 0)
		return "a list of addresses of odd length";
	local_addrs_free(set);
	for (size_t at = 0; at < replay->frame.len; at += sizeof(addr)) {
		memcpy(&addr, replay->bytes + at, sizeof(addr));
		if (addr.prefix_bits > 128)
			return "an address with an impossible prefix";
		if (local_addrs_add(set, &addr) < 0)
			return "out of memory";
	}
	local_addrs_finish(set);
	return NULL;
}

static const char *on_second(struct replay *replay)
{
	verify_second(&replay->offline.verify, replay->offline.mirror.now_ns);
	return NULL;
}

static const char *on_limit(struct replay *replay)
{
	uint32_t limit;
	const char *wrong = check_len(replay, sizeof(limit));

	if (wrong)
		return wrong;
	memcpy(&limit, replay->bytes, sizeof(limit));
	if (limit == 0 || limit > LIMIT_MAX)
		return "a limit of the mirror that cannot be";
	if (replay->created) {
		flow_table_set_limit(&replay->offline.mirror.table, limit);
		return NULL;
	}
	if (mirror_offline_create(&replay->offline, limit) < 0)
		return "out of memory";
	replay->created = true;
	if (replay->with_statistics && statistics_create(&replay->statistics, &replay->offline) < 0)
		return "out of memory";
	if (replay->no_pools)
		replay->statistics.observer.nat_pools = NULL;
	return NULL;
}

static const char *on_sweep(struct replay *replay)
{
	struct mirror_offline *offline = &replay->offline;

	if (offline->resync.phase != RESYNC_COUNTING && offline->resync.phase != RESYNC_SWEEPING)
		return "a step of a sweep without a dump";
	resync_sweep(&offline->resync, &offline->mirror);
	return NULL;
}

static const char *(*const handlers[])(struct replay *) = {
	[RECORD_EVENT] = on_event,	   [RECORD_RESYNC_BEGIN] = on_begin,
	[RECORD_RESYNC_NEXT] = on_next,	   [RECORD_RECORD] = on_record,
	[RECORD_DUMP_DONE] = on_dump_done, [RECORD_ASK] = on_ask,
	[RECORD_ANSWER] = on_answer,	   [RECORD_ADDRESSES] = on_addresses,
	[RECORD_SECOND] = on_second,	   [RECORD_LIMIT] = on_limit,
	[RECORD_SWEEP] = on_sweep,
};

/* The frame after this one into *replay: 1, 0 at the end, or -1 and *ret_wrong. */
static int read_frame(struct replay *replay, const char **ret_wrong)
{
	size_t padded, got;

	got = fread(&replay->frame, 1, sizeof(replay->frame), replay->file);
	if (got == 0 && feof(replay->file))
		return 0;
	*ret_wrong = "the file ends inside a frame";
	if (got != sizeof(replay->frame))
		return -1;
	if (replay->frame.len > FRAME_MAX) {
		*ret_wrong = "a frame of impossible length";
		return -1;
	}
	padded = (replay->frame.len + (size_t)7) / 8 * 8;
	return fread(replay->bytes, 1, padded, replay->file) == padded ? 1 : -1;
}

static const char *apply_frame(struct replay *replay)
{
	const struct recorder_frame *frame = &replay->frame;
	struct mirror *mirror = &replay->offline.mirror;
	const char *wrong;

	if (frame->kind == 0 || frame->kind >= sizeof(handlers) / sizeof(handlers[0]))
		return "a frame of unknown kind";
	if (!replay->created && frame->kind != RECORD_LIMIT)
		return "no limit of the mirror at the beginning";
	if (replay->batched && !continues(replay))
		apply_batch(replay);
	if (frame->boot_ns != 0 && frame->boot_ns < mirror->now_ns)
		return "time runs backwards";
	if (frame->boot_ns != 0) {
		pass_second(replay, frame->boot_ns);
		mirror_offline_time(&replay->offline, frame->boot_ns);
	}
	wrong = handlers[frame->kind](replay);
	if (!wrong && replay->translated && frame->kind == RECORD_EVENT)
		translate(&replay->batch[replay->batched - 1u]);
	return wrong;
}

static const char *replay_all(struct replay *replay)
{
	char magic[sizeof(RECORDER_MAGIC)] = "";
	const char *wrong = NULL;
	int more;

	if (fread(magic, strlen(RECORDER_MAGIC), 1, replay->file) != 1 ||
	    strcmp(magic, RECORDER_MAGIC) != 0)
		return "not a recording of conntide-agent --record";
	for (;;) {
		replay->offset = (uint64_t)ftello(replay->file);
		more = read_frame(replay, &wrong);
		if (more <= 0)
			break;
		wrong = apply_frame(replay);
		/* The world's clock begins before that of any recording. */
		if (!wrong && replay->frame.kind == RECORD_LIMIT && replay->frame.boot_ns == 0)
			mirror_set_time(&replay->offline.mirror, 0);
		if (wrong)
			return wrong;
	}
	if (more < 0)
		return wrong;
	if (!replay->created)
		return "a recording without a mirror";
	apply_batch(replay);
	mirror_offline_sweep(&replay->offline);
	return NULL;
}

static void print_counters(const struct mirror_offline *offline)
{
	const struct mirror *mirror = &offline->mirror;
	const struct mirror_counters *counters = &mirror->counters;

	printf("{\"mirror_entries\":%u,\"silent_entries\":%u,\"unassured_entries\":%u,"
	       "\"unknown_entries\":%u,\"tombstones\":%u,\n",
	       mirror->entries, mirror->silent_entries, mirror->unassured_entries,
	       mirror->unknown_entries, mirror->tombstones);
	printf("\"events_new\":%" PRIu64 ",\"events_update\":%" PRIu64
	       ",\"events_destroy\":%" PRIu64 ",\"clash_events\":%" PRIu64
	       ",\"stale_updates\":%" PRIu64 ",\n",
	       counters->events[CT_NEW], counters->events[CT_UPDATE], counters->events[CT_DESTROY],
	       counters->clash_events, counters->stale_updates);
	printf("\"repairs_state\":%" PRIu64 ",\"repairs_missing\":%" PRIu64
	       ",\"repairs_ghost\":%" PRIu64 ",\"repairs_replaced\":%" PRIu64 ",\n",
	       counters->repairs_state, counters->repairs_missing, counters->repairs_ghost,
	       counters->repairs_replaced);
	printf("\"audits_match\":%" PRIu64 ",\"audits_mismatch\":%" PRIu64
	       ",\"tombstone_skips\":%" PRIu64 ",\"refused_decrements\":%" PRIu64 "}\n",
	       counters->audits_match, counters->audits_mismatch, counters->tombstone_skips,
	       offline->hist.refused_decrements);
}

static void close_all(struct replay *replay)
{
	fclose(replay->file);
	free(replay->bytes);
	statistics_destroy(&replay->statistics);
	if (replay->created)
		mirror_offline_destroy(&replay->offline);
}

int main(int argc, char **argv)
{
	const char *path = argv[argc - 1];
	static struct replay replay;
	bool counters = false;
	const struct {
		const char *name;
		bool *is_on;
	} options[] = {{"--counters", &counters},
		       {"--statistics", &replay.with_statistics},
		       {"--translated", &replay.translated},
		       {"--no-pools", &replay.no_pools}};
	const char *wrong;
	int known = 0;

	for (int i = 1; i < argc - 1; i++)
		for (size_t j = 0; j < sizeof(options) / sizeof(options[0]); j++)
			if (strcmp(argv[i], options[j].name) == 0) {
				*options[j].is_on = true;
				known++;
			}
	if (argc != 2 + known) {
		fprintf(stderr, "usage: mirror_replay [--counters] [--statistics] [--translated] "
				"[--no-pools] FILE\n");
		return 2;
	}
	ct_hash_seed_fixed(1);
	replay.bytes = malloc(FRAME_MAX + 8);
	replay.file = fopen(path, "rbe");
	if (!replay.file || !replay.bytes) {
		fprintf(stderr, "mirror_replay: %s: %s\n", path, strerror(errno));
		free(replay.bytes);
		return 1;
	}
	wrong = replay_all(&replay);
	if (!wrong)
		wrong = offline_disagrees(&replay.offline);
	if (wrong)
		fprintf(stderr, "mirror_replay: %s: offset %" PRIu64 ": %s\n", path, replay.offset,
			wrong);
	else if (counters)
		print_counters(&replay.offline);
	else if (mirror_offline_print_cells(&replay.offline.hist, stdout) < 0)
		wrong = "standard output";
	close_all(&replay);
	return wrong ? 1 : 0;
}
