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

struct mirror_offline {
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

static void begin(struct mirror_offline *offline)
{
	memset(offline, 0, sizeof(*offline));
	offline->in = (struct incident_trigger_input){.now_ns = START_NS,
						      .now_real_ns = START_REAL,
						      .max_entries = 1000,
						      .chain_limit_entries = 25000,
						      .drops = 7,
						      .early_drops = 70,
						      .chain_drops = 700};
	incident_trigger_init(&offline->logic, START_NS);
}

static void note(struct mirror_offline *offline, int stage, bool written)
{
	size_t at = strlen(offline->kept);

	assert_true(at + 1 < sizeof(offline->kept));
	offline->kept[at] = written ? letters[stage] : letters[stage] | 0x20;
	if (offline->id_count == 0 ||
	    strcmp(offline->ids[offline->id_count - 1], offline->logic.head.id) != 0) {
		assert_true(offline->id_count < 64);
		strcpy(offline->ids[offline->id_count++], offline->logic.head.id);
	}
}

static void second(struct mirror_offline *offline)
{
	int stage;

	offline->in.now_ns += NS_PER_S;
	offline->in.now_real_ns += NS_PER_S;
	stage = incident_trigger_second(&offline->logic, &offline->in, ++offline->random);
	if (stage == INCIDENTS_NONE)
		return;
	assert_true(stage >= 0 && stage < INCIDENT_STAGES);
	assert_true(incident_id_good(offline->logic.head.id));
	incident_trigger_asked(&offline->logic, stage);
	note(offline, stage, !offline->refuse);
	incident_trigger_answered(&offline->logic, stage, !offline->refuse);
	offline->refuse -= offline->refuse > 0;
}

static void go(struct mirror_offline *offline, const struct step *steps, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		for (unsigned int s = 0; s < steps[i].seconds; s++) {
			offline->in.count_entries = steps[i].entries;
			offline->in.drops += steps[i].drops;
			offline->in.early_drops += steps[i].early;
			offline->in.chain_drops += steps[i].chain;
			second(offline);
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
		struct mirror_offline offline;

		begin(&offline);
		go(&offline, stories[i].steps, UNIT_COUNT(stories[i].steps));
		if (strcmp(offline.kept, stories[i].kept) != 0 ||
		    offline.id_count != stories[i].incidents)
			fail_msg("%s: kept \"%s\" in %u, expected \"%s\" in %u", stories[i].what,
				 offline.kept, offline.id_count, stories[i].kept,
				 stories[i].incidents);
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
		struct mirror_offline offline;

		begin(&offline);
		offline.in.max_entries = limits[i].max;
		offline.in.chain_limit_entries = limits[i].chain;
		go(&offline, &step, 1);
		if ((offline.kept[0] != '\0') != (limits[i].kind != 0) ||
		    offline.logic.head.limit_kind != limits[i].kind)
			fail_msg("%s: kept \"%s\", limit %u", limits[i].what, offline.kept,
				 offline.logic.head.limit_kind);
	}
}

static void test_sums(void **state)
{
	static const struct step steps[] = {
		{5, 500}, {1, 850, 2}, {1, 990, 3, 4, 5}, {3, 1000, 1}, {1, 900}};
	struct mirror_offline offline;
	const struct incident_head *head = &offline.logic.head;

	(void)state;
	begin(&offline);
	go(&offline, steps, UNIT_COUNT(steps));
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
	struct mirror_offline offline;

	(void)state;
	begin(&offline);
	go(&offline, steps, 2);
	offline.in.drops = offline.in.early_drops = offline.in.chain_drops = 0;
	offline.in.now_ns -= 100 * NS_PER_S;
	second(&offline);
	assert_int_equal(offline.logic.head.drops, 0);
	assert_string_equal(offline.kept, "D");
	assert_true(offline.logic.tokens_ns <= INCIDENTS_DAY_NS);
}

/* A table that fills again and again, a day long. */
static void test_day_is_bounded(void **state)
{
	static const struct step flap[] = {{5, 810}, {15 * MINUTE, 10}};
	static const struct step drop[] = {{5, 1000, 1}, {MINUTE, 10}};
	struct mirror_offline offline;

	(void)state;
	begin(&offline);
	for (unsigned int i = 0; i < 20; i++)
		go(&offline, flap, 2);
	/* A quarter is left for worse; what came back meanwhile is one in 90 minutes. */
	assert_in_range(offline.id_count, 12, 16);
	assert_int_equal(offline.logic.suppressed, 20 - offline.id_count);
	for (unsigned int i = 0; i < 30; i++)
		go(&offline, drop, 2);
	assert_in_range(offline.id_count, 16, 21);
	assert_int_equal(offline.logic.suppressed, 50 - offline.id_count);
	for (unsigned int i = 0; i < 48 * 4; i++)
		go(&offline, flap, 2);
	assert_in_range(offline.id_count, 40, 21 + 2 * INCIDENTS_A_DAY + 2);
}

static void test_failed_writes(void **state)
{
	static const struct step high[] = {{5, 810}};
	static const struct step worse[] = {{5, 960}};
	static const struct step minutes[] = {{3 * MINUTE, 960}};
	static const struct step calm[] = {{20 * MINUTE, 10}};
	struct mirror_offline offline;

	(void)state;
	begin(&offline);
	offline.refuse = 2;
	go(&offline, high, 1);
	assert_string_equal(offline.kept, "h");
	/* Again with the next stage, without waiting... */
	go(&offline, worse, 1);
	assert_string_equal(offline.kept, "hc");
	/* ...and after a minute; the milder one is the same picture by now. */
	go(&offline, minutes, 1);
	assert_string_equal(offline.kept, "hcC");
	offline.refuse = 1000;
	go(&offline, calm, 1);
	assert_string_equal(offline.kept, "hcCrrrrr");
	assert_int_equal(offline.id_count, 1);
	offline.refuse = 0;
	go(&offline, high, 1);
	assert_string_equal(offline.kept, "hcCrrrrrH");
	assert_int_equal(offline.id_count, 2);
}

/* The disk hangs: nothing is asked for twice, and no new episode mixes with the old. */
static void test_answer_outstanding(void **state)
{
	struct mirror_offline offline;

	(void)state;
	begin(&offline);
	offline.in.count_entries = 810;
	offline.in.now_ns += NS_PER_S;
	assert_int_equal(incident_trigger_second(&offline.logic, &offline.in, 1), INCIDENT_HIGH);
	incident_trigger_asked(&offline.logic, INCIDENT_HIGH);
	for (unsigned int i = 0; i < 300; i++) {
		offline.in.count_entries = i < 100 ? 990 : i < 200 ? 10 : 810;
		offline.in.now_ns += NS_PER_S;
		offline.in.now_real_ns += NS_PER_S;
		assert_int_equal(incident_trigger_second(&offline.logic, &offline.in, 2),
				 INCIDENTS_NONE);
	}
	incident_trigger_answered(&offline.logic, INCIDENT_HIGH, true);
	offline.in.count_entries = 10;
	offline.in.now_ns += NS_PER_S;
	assert_int_equal(incident_trigger_second(&offline.logic, &offline.in, 3),
			 INCIDENT_RECOVERED);
}

static void test_resume(void **state)
{
	static const struct step full[] = {{9, 1000, 1}};
	static const struct step calm[] = {{40, 10}};
	struct incident_head head;
	struct mirror_offline offline;
	char id[INCIDENT_ID_BYTES];

	(void)state;
	begin(&offline);
	go(&offline, full, 1);
	head = offline.logic.head;
	strcpy(id, head.id);
	begin(&offline);
	offline.in.drops = 50;
	incident_trigger_resume(&offline.logic, &head, 1u << INCIDENT_DROPS);
	go(&offline, full, 1);
	assert_string_equal(offline.kept, "");
	go(&offline, calm, 1);
	assert_string_equal(offline.kept, "R");
	assert_string_equal(offline.ids[0], id);
	/* The kernel went on counting from 8, in which it began. */
	assert_int_equal(offline.logic.head.drops, 50 + 9 - 8);
}

static void test_tokens_of_before(void **state)
{
	static const struct step high[] = {{5, 810}};
	static const struct step full[] = {{5, 1000, 1}};
	struct mirror_offline offline;

	(void)state;
	begin(&offline);
	incident_trigger_spend(&offline.logic, 12);
	go(&offline, high, 1);
	assert_string_equal(offline.kept, "");
	go(&offline, full, 1);
	assert_string_equal(offline.kept, "D");
	begin(&offline);
	incident_trigger_spend(&offline.logic, UINT64_MAX);
	go(&offline, full, 1);
	assert_string_equal(offline.kept, "");
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

static void pool(struct mirror_offline *offline, unsigned int seconds, int64_t held,
		 unsigned int failures)
{
	offline->in.pool_held = held;
	offline->in.pool_size = 1000;
	offline->in.pool_ppm = held * 1000;
	for (unsigned int i = 0; i < seconds; i++) {
		offline->in.pool_failures += failures;
		second(offline);
	}
}

/* Ports that run out in an empty table are an incident of their own. */
static void test_nat_pool(void **state)
{
	struct mirror_offline offline;
	const struct incident_head *head = &offline.logic.head;

	(void)state;
	begin(&offline);
	offline.in.count_entries = 10;
	pool(&offline, 60, 849, 0);
	assert_string_equal(offline.kept, "");
	pool(&offline, 5, 850, 0);
	assert_string_equal(offline.kept, "H");
	assert_int_equal(head->limit_kind, INCIDENT_LIMIT_NAT);
	pool(&offline, 5, 940, 0);
	pool(&offline, 5, 1000, 1);
	assert_string_equal(offline.kept, "HCD");
	/* Hovering is not recovery; what it was stays said. */
	pool(&offline, 120, 835, 0);
	assert_string_equal(offline.kept, "HCD");
	pool(&offline, 60, 100, 0);
	assert_string_equal(offline.kept, "HCDR");
	assert_int_equal(head->limit_kind, INCIDENT_LIMIT_NAT);
	assert_int_equal(head->limit_entries, 1000);
	assert_int_equal(head->peak_entries, 1000);
	assert_int_equal(head->peak_fill_ppm, 1000000);
	assert_int_equal(offline.id_count, 1);
}

/* The table itself comes first, also when it fills after its ports did. */
static void test_table_before_pool(void **state)
{
	struct mirror_offline offline;
	const struct incident_head *head = &offline.logic.head;

	(void)state;
	begin(&offline);
	offline.in.count_entries = 10;
	pool(&offline, 5, 990, 0);
	assert_int_equal(head->limit_kind, INCIDENT_LIMIT_NAT);
	offline.in.count_entries = 810;
	pool(&offline, 5, 990, 0);
	assert_int_equal(head->limit_kind, 1);
	assert_int_equal(head->limit_entries, 1000);
	assert_int_equal(head->peak_entries, 810);
	assert_int_equal(head->peak_fill_ppm, 810000);
	assert_string_equal(offline.kept, "C");
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
		cmocka_unit_test(test_nat_pool),
		cmocka_unit_test(test_table_before_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
