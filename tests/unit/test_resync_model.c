// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A model of the kernel (a table, a queue of events, a dump filled chunk by chunk)
 * and the mirror, with everything between them interleaved at random: entries
 * that are silent, change silently, are masked; events lost; the hash resized in
 * the middle of a dump; GETs answered late. Whenever a resync ended as valid and
 * the queue is drained, the mirror must be the table; entries that changed
 * silently since that dump began are excepted. And after each step, what is counted by
 * address must be what the mirror holds, within the error that is stated.
 *
 * SEED=n repeats a run, and prints every step of it.
 */
#include "tests/unit/unit.h"

#include <string.h>

#include "lib/base/clock.h"
#include "lib/shm/seqlock.h"
#include "lib/stats/nat_pools.h"
#include "lib/stats/observer.h"
#include "lib/stats/talkers.h"
#include "tests/unit/offline.h"

#define KEYS	    48u
#define QUEUE	    4096u
#define CHUNK_MAX   8u
#define NO_STATE    (-1)
#define STATUS_BOTH (CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED)

/* One tuple and the entry that lives under it, if any. */
struct entry {
	bool there;
	bool dying;	   /* its DESTROY is sent, but it is still linked */
	bool untold;	   /* linked, its NEW not sent yet */
	bool silent;	   /* no extension: never tells */
	bool masked;	   /* tells of new and destroy only */
	bool excepted;	   /* changed silently since the dump began */
	bool state_untold; /* changed silently, and no event has named the state since */
	uint32_t id;
	uint32_t status;
	int state;
};

struct chunk {
	struct told records[CHUNK_MAX];
	uint32_t count;
	bool last;
};

/* An entry to ask for, and the answer once the kernel has given it. */
struct question {
	bool asked;
	bool answered;
	bool found;
	struct verify_item item;
	struct told answer;
	uint32_t mark;
};

enum dump_step { DUMP_NONE, DUMP_ASKED, DUMP_WAITING, DUMP_SWEEP };

struct model {
	struct rng rng;
	uint64_t seed;
	struct mirror_offline offline;
	struct observer observer;
	struct talkers talkers;
	struct nat_pools pools;
	struct entry entries[KEYS];
	uint32_t keys;
	uint32_t last_id;
	struct told queue[QUEUE];
	uint32_t head, tail;
	uint32_t losing; /* so many events to come are lost */
	bool lost_in_dump;
	bool resized_in_dump;
	/* The dump, on the kernel's side and on ours. */
	enum dump_step step;
	uint32_t cursor;       /* next key to list */
	struct chunk filled;   /* by the kernel, not received yet */
	struct chunk received; /* not applied yet */
	uint32_t asked_mark;
	uint32_t received_mark;
	bool fetched; /* the receive that was asked for has happened */
	struct question question;
	bool quiet; /* no silent change, no loss, no resize any more */
	uint32_t valid_resyncs;
	uint32_t compared;
};

static bool verbose;

#define note(...)                                                                                  \
	do {                                                                                       \
		if (verbose)                                                                       \
			print_message(__VA_ARGS__);                                                \
	} while (0)

/* --- the kernel --------------------------------------------------------------- */

static struct told tell_of(const struct model *model, uint32_t key, enum ct_kind kind, bool state)
{
	const struct entry *entry = &model->entries[key];
	struct told told = {
		.kind = kind,
		.number = key,
		.id = entry->id,
		.status = entry->status | (entry->dying ? CT_STATUS_DYING : 0) |
			  (key % 4 ? CT_STATUS_SRC_NAT : 0),
		.state = state ? entry->state : NO_STATE,
	};

	return told;
}

/* False when it is lost. */
static bool send_event(struct model *model, uint32_t key, enum ct_kind kind, bool state)
{
	if (model->losing) {
		model->losing--;
		model->lost_in_dump = true;
		note("  lost: kind %d key %u\n", (int)kind, key);
		return false;
	}
	assert_true(model->tail - model->head < QUEUE);
	model->queue[model->tail++ % QUEUE] = tell_of(model, key, kind, state);
	note("  sent: kind %d key %u id %u status %x state %d\n", (int)kind, key,
	     model->entries[key].id, model->entries[key].status, model->entries[key].state);
	return true;
}

