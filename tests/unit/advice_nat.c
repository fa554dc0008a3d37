// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/advice: ports of NAT that run out in a table that is nearly empty. */
#include "exporters/advice/remedies_nat.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

#include "exporters/advice/patterns.h"
#include "tests/unit/made.h"

static void assert_named(struct made *made, const char *id, enum confidence confidence)
{
	const struct finding *finding;

	made_look(made);
	finding = made_finding(made, id);
	assert_non_null(finding);
	assert_int_equal(finding->confidence, confidence);
	assert_true(confidence == CONFIDENCE_SURE || finding->unsure);
}

static void assert_none(struct made *made)
{
	made_look(made);
	assert_int_equal(made->why.finding_count, 0);
}

static struct made *healthy(void)
{
	struct made *made = made_new();

	made_short(made, DIR_FORWARDED, 443, 3, 5, 30);
	made_frames(made, 60);
	made_hour(made, 90);
	return made;
}

static struct snap_nat_pool *full_pool(struct made *made, uint32_t held, uint32_t size)
{
	struct snap_nat_pool *pool = &made->snap.nat.pools[0];
	const uint8_t client[4] = {10, 0, 0, 7}, remote[4] = {192, 0, 2, 9};
	const uint8_t address[4] = {203, 0, 113, 1};

	made->snap.nat.valid = true;
	made->snap.nat.count = 1;
	*pool = (struct snap_nat_pool){.l4num = 6,
				       .l4proto = L4_TCP,
				       .remote_port = 443,
				       .translated = true,
				       .used = held,
				       .held = held,
				       .size = size,
				       .ratio = (double)held / size,
				       .new_per_s = 20,
				       .client_used = held / 2,
				       .early_s = (double)INFINITY,
				       .likely_s = (double)INFINITY,
				       .late_s = (double)INFINITY};
	memcpy(pool->client, client, 4);
	memcpy(pool->remote, remote, 4);
	memcpy(pool->address, address, 4);
	return pool;
}

static const struct advice_item *advised(const struct made *made, const char *id)
{
	for (uint32_t i = 0; i < made->advice.count; i++)
		if (!strcmp(made->advice.items[i].id, id))
			return &made->advice.items[i];
	return NULL;
}

/* Ports that run out in an empty table, and what is advised. */
static void test_nat_pool(void **state)
{
	struct made *made = healthy();
	struct snap_frame *last = &made->minutes[made->details.minutes.count - 1];
	struct snap_nat_pool *pool = full_pool(made, 54000, 64512);
	struct text text;

	(void)state;
	assert_none(made);
	pool->likely_s = 300;
	assert_named(made, "nat-pool", CONFIDENCE_LIKELY);
	pool = full_pool(made, 60641, 64512);
	last->found = 5000;
	last->insert_failed = 50;
	assert_named(made, "nat-pool", CONFIDENCE_SURE);
	assert_null(made_finding(made, "nat-collisions"));
	text_init(&text);
	why_text(&made->why, NULL, true, &text);
	assert_non_null(strstr(text.data, "tcp 203.0.113.1 towards 192.0.2.9:443"));
	assert_non_null(strstr(text.data, "held most by: 10.0.0.7"));
	assert_non_null(strstr(text.data, "not the table: 94 % of the ports"));
	text_clear(&text);
	why_text(&made->why, NULL, false, &text);
	assert_null(strstr(text.data, "203.0.113.1"));
	assert_non_null(strstr(text.data, "conntide nat"));
	assert_non_null(strstr(text.data, "towards one destination, tcp/443"));
	text_free(&text);
	made_advice(made);
	assert_non_null(advised(made, "nat-addresses-tcp-443"));
	assert_non_null(advised(made, "nat-keepalive-tcp-443"));
	assert_non_null(advised(made, "nat-random-tcp-443"));
	assert_null(advised(made, "nat-range-tcp-443"));
	for (uint32_t i = 0; i < made->advice.count; i++)
		assert_null(strstr(made->advice.items[i].id, "size"));
	/* A small range has no runs of taken ports, and there is a wider one. */
	pool = full_pool(made, 98, 100);
	pool->first_port = 20000;
	pool->last_port = 20099;
	made_advice(made);
	assert_non_null(advised(made, "nat-range-tcp-443"));
	assert_null(advised(made, "nat-random-tcp-443"));
	/* Local ones are an estimate, and no finding. */
	pool->translated = false;
	last->found = last->insert_failed = 0;
	assert_none(made);
	made_free(made);
}

static void test_addresses_needed(void **state)
{
	struct snap_nat_pool pool = {.held = 60641, .size = 64512, .failing_share = 0.04};

	(void)state;
	assert_int_equal(nat_addresses_needed(&pool), 2);
	pool = (struct snap_nat_pool){.held = 64512, .size = 64512, .failing_share = 1};
	assert_int_equal(nat_addresses_needed(&pool), 3);
	pool = (struct snap_nat_pool){.held = 10, .size = 100};
	assert_int_equal(nat_addresses_needed(&pool), 2);
}

/* Where the file of the hosts cannot be read the scalars say it. */
static void test_nat_pool_without_hosts(void **state)
{
	struct made *made = healthy();
	struct snap_live *live = &made->snap.live;

	(void)state;
	live->nat_pools = 3;
	live->nat_used_ratio_ppm = 940000;
	live->nat_l4num = 6;
	live->nat_remote_port = 443;
	live->nat_held_ports = 60641;
	live->nat_size_ports = 64512;
	live->nat_full_likely_ms = -1;
	assert_named(made, "nat-pool", CONFIDENCE_SURE);
	assert_non_null(strstr(made_finding(made, "nat-pool")->summary, "towards tcp/443"));
	made_advice(made);
	made_free(made);
}

/* An agent's first frame ends after ten seconds, and each later one a while after what is in it:
 * until then the rates of the last ten seconds tell a search for ports from a clash. */
static void test_cause_before_a_frame_ends(void **state)
{
	struct made *made = healthy();
	struct snap_live *live = &made->snap.live;

	(void)state;
	for (int frames = 0; frames < 2; frames++) {
		if (!frames)
			made->details.minutes.count = 0;
		else
			made_frames(made, 60);
		live->insert_failed_milli_per_s = 5000;
		live->new_milli_per_s = 20000;
		live->found_milli_per_s = 500000;
		assert_named(made, "nat-collisions", CONFIDENCE_SURE);
		assert_null(made_finding(made, "insert-clash"));
		live->found_milli_per_s = 0;
		made_look(made);
		assert_non_null(made_finding(made, "insert-clash"));
		assert_null(made_finding(made, "nat-collisions"));
	}
	made_free(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_nat_pool),
					   cmocka_unit_test(test_nat_pool_without_hosts),
					   cmocka_unit_test(test_cause_before_a_frame_ends),
					   cmocka_unit_test(test_addresses_needed)};

	return cmocka_run_group_tests_name("advice_nat", tests, NULL, NULL);
}
