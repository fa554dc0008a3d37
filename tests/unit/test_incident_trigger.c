// SPDX-License-Identifier: GPL-2.0-or-later
/* agent/incidents: which second is worth keeping, and which incident goes, under a virtual
 * clock. */
#include "tests/unit/unit.h"

#include <string.h>

#include "agent/incident/trigger.h"
#include "lib/base/clock.h"
#include "lib/incident/incident_dir.h"

#define START_NS   (1000 * NS_PER_S)
#define START_REAL UINT64_C(1764000000000000000)
#define MINUTE	   60u
#define HOUR	   3600u

static const char letters[] = "HCDR";

struct world {
	struct incident_trigger logic;
	struct incident_trigger_input in;
	unsigned int refuse; /* that many writes fail from now on */
	uint32_t random;
	char kept[256]; /* a letter a stage that was written; small ones were not */
	char ids[64][INCIDENT_ID_BYTES];
	unsigned int id_count;
};

/* So many seconds alike: entries, and what each adds to the counters. */
struct step {
	unsigned int seconds;
	int64_t entries;
	unsigned int drops, early, chain;
};

static void begin(struct world *world)
{
	memset(world, 0, sizeof(*world));
	world->in = (struct incident_trigger_input){.now_ns = START_NS,
					     .now_real_ns = START_REAL,
					     .max_entries = 1000,
					     .chain_limit_entries = 25000,
					     .drops = 7,
					     .early_drops = 70,
					     .chain_drops = 700};
	incident_trigger_init(&world->logic, START_NS);
}

static void note(struct world *world, int stage, bool written)
{
	size_t at = strlen(world->kept);

	assert_true(at + 1 < sizeof(world->kept));
	world->kept[at] = written ? letters[stage] : letters[stage] | 0x20;
	if (world->id_count == 0 ||
	    strcmp(world->ids[world->id_count - 1], world->logic.head.id) != 0) {
		assert_true(world->id_count < 64);
		strcpy(world->ids[world->id_count++], world->logic.head.id);
	}
}

static void second(struct world *world)
{
	int stage;

	world->in.now_ns += NS_PER_S;
	world->in.now_real_ns += NS_PER_S;
	stage = incident_trigger_second(&world->logic, &world->in, ++world->random);
	if (stage == INCIDENTS_NONE)
		return;
	assert_true(stage >= 0 && stage < INCIDENT_STAGES);
	assert_true(incident_id_good(world->logic.head.id));
	incident_trigger_asked(&world->logic, stage);
	note(world, stage, !world->refuse);
	incident_trigger_answered(&world->logic, stage, !world->refuse);
	world->refuse -= world->refuse > 0;
}

static void go(struct world *world, const struct step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (unsigned int s = 0; s < steps[i].seconds; s++) {
			world->in.count_entries = steps[i].entries;
			world->in.drops += steps[i].drops;
			world->in.early_drops += steps[i].early;
			world->in.chain_drops += steps[i].chain;
			second(world);
		}
	}
}

