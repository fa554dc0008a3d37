// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The series of /metrics over time: a real histogram, real slots, a real segment and a
 * reader, with restarts of either side alone, ports that change hands, limits on series
 * and damage. No series twice, no state a protocol has not, and whatever happens but an
 * agent's restart no counter falls.
 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "exporters/render/families.h"
#include "lib/kernel/states.h"
#include "lib/mirror/ports.h"
#include "lib/shm/reader.h"
#include "lib/shm/seqlock.h"
#include "lib/shm/writer.h"

#define S	   UINT64_C(1000000000)
#define SERIES_MAX 4000u
#define KEYS	   40u

/* A series and what it said last. */
struct seen {
	char name[200];
	uint64_t value;
	uint32_t generation; /* of the slot; 0: of no port */
	bool now;
};

struct world {
	uint64_t seed;
	struct rng rng;
	char dir[64];
	uint64_t now_ns;
	struct segment segment;
	struct histogram hist;
	struct ports ports;
	uint64_t live[KEYS]; /* entries of each key, in the state they were born in */
	struct shm_reader reader;
	struct snapshot snap;
	struct series_memory memory;
	struct families_options options;
	struct seen *seen;
	size_t seen_count;
	uint64_t sum_new;
	bool damaged;
};

static struct row_key key_of(unsigned int i)
{
	static const uint8_t protos[] = {L4_TCP, L4_UDP, L4_TCP, L4_SCTP, L4_ICMP};
	struct row_key key = {protos[i % UNIT_COUNT(protos)], (uint8_t)(i / 5 % DIR_COUNT),
			      (uint16_t)(1000 + i)};

	if (!l4proto_info(key.l4proto)->has_ports)
		key.port = 0;
	return key;
}

static unsigned int state_of(unsigned int i)
{
	struct row_key key = key_of(i);
	unsigned int state = i % (1u << l4proto_info(key.l4proto)->state_bits);

	return state_name(key.l4proto, state) ? state : 0;
}

static void start_agent(struct world *world)
{
	const struct segment_identity identity = {
		.name = "host", .now_real_ns = world->now_ns, .now_boot_ns = world->now_ns};
	struct shm_live *live;
	const char *what = "";
	pid_t pid = 0;

	assert_int_equal(segment_create(&world->segment, world->dir, &identity, &what, &pid), 0);
	memset(&world->hist, 0, sizeof(world->hist));
	histogram_attach(&world->hist, &world->segment);
	live = segment_live(&world->segment);
	ports_init(&world->ports, &world->hist, segment_slots(&world->segment),
		   segment_rates(&world->segment), live, 1 + rng_below(&world->rng, 8));
	atomic_store(&live->mode, SHM_MODE_FULL);
	assert_int_equal(segment_publish(&world->segment), 0);
	memset(world->live, 0, sizeof(world->live));
	world->damaged = false;
}

static void forget(struct world *world)
{
	world->seen_count = 0;
	world->sum_new = 0;
}

static void restart_agent(struct world *world)
{
	if (rng_percent(&world->rng, 50))
		segment_stopped(&world->segment, world->now_ns);
	segment_close(&world->segment);
	start_agent(world);
	forget(world);
}

static void move(struct world *world)
{
	unsigned int i = rng_below(&world->rng, KEYS);
	uint32_t cell = histogram_place(&world->hist, key_of(i), state_of(i));
	uint32_t n = 1 + rng_below(&world->rng, 50);

	for (; n > 0; n--) {
		if (rng_percent(&world->rng, 60) || !world->live[i]) {
			histogram_enter(&world->hist, cell);
			histogram_count_new(&world->hist, cell);
			world->live[i]++;
		} else {
			histogram_leave(&world->hist, cell);
			histogram_count_destroyed(&world->hist, cell, rng_below(&world->rng, 9999));
			world->live[i]--;
		}
	}
}

static void second(struct world *world)
{
	struct shm_live *live = segment_live(&world->segment);

	world->now_ns += (1 + rng_below(&world->rng, 70)) * S;
	ports_second(&world->ports, world->now_ns);
	seq_write_begin(&live->seq);
	atomic_store(&live->heartbeat_boot_ns, (int64_t)world->now_ns);
	seq_write_end(&live->seq);
}

/* Cells and slots that nobody wrote: the generation stays, the row is another. */
static void damage(struct world *world)
{
	struct shm_slots *slots = segment_slots(&world->segment);
	unsigned int slot = rng_below(&world->rng, SHM_SLOT_COUNT);

	world->damaged = true;
	poke_u32(&slots->slot[slot].row, row_of(key_of(rng_below(&world->rng, KEYS))));
	for (unsigned int i = 0; i < 5; i++) {
		uint32_t row = row_of(key_of(rng_below(&world->rng, KEYS)));
		struct row_key key;
		const struct l4proto_info *info;

		row_key_of(row, &key);
		info = l4proto_info(key.l4proto);
		poke_u32(&world->hist.cells[info->cell_base +
					    ((row - info->row_base) << info->state_bits) +
					    rng_below(&world->rng, 1u << info->state_bits)],
			 rng_below(&world->rng, 100));
	}
}

static bool counts(const struct sample *sample)
{
	enum family_type type = family_info(sample->family)->type;

	return type == FAMILY_COUNTER || (type == FAMILY_HISTOGRAM && sample->suffix != SUFFIX_SUM);
}