static void tell_birth(struct model *model, uint32_t key)
{
	struct entry *entry = &model->entries[key];

	if (entry->there && entry->untold) {
		entry->untold = false;
		if (!entry->silent)
			send_event(model, key, CT_NEW, true);
	}
}

static void be_born(struct model *model, uint32_t key)
{
	struct entry *entry = &model->entries[key];
	bool silent = !model->quiet && rng_percent(&model->rng, 10);
	/* A silent one that takes the id of one that died in the same dump cannot be told
	 * from the dead: it is found by the next dump. Not modelled. */
	bool same_id =
		entry->id && rng_percent(&model->rng, 50) && !(silent && model->step != DUMP_NONE);

	*entry = (struct entry){
		.there = true,
		.untold = true,
		.silent = silent,
		.masked = !model->quiet && rng_percent(&model->rng, 10),
		.excepted = entry->excepted,
		.id = same_id ? entry->id : ++model->last_id,
		.state = 1,
	};
	entry->excepted |= entry->silent;
	note("  born: key %u id %u%s%s\n", key, entry->id, entry->silent ? " silent" : "",
	     entry->masked ? " masked" : "");
	if (rng_percent(&model->rng, 80))
		tell_birth(model, key);
}

static void die(struct model *model, uint32_t key, bool silently)
{
	struct entry *entry = &model->entries[key];

	if (entry->silent || silently) {
		note("  gone silently: key %u\n", key);
		entry->excepted = true;
		entry->there = false;
		return;
	}
	tell_birth(model, key);
	entry->dying = true;
	send_event(model, key, CT_DESTROY, rng_percent(&model->rng, 50));
	if (rng_percent(&model->rng, 70)) {
		entry->there = false;
		entry->dying = false;
	}
}

static void change(struct model *model, uint32_t key, bool silently)
{
	struct entry *entry = &model->entries[key];
	bool same = rng_percent(&model->rng, 15); /* a mark, say: no PROTOINFO */

	if (!same)
		entry->state = 1 + (int)rng_below(&model->rng, 9);
	if (rng_percent(&model->rng, 40))
		entry->status |= rng_percent(&model->rng, 50) ? STATUS_BOTH : CT_STATUS_SEEN_REPLY;
	if (entry->silent || entry->masked || silently) {
		note("  changed silently: key %u state %d\n", key, entry->state);
		entry->excepted |= !same;
		entry->state_untold |= !same;
		return;
	}
	tell_birth(model, key);
	/* An event that names no state is still newer than the record that would have
	 * told it: the next dump repairs that. */
	if (same)
		entry->excepted |= entry->state_untold;
	if (!send_event(model, key, CT_UPDATE, !same))
		entry->state_untold = true;
	else if (!same)
		entry->state_untold = false;
}

/* One thing happens in the kernel. */
static void kernel_step(struct model *model)
{
	uint32_t key = rng_below(&model->rng, model->keys);
	struct entry *entry = &model->entries[key];
	bool silently = !model->quiet && rng_percent(&model->rng, 5);

	if (!model->quiet && rng_below(&model->rng, 400) == 0)
		model->losing = 1 + rng_below(&model->rng, 10);
	if (!entry->there) {
		be_born(model, key);
	} else if (entry->dying) {
		entry->there = false;
		entry->dying = false;
	} else if (entry->untold) {
		tell_birth(model, key);
	} else if (model->quiet && (entry->silent || entry->masked)) {
		/* Those who cannot speak keep still, so that there is a right answer. */
		return;
	} else if (rng_percent(&model->rng, 30)) {
		die(model, key, silently);
	} else {
		change(model, key, silently);
	}
}

static void kernel_steps(struct model *model)
{
	for (uint32_t n = rng_below(&model->rng, 6); n > 0; n--)
		kernel_step(model);
}

/* The next entries from where the dump stands; sometimes some once more. */
static void fill_chunk(struct model *model)
{
	struct chunk *chunk = &model->filled;
	uint32_t room = 1 + rng_below(&model->rng, CHUNK_MAX);

	*chunk = (struct chunk){.count = 0};
	if (rng_percent(&model->rng, 10))
		model->cursor -= rng_below(&model->rng, 3) % (model->cursor + 1);
	for (; model->cursor < model->keys && chunk->count < room; model->cursor++)
		if (model->entries[model->cursor].there)
			chunk->records[chunk->count++] =
				tell_of(model, model->cursor, CT_RECORD, true);
	chunk->last = model->cursor == model->keys;
	if (!model->quiet && rng_below(&model->rng, 200) == 0) {
		/* The hash is resized: the dump goes on anywhere. */
		model->cursor = rng_below(&model->rng, model->keys);
		model->resized_in_dump = true;
		note("  resized\n");
	}
}