static const struct {
	const char *what;
	struct step steps[8];
	const char *kept;
	unsigned int incidents;
} stories[] = {
	{"nothing", {{HOUR, 799}}, "", 0},
	{"each stage once", {{9, 500}, {9, 810}, {9, 960}, {9, 1000, 5}, {40, 500}}, "HCDR", 1},
	{"only the worst of one second", {{9, 500}, {9, 1000, 5}, {40, 500}}, "DR", 1},
	{"at 80 % exactly", {{9, 800}, {40, 700}}, "HR", 1},
	{"not recovered between 75 and 80 %", {{9, 800}, {HOUR, 760}}, "H", 1},
	{"not recovered before 30 s", {{9, 800}, {30, 700}, {9, 800}, {30, 700}}, "H", 1},
	{"recovered after 30 s", {{9, 800}, {31, 700}}, "HR", 1},
	{"drops delay recovery", {{9, 810}, {20, 100, 0, 1}, {30, 100}}, "HD", 1},
	{"hovering is one",
	 {{9, 810}, {20, 740}, {9, 810}, {20, 740}, {9, 810}, {40, 100}},
	 "HR",
	 1},
	{"an early drop begins one", {{9, 10}, {1, 10, 0, 1}, {40, 10}}, "DR", 1},
	{"a chain drop begins one", {{9, 10}, {1, 10, 0, 0, 1}, {40, 10}}, "DR", 1},
	{"a clash in an empty table does not", {{9, 10}, {60, 499, 1}}, "", 0},
	{"packets dropped from half full", {{9, 10}, {1, 500, 1}, {40, 10}}, "DR", 1},
	{"counters of before are no drops", {{HOUR, 10}}, "", 0},
	{"a second within 15 min is not begun", {{9, 810}, {40, 10}, {9, 810}, {40, 10}}, "HR", 1},
	{"but later on", {{9, 810}, {15 * MINUTE, 10}, {9, 810}, {40, 10}}, "HRHR", 2},
	{"or when it drops", {{9, 810}, {40, 10}, {9, 810}, {9, 1000, 1}, {40, 10}}, "HRDR", 2},
	{"one that lasts is begun late", {{9, 810}, {40, 10}, {HOUR, 810}, {40, 10}}, "HRHR", 2},
};

static void test_stories(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(stories); i++) {
		struct world world;

		begin(&world);
		go(&world, stories[i].steps, UNIT_COUNT(stories[i].steps));
		if (strcmp(world.kept, stories[i].kept) != 0 ||
		    world.id_count != stories[i].incidents)
			fail_msg("%s: kept \"%s\" in %u, expected \"%s\" in %u", stories[i].what,
				 world.kept, world.id_count, stories[i].kept, stories[i].incidents);
	}
}

static const struct {
	const char *what;
	int64_t max, chain, entries;
	uint32_t kind; /* 0: no incident */
} limits[] = {
	{"max", 1000, 25000, 800, 1},
	{"chains are lower", 10000, 1000, 800, 2},
	{"no max", 0, 1000, 800, 2},
	{"no limit at all", 0, 0, 1 << 30, 0},
	{"unknown limits", -1, -1, 900, 0},
	{"unknown count", 1000, 25000, -1, 0},
	{"beyond 32 bits", INT64_C(1) << 40, 0, INT64_C(1) << 40, 1},
};

static void test_limits(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(limits); i++) {
		const struct step step = {2, limits[i].entries};
		struct world world;

		begin(&world);
		world.in.max_entries = limits[i].max;
		world.in.chain_limit_entries = limits[i].chain;
		go(&world, &step, 1);
		if ((world.kept[0] != '\0') != (limits[i].kind != 0) ||
		    world.logic.head.limit_kind != limits[i].kind)
			fail_msg("%s: kept \"%s\", limit %u", limits[i].what, world.kept,
				 world.logic.head.limit_kind);
	}
}

static void test_sums(void **state)
{
	static const struct step steps[] = {
		{5, 500}, {1, 850, 2}, {1, 990, 3, 4, 5}, {3, 1000, 1}, {1, 900}};
	struct world world;
	const struct incident_head *head = &world.logic.head;

	(void)state;
	begin(&world);
	go(&world, steps, UNIT_COUNT(steps));
	assert_int_equal(head->began_real_ns, START_REAL + 6 * NS_PER_S);
	assert_int_equal(head->stage_real_ns[INCIDENT_HIGH], head->began_real_ns);
	assert_int_equal(head->stage_real_ns[INCIDENT_DROPS], head->began_real_ns);
	assert_int_equal(head->stage_real_ns[INCIDENT_CRITICAL], head->began_real_ns + NS_PER_S);
	assert_int_equal(head->stage_real_ns[INCIDENT_RECOVERED], 0);
	/* What the first second of it dropped is part of it. */
	assert_int_equal(head->drops, 2 + 3 + 3);
	assert_int_equal(head->early_drops, 4);
	assert_int_equal(head->chain_drops, 5);
	assert_int_equal(head->peak_entries, 1000);
	assert_int_equal(head->peak_fill_ppm, 1000000);
	assert_int_equal(head->peak_real_ns, START_REAL + 8 * NS_PER_S);
	assert_int_equal(head->entries, 900);
	assert_int_equal(head->limit_entries, 1000);
}