static uint32_t generation_of(const struct world *world, const char *name)
{
	unsigned int port;
	const char *at = strstr(name, "port=\"");

	if (!at || sscanf(at, "port=\"%u\"", &port) != 1)
		return 0;
	for (size_t i = 0; i < world->snap.row_count; i++) {
		const struct snap_row *row = &world->snap.rows[i];
		char label[80];

		snprintf(label, sizeof(label), "l4proto=\"%s\",direction=\"%s\",port=\"%u\"",
			 l4proto_info(row->key.l4proto)->name, direction_name(row->key.direction),
			 row->key.port);
		if (row->slot >= 0 && strstr(name, label))
			return (uint32_t)row->slot << 24 | row->slot_generation;
	}
	return 0;
}

static struct seen *find(struct world *world, const char *name)
{
	for (size_t i = 0; i < world->seen_count; i++)
		if (!strcmp(world->seen[i].name, name))
			return &world->seen[i];
	assert_true(world->seen_count < SERIES_MAX);
	world->seen[world->seen_count] = (struct seen){.value = 0};
	snprintf(world->seen[world->seen_count].name, sizeof(world->seen[0].name), "%s", name);
	return &world->seen[world->seen_count++];
}

static void check_state(const struct world *world, const char *name)
{
	char l4proto[20], state[40];
	const char *at = strstr(name, "state=\"");
	int p;

	if (!at || !strstr(name, "l4proto"))
		return;
	assert_int_equal(sscanf(at, "state=\"%39[^\"]", state), 1);
	assert_int_equal(sscanf(strstr(name, "l4proto=\""), "l4proto=\"%19[^\"]", l4proto), 1);
	p = l4proto_by_name(l4proto);
	if (p < 0 || state_by_name((unsigned int)p, state) < 0)
		assert_seeded(world->seed, world->damaged && !strcmp(state, "unknown"));
}

static void check_sample(struct world *world, const struct families *families,
			 const struct sample *sample)
{
	uint64_t value = (uint64_t)sample->number;
	uint32_t generation;
	struct seen *seen;
	char name[200];

	snprintf(name, sizeof(name), "%s/%u{%.*s}", family_info(sample->family)->name,
		 sample->suffix, (int)sample->label_bytes,
		 families->labels.data + sample->label_at);
	check_state(world, name);
	seen = find(world, name);
	if (seen->now)
		fail_msg("%s twice, to repeat: SEED=%llu", name, (unsigned long long)world->seed);
	generation = generation_of(world, name);
	if (counts(sample) && sample->integer && !world->damaged &&
	    seen->generation == generation && value < seen->value)
		fail_msg("%s: %llu, was %llu, to repeat: SEED=%llu", name,
			 (unsigned long long)value, (unsigned long long)seen->value,
			 (unsigned long long)world->seed);
	seen->now = true;
	seen->value = value;
	seen->generation = generation;
}

static void scrape(struct world *world)
{
	struct families families;
	uint64_t sum = 0;

	assert_int_equal(shm_reader_refresh(&world->reader), 0);
	assert_int_equal(snapshot_take(&world->reader, world->now_ns, world->now_ns, &world->snap),
			 0);
	/* The boot id is the machine's; the clock is not. */
	world->snap.agent = SNAP_AGENT_UP;
	families_init(&families);
	families_build(&families, &world->snap, "host", "missing", &world->options, &world->memory);
	families_sort(&families);
	for (size_t i = 0; i < world->seen_count; i++)
		world->seen[i].now = false;
	for (size_t i = 0; i < families.count; i++) {
		check_sample(world, &families, &families.samples[i]);
		if (families.samples[i].family == FAMILY_NEW)
			sum += (uint64_t)families.samples[i].number;
	}
	assert_seeded(world->seed, world->damaged || sum >= world->sum_new);
	world->sum_new = sum;
	families_free(&families);
}

static void random_life(uint64_t seed)
{
	static const uint32_t limits[] = {0, 400, 200, 60};
	static const char *const files[] = {"host.table", "host.lock", "host.hosts"};
	struct world world = {.seed = seed, .rng = rng_seeded(seed), .now_ns = 1000 * S};

	world.options = (struct families_options){
		.series_limit = limits[seed % UNIT_COUNT(limits)], .revision = "r", .version = "v"};
	world.seen = calloc(SERIES_MAX, sizeof(*world.seen));
	strcpy(world.dir, "/dev/shm/conntide-series-XXXXXX");
	assert_non_null(mkdtemp(world.dir));
	snapshot_init(&world.snap);
	assert_int_equal(shm_reader_init(&world.reader, world.dir, "host"), 0);
	start_agent(&world);
	for (unsigned int i = 0; i < 150; i++) {
		unsigned int what = rng_below(&world.rng, 100);

		if (what < 60)
			move(&world);
		else if (what < 85)
			second(&world);
		else if (what < 90)
			memset(&world.memory, 0, sizeof(world.memory)); /* exporter restarted */
		else if (what < 93)
			restart_agent(&world);
		else if (what < 94 && seed % 3 == 0)
			damage(&world);
		scrape(&world);
	}
	segment_close(&world.segment);
	shm_reader_close(&world.reader);
	snapshot_free(&world.snap);
	free(world.seen);
	for (size_t i = 0; i < UNIT_COUNT(files); i++) {
		char path[100];

		snprintf(path, sizeof(path), "%s/%s", world.dir, files[i]);
		unlink(path);
	}
	rmdir(world.dir);
}

static void test_lives(void **state)
{
	(void)state;
	unit_seeds("lives", 60, random_life);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_lives)};

	return cmocka_run_group_tests_name("render/series", tests, NULL, NULL);
}