static int64_t kernel_count(const struct model *model)
{
	int64_t count = 0;

	for (uint32_t i = 0; i < model->keys; i++)
		count += model->entries[i].there;
	return count;
}

/* --- the agent ---------------------------------------------------------------- */

static void drain(struct model *model, uint32_t most)
{
	mirror_offline_pass(&model->offline, rng_below(&model->rng, 300) * NS_PER_MS);
	for (; model->head != model->tail && most > 0; model->head++, most--) {
		struct ct_event event = offline_event(model->queue[model->head % QUEUE]);

		mirror_event(&model->offline.mirror, &event);
	}
	mirror_purge_tombstones(&model->offline.mirror);
}

static void drain_all(struct model *model)
{
	drain(model, UINT32_MAX);
}

static void agent_begin(struct model *model)
{
	drain_all(model);
	note("begin\n");
	for (uint32_t i = 0; i < model->keys; i++)
		model->entries[i].excepted = false;
	resync_begin(&model->offline.resync, &model->offline.mirror, model->lost_in_dump);
	model->lost_in_dump = model->resized_in_dump = false;
	kernel_steps(model);
	model->cursor = 0;
	fill_chunk(model);
	kernel_steps(model);
	model->asked_mark = resync_next(&model->offline.resync, &model->offline.mirror);
	model->fetched = false;
	model->step = DUMP_ASKED;
}

/* The other thread's receive: hands over what was filled, and fills the next. */
static void fetch(struct model *model)
{
	if (model->fetched)
		return;
	model->received = model->filled;
	if (!model->filled.last)
		fill_chunk(model);
	model->fetched = true;
	note("fetched %u records%s\n", model->received.count,
	     model->received.last ? ", the last" : "");
}

/* GETs go out, are answered and come back at moments of their own. */
static void agent_question(struct model *model)
{
	struct question *question = &model->question;

	if (!question->asked) {
		if (verify_take(&model->offline.verify, model->offline.mirror.now_ns,
				&question->item, 1) == 0)
			return;
		question->asked = true;
		question->answered = false;
		question->mark = mirror_mark(&model->offline.mirror);
	} else if (!question->answered) {
		uint32_t key = (uint32_t)question->item.key.src[2] << 8 | question->item.key.src[3];

		question->found = model->entries[key].there;
		question->answer = tell_of(model, key, CT_RECORD, true);
		question->answered = true;
		note("asked for key %u: %s\n", key, question->found ? "there" : "absent");
	} else {
		struct ct_event event = offline_event(question->answer);

		drain_all(model);
		note("answer for key %u\n", question->answer.number);
		mirror_answer(&model->offline.mirror, &question->item,
			      question->found ? &event : NULL, question->mark);
		question->asked = false;
	}
}

static void ask_chunk(struct model *model)
{
	model->asked_mark = resync_next(&model->offline.resync, &model->offline.mirror);
	model->fetched = false;
	if (rng_percent(&model->rng, 30))
		fetch(model);
}

/* Between two chunks: a whole round, since one request is made at a time. */
static void ask_in_between(struct model *model)
{
	do {
		agent_question(model);
		kernel_steps(model);
	} while (model->question.asked);
}

/* Collect the chunk, drain, ask for the next, apply: in that order; or apply first
 * and ask for something else before the next. */
static void agent_chunk(struct model *model)
{
	struct chunk chunk = model->received;
	uint32_t mark = model->asked_mark;
	bool ask_late = rng_percent(&model->rng, 20);

	if (!model->fetched)
		return;
	kernel_steps(model);
	drain_all(model);
	if (!chunk.last && !ask_late)
		ask_chunk(model);
	kernel_steps(model);
	for (uint32_t i = 0; i < chunk.count; i++) {
		struct ct_event event = offline_event(chunk.records[i]);

		note("  record key %u id %u status %x state %d\n", chunk.records[i].number,
		     chunk.records[i].id, chunk.records[i].status, chunk.records[i].state);
		resync_record(&model->offline.resync, &model->offline.mirror, &event, mark);
	}
	if (!chunk.last && ask_late) {
		ask_in_between(model);
		ask_chunk(model);
	}
	if (chunk.last)
		model->step = DUMP_WAITING;
}