/* A counter that runs backwards, a clock that does: nothing wraps. */
static void test_backwards(void **state)
{
	static const struct step steps[] = {{5, 500}, {2, 900, 1}};
	struct world world;

	(void)state;
	begin(&world);
	go(&world, steps, 2);
	world.in.drops = world.in.early_drops = world.in.chain_drops = 0;
	world.in.now_ns -= 100 * NS_PER_S;
	second(&world);
	assert_int_equal(world.logic.head.drops, 0);
	assert_string_equal(world.kept, "D");
	assert_true(world.logic.tokens_ns <= INCIDENTS_DAY_NS);
}

/* A table that fills again and again, a day long. */
static void test_day_is_bounded(void **state)
{
	static const struct step flap[] = {{5, 810}, {15 * MINUTE, 10}};
	static const struct step drop[] = {{5, 1000, 1}, {MINUTE, 10}};
	struct world world;

	(void)state;
	begin(&world);
	for (unsigned int i = 0; i < 20; i++)
		go(&world, flap, 2);
	/* A quarter is left for worse; what came back meanwhile is one in 90 minutes. */
	assert_in_range(world.id_count, 12, 16);
	assert_int_equal(world.logic.suppressed, 20 - world.id_count);
	for (unsigned int i = 0; i < 30; i++)
		go(&world, drop, 2);
	assert_in_range(world.id_count, 16, 21);
	assert_int_equal(world.logic.suppressed, 50 - world.id_count);
	for (unsigned int i = 0; i < 48 * 4; i++)
		go(&world, flap, 2);
	assert_in_range(world.id_count, 40, 21 + 2 * INCIDENTS_A_DAY + 2);
}

static void test_failed_writes(void **state)
{
	static const struct step high[] = {{5, 810}};
	static const struct step worse[] = {{5, 960}};
	static const struct step minutes[] = {{3 * MINUTE, 960}};
	static const struct step calm[] = {{20 * MINUTE, 10}};
	struct world world;

	(void)state;
	begin(&world);
	world.refuse = 2;
	go(&world, high, 1);
	assert_string_equal(world.kept, "h");
	/* Again with the next stage, without waiting... */
	go(&world, worse, 1);
	assert_string_equal(world.kept, "hc");
	/* ...and after a minute; the milder one is the same picture by now. */
	go(&world, minutes, 1);
	assert_string_equal(world.kept, "hcC");
	world.refuse = 1000;
	go(&world, calm, 1);
	assert_string_equal(world.kept, "hcCrrrrr");
	assert_int_equal(world.id_count, 1);
	world.refuse = 0;
	go(&world, high, 1);
	assert_string_equal(world.kept, "hcCrrrrrH");
	assert_int_equal(world.id_count, 2);
}

/* The disk hangs: nothing is asked for twice, and no new episode mixes with the old. */
static void test_answer_outstanding(void **state)
{
	struct world world;

	(void)state;
	begin(&world);
	world.in.count_entries = 810;
	world.in.now_ns += NS_PER_S;
	assert_int_equal(incident_trigger_second(&world.logic, &world.in, 1), INCIDENT_HIGH);
	incident_trigger_asked(&world.logic, INCIDENT_HIGH);
	for (unsigned int i = 0; i < 300; i++) {
		world.in.count_entries = i < 100 ? 990 : i < 200 ? 10 : 810;
		world.in.now_ns += NS_PER_S;
		world.in.now_real_ns += NS_PER_S;
		assert_int_equal(incident_trigger_second(&world.logic, &world.in, 2), INCIDENTS_NONE);
	}
	incident_trigger_answered(&world.logic, INCIDENT_HIGH, true);
	world.in.count_entries = 10;
	world.in.now_ns += NS_PER_S;
	assert_int_equal(incident_trigger_second(&world.logic, &world.in, 3), INCIDENT_RECOVERED);
}