static void agent_done(struct model *model)
{
	drain_all(model);
	resync_dump_done(&model->offline.resync, &model->offline.mirror,
			 !model->lost_in_dump && !model->resized_in_dump, kernel_count(model));
	model->step = DUMP_SWEEP;
}

/* --- the comparison ------------------------------------------------------------ */

/* Doubted: the agent knows, and does not call itself exact. */
static bool is_doubted(const struct model *model, uint64_t hash)
{
	const struct verify_ring *ring = &model->offline.verify.doubts;

	for (uint32_t i = ring->head; i != ring->tail; i++)
		if (ring->items[i & (ring->room - 1u)].hash == hash)
			return true;
	return model->question.asked && model->question.item.hash == hash;
}

static void compare_key(struct model *model, uint32_t key)
{
	const struct entry *entry = &model->entries[key];
	struct ct_event event = offline_event(tell_of(model, key, CT_RECORD, true));
	uint32_t at = flow_find(&model->offline.mirror.table, event.hash);
	const struct flow *flow = flow_at(&model->offline.mirror.table, at);

	if (entry->excepted || entry->dying || is_doubted(model, event.hash))
		return;
	model->compared++;
	if (entry->there != (at != FLOW_NONE))
		fail_msg("key %u is %s, but %s in the mirror, to repeat: SEED=%llu", key,
			 entry->there ? "there" : "absent", at != FLOW_NONE ? "there" : "absent",
			 (unsigned long long)model->seed);
	if (entry->there && cell_state(flow_cell(flow)) != (unsigned int)entry->state)
		fail_msg("key %u is in state %d, in the mirror in %u, to repeat: SEED=%llu", key,
			 entry->state, cell_state(flow_cell(flow)),
			 (unsigned long long)model->seed);
	if (entry->there && flow->id != entry->id)
		fail_msg("key %u has id %u, in the mirror %u, to repeat: SEED=%llu", key, entry->id,
			 flow->id, (unsigned long long)model->seed);
}

static void compare(struct model *model)
{
	const char *wrong;

	for (uint32_t i = 0; i < model->keys; i++)
		tell_birth(model, i);
	/* A loss just now is the next resync's to find. */
	if (model->lost_in_dump)
		return;
	drain_all(model);
	for (uint32_t i = 0; i < model->keys; i++)
		compare_key(model, i);
	wrong = offline_disagrees(&model->offline);
	if (wrong)
		fail_msg("%s, to repeat: SEED=%llu", wrong, (unsigned long long)model->seed);
}

static void agent_sweep(struct model *model)
{
	enum resync_result result = resync_sweep(&model->offline.resync, &model->offline.mirror);

	if (result == RESYNC_PENDING)
		return;
	note("resync %s\n", result == RESYNC_VALID ? "valid" : "invalid");
	model->step = DUMP_NONE;
	if (result == RESYNC_VALID) {
		model->valid_resyncs++;
		compare(model);
	}
}

static void agent_step(struct model *model)
{
	if (model->step == DUMP_NONE && rng_percent(&model->rng, 30))
		agent_question(model);
	switch (model->step) {
	case DUMP_NONE:
		if (!model->question.asked && rng_percent(&model->rng, 10))
			agent_begin(model);
		break;
	case DUMP_ASKED:
		if (rng_percent(&model->rng, 60))
			fetch(model);
		agent_chunk(model);
		break;
	case DUMP_WAITING:
		agent_done(model);
		break;
	case DUMP_SWEEP:
		agent_sweep(model);
		break;
	}
}

/* --- who has it ------------------------------------------------------------------ */

static uint64_t talkers_checked, talkers_unsure;
static uint32_t held[SHM_TALKER_KINDS][KEYS];

/* Each key is a source of its own; all dial one address, at seven ports. */
static void count_held(const struct model *model)
{
	memset(held, 0, sizeof(held));
	for (uint32_t i = 0; i < model->keys; i++) {
		struct ct_event event =
			offline_event((struct told){.number = i, .state = NO_STATE});
		bool there = flow_find(&model->offline.mirror.table, event.hash) != FLOW_NONE;

		held[SHM_TALKER_SOURCE][i] += there;
		held[SHM_TALKER_DESTINATION][0] += there;
		held[SHM_TALKER_SERVICE][i % 7] += there;
	}
}

static void check_held(const struct model *model, unsigned int kind, uint32_t number,
		       uint32_t truth)
{
	struct ct_event event = offline_event((struct told){.number = number, .state = NO_STATE});
	const struct talkers *talkers = &model->talkers;
	struct topk_key key = {.rest = event.key.family};
	uint32_t count, more, less = talkers->unsubtracted[talkers->shown];

	memcpy(key.address, kind == SHM_TALKER_SOURCE ? event.key.src : event.key.dst, 16);
	if (kind == SHM_TALKER_SERVICE)
		key.rest |= L4_TCP << 8 | (uint32_t)event.key.dport << 16;
	count = topk_count(&talkers->kinds[kind], &key, talkers->shown, &more);
	if (count > truth + less || truth > count + more ||
	    (talkers->kinds[kind].room >= KEYS && more))
		fail_msg(
			"kind %u key %u: %u, %u less, %u more, but the mirror holds %u, to repeat: "
			"SEED=%llu",
			kind, number, count, less, more, truth, (unsigned long long)model->seed);
}

static void check_talkers(const struct model *model)
{
	count_held(model);
	for (uint32_t i = 0; i < model->keys; i++)
		check_held(model, SHM_TALKER_SOURCE, i, held[SHM_TALKER_SOURCE][i]);
	for (uint32_t i = 0; i < 7; i++)
		check_held(model, SHM_TALKER_SERVICE, i, held[SHM_TALKER_SERVICE][i]);
	check_held(model, SHM_TALKER_DESTINATION, 0, held[SHM_TALKER_DESTINATION][0]);
	for (unsigned int kind = 0; kind < SHM_TALKER_KINDS; kind++)
		assert_seeded(model->seed, model->talkers.kinds[kind].refused == 0);
	talkers_checked++;
	talkers_unsure += model->talkers.unsubtracted[model->talkers.shown] > 0;
}

/* --- which port of NAT it has ------------------------------------------------------ */

static uint64_t pools_checked, pools_unsure;

struct held_ports {
	uint32_t used;
	uint32_t closing;
};

/* Outside addresses and remote ports: three times seven pools. */
static struct held_ports held_ports[3][7];

static void count_ports(const struct model *model)
{
	memset(held_ports, 0, sizeof(held_ports));
	for (uint32_t i = 0; i < model->keys; i++) {
		struct ct_event event =
			offline_event((struct told){.number = i, .state = NO_STATE});
		uint32_t at = flow_find(&model->offline.mirror.table, event.hash);
		struct held_ports *ports = &held_ports[i % 3][i % 7];
		unsigned int state;

		if (at == FLOW_NONE || i % 4 == 0)
			continue;
		state = cell_state(flow_cell(flow_at(&model->offline.mirror.table, at)));
		ports->used++;
		ports->closing += state >= ST_TCP_TIME_WAIT && state <= ST_TCP_SYN_SENT2;
	}
}

static void check_pool(const struct model *model, const struct nat_pool *pool)
{
	struct held_ports *ports = &held_ports[pool->address[3]][pool->remote_port - 80];

	assert_seeded(model->seed, pool->translated && pool->size == 64512);
	if (pool->used > ports->used + pool->error || ports->used > pool->used + pool->more ||
	    pool->closing > ports->closing + pool->error)
		fail_msg("pool %u to %u: %u, %u less, %u more, closing %u, but the mirror holds %u "
			 "and %u, to repeat: SEED=%llu",
			 pool->address[3], pool->remote_port, pool->used, pool->error, pool->more,
			 pool->closing, ports->used, ports->closing,
			 (unsigned long long)model->seed);
	if (!pool->error && model->pools.used.room > 21 && pool->closing != ports->closing)
		fail_msg("pool %u to %u: %u closing, but the mirror holds %u, to repeat: SEED=%llu",
			 pool->address[3], pool->remote_port, pool->closing, ports->closing,
			 (unsigned long long)model->seed);
	ports->used = ports->closing = 0;
}