static void test_resume(void **state)
{
	static const struct step full[] = {{9, 1000, 1}};
	static const struct step calm[] = {{40, 10}};
	struct incident_head head;
	struct world world;
	char id[INCIDENT_ID_BYTES];

	(void)state;
	begin(&world);
	go(&world, full, 1);
	head = world.logic.head;
	strcpy(id, head.id);
	begin(&world);
	world.in.drops = 50;
	incident_trigger_resume(&world.logic, &head, 1u << INCIDENT_DROPS);
	go(&world, full, 1);
	assert_string_equal(world.kept, "");
	go(&world, calm, 1);
	assert_string_equal(world.kept, "R");
	assert_string_equal(world.ids[0], id);
	/* The kernel went on counting from 8, in which it began. */
	assert_int_equal(world.logic.head.drops, 50 + 9 - 8);
}

static void test_tokens_of_before(void **state)
{
	static const struct step high[] = {{5, 810}};
	static const struct step full[] = {{5, 1000, 1}};
	struct world world;

	(void)state;
	begin(&world);
	incident_trigger_spend(&world.logic, 12);
	go(&world, high, 1);
	assert_string_equal(world.kept, "");
	go(&world, full, 1);
	assert_string_equal(world.kept, "D");
	begin(&world);
	incident_trigger_spend(&world.logic, UINT64_MAX);
	go(&world, full, 1);
	assert_string_equal(world.kept, "");
}

/* --- what goes -------------------------------------------------------------------------- */

static struct incident_item item(unsigned int number, int worst, uint32_t peak)
{
	struct incident_item made = {.stages = 1};

	snprintf(made.last.id, sizeof(made.last.id), "20260101T%06uZ-00000000", number);
	for (int i = 0; i <= worst; i++)
		made.last.stage_real_ns[i] = 1;
	made.last.peak_fill_ppm = peak;
	return made;
}

static void test_victim(void **state)
{
	/* Newest first. */
	struct incident_item items[8] = {
		item(80, 0, 1), item(70, 0, 1), item(60, 2, 9), item(50, 1, 5),
		item(40, 0, 8), item(30, 0, 8), item(20, 0, 9), item(10, 2, 9),
	};
	struct incident_list list = {.items = items, .count = 8};

	(void)state;
	/* The mildest, of those with the lowest peak, of those the oldest. */
	assert_int_equal(incident_trigger_victim(&list, 8, ""), 5);
	assert_int_equal(incident_trigger_victim(&list, 8, items[5].last.id), 4);
	items[4] = item(40, 2, 9);
	items[5] = item(30, 2, 9);
	assert_int_equal(incident_trigger_victim(&list, 8, ""), 6);
	items[6] = item(20, 2, 9);
	assert_int_equal(incident_trigger_victim(&list, 8, ""), 3);
	items[3] = item(50, 2, 9);
	assert_int_equal(incident_trigger_victim(&list, 8, ""), 7);
	/* The newest two of eight stay, and be they the mildest; of few the newest one. */
	list.count = 2;
	assert_int_equal(incident_trigger_victim(&list, 8, ""), -1);
	assert_int_equal(incident_trigger_victim(&list, 4, ""), 1);
	list.count = 0;
	assert_int_equal(incident_trigger_victim(&list, 4, ""), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stories),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_backwards),
		cmocka_unit_test(test_day_is_bounded),
		cmocka_unit_test(test_failed_writes),
		cmocka_unit_test(test_answer_outstanding),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_tokens_of_before),
		cmocka_unit_test(test_victim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