/* A walk through everything: not at each step. */
#define CHECK_POOLS_STEPS 16u

static void check_pools(const struct model *model)
{
	static uint32_t steps;
	const struct nat_pools *pools = &model->pools;
	struct nat_pool list[NAT_POOLS_TOP];
	uint32_t translated, hidden;
	uint32_t n;

	if (++steps % CHECK_POOLS_STEPS && !model->quiet)
		return;
	n = nat_pools_largest(pools, list, &translated, &hidden);
	count_ports(model);
	assert_seeded(model->seed, n == translated);
	for (uint32_t i = 0; i < n; i++)
		check_pool(model, &list[i]);
	/* What is not listed has nothing, or is hidden. */
	for (uint32_t i = 0; i < 21; i++)
		assert_seeded(model->seed, held_ports[i / 7][i % 7].used <= hidden);
	assert_seeded(model->seed,
		      !pools->used.refused && !pools->closing_refused && !pools->clients.refused);
	pools_checked++;
	pools_unsure += pools->unsubtracted[pools->shown] > 0;
}

static void random_step(struct model *model)
{
	if (rng_percent(&model->rng, 50))
		kernel_steps(model);
	if (rng_percent(&model->rng, 50))
		drain(model, rng_below(&model->rng, 20));
	if (rng_percent(&model->rng, 20))
		verify_second(&model->offline.verify, model->offline.mirror.now_ns);
	agent_step(model);
	check_talkers(model);
	check_pools(model);
}

static uint32_t all_compared, all_valid;

static void run(uint64_t seed)
{
	static struct model model;
	uint32_t valid;

	memset(&model, 0, sizeof(model));
	model.rng = rng_seeded(seed);
	model.seed = seed;
	verbose = getenv("SEED") != NULL;
	model.keys = 2 + rng_below(&model.rng, KEYS - 2);
	assert_int_equal(mirror_offline_create(&model.offline, 4096), 0);
	/* In every fourth run the addresses have no room. */
	assert_int_equal(talkers_create(&model.talkers, seed % 4 ? 64 : 16), 0);
	assert_int_equal(nat_pools_create(&model.pools, seed % 4 ? 64 : 8), 0);
	observer_init(&model.observer);
	model.observer.nat_pools = &model.pools;
	model.observer.talkers = &model.talkers;
	model.offline.mirror.hook = &model.observer.hook;
	for (uint32_t i = 0; i < 300; i++)
		random_step(&model);
	model.quiet = true;
	model.losing = 0;
	/* A dump under way may have seen too little; the next ones may not. */
	valid = model.valid_resyncs + 3;
	for (uint32_t i = 0; model.valid_resyncs < valid && i < 5000; i++)
		random_step(&model);
	assert_seeded(seed, model.valid_resyncs >= valid);
	/* What was swept is counted too much until the sweep ends, and seldom longer: only if
	 * an answer to a GET had told of it in the same dump. */
	assert_seeded(seed, model.talkers.unsubtracted[model.talkers.shown] == 0);
	assert_seeded(seed, model.pools.unsubtracted[model.pools.shown] == 0);
	all_compared += model.compared;
	all_valid += model.valid_resyncs;
	talkers_destroy(&model.talkers);
	nat_pools_destroy(&model.pools);
	mirror_offline_destroy(&model.offline);
}

static void test_model(void **state)
{
	(void)state;
	ct_hash_seed_fixed(7);
	unit_seeds("resync model", UNIT_SANITIZED ? 800 : 4000, run);
	print_message("[ %u valid resyncs, %u entries compared ]\n", all_valid, all_compared);
	print_message("[ counts by address: %llu times, %llu with swept ones among them ]\n",
		      (unsigned long long)talkers_checked, (unsigned long long)talkers_unsure);
	print_message("[ pools: %llu times, %llu with swept ones among them ]\n",
		      (unsigned long long)pools_checked, (unsigned long long)pools_unsure);
	assert_true(pools_unsure < pools_checked);
	assert_true(talkers_unsure < talkers_checked / 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_model)};

	return cmocka_run_group_tests_name("resync_model", tests, NULL, NULL);
}
