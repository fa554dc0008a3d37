// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/render: sums that are exact, series that stay, text that is escaped. */
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

#include "exporters/render/families.h"
#include "exporters/render/prom_text.h"
#include "exporters/render/rows.h"
#include "exporters/render/select.h"
#include "lib/health/health.h"
#include "lib/kernel/states.h"

static struct snap_row rows[400];

static struct snapshot snapshot_of(size_t count)
{
	struct snapshot snap;

	snapshot_init(&snap);
	snap.agent = SNAP_AGENT_UP;
	snap.age_ns = 0;
	strcpy(snap.netns_name, "host");
	snap.live.mode = SHM_MODE_FULL;
	snap.rows = rows;
	snap.row_count = count;
	for (size_t i = 0; i < count; i++)
		snap.live.mirror_entries += rows[i].entries;
	return snap;
}

static void random_row(struct rng *rng, struct snap_row *row)
{
	const struct l4proto_info *info;

	memset(row, 0, sizeof(*row));
	row->key.l4proto = (uint8_t)rng_below(rng, L4_COUNT);
	row->key.direction = (uint8_t)rng_below(rng, DIR_COUNT);
	info = l4proto_info(row->key.l4proto);
	row->key.port = info->has_ports ? (uint16_t)rng_below(rng, 65536) : 0;
	row->slot = -1;
	for (unsigned int s = 0; s < 1u << info->state_bits; s++)
		if (rng_percent(rng, 50))
			row->states[s] = rng_below(rng, 1000);
	for (unsigned int s = 0; s < STATE_SLOTS_MAX; s++)
		row->entries += row->states[s];
}

static double sum_of(const struct families *families, enum family_id id)
{
	double sum = 0;

	for (size_t i = 0; i < families->count; i++)
		if (families->samples[i].family == id)
			sum += (double)families->samples[i].number;
	return sum;
}

/* Whatever the rows, the slots and the limit: the parts add up to the whole, and
 * there are no more series than promised. */
static void random_table(uint64_t seed)
{
	struct rng rng = rng_seeded(seed);
	struct series_memory memory = {0};
	struct families_options options = {
		.series_limit = 400, .series_taken = 20, .revision = "r", .version = "v"};

	for (int scrape = 0; scrape < 5; scrape++) {
		size_t count = rng_below(&rng, 400);
		struct families families;
		struct snapshot snap;

		for (size_t i = 0; i < count; i++) {
			random_row(&rng, &rows[i]);
			if (i < SHM_SLOT_COUNT && rng_percent(&rng, 70)) {
				rows[i].slot = (int32_t)i;
				rows[i].slot_generation = 1 + rng_below(&rng, 3);
				rows[i].slot_new_entries = rng_below(&rng, 100);
			}
		}
		snap = snapshot_of(count);
		families_init(&families);
		families_build(&families, &snap, "host", "missing", &options, &memory);
		families_sort(&families);
		assert_seeded(seed, !families.failed);
		assert_seeded(seed, fabs(sum_of(&families, FAMILY_ENTRIES) -
					 sum_of(&families, FAMILY_MIRROR)) < 0.5);
		assert_seeded(seed, families.count + options.series_taken <= 400 ||
					    memory.counters_hidden);
		assert_seeded(seed, families.count + options.series_taken <= 440);
		families_free(&families);
	}
}

static void test_sums(void **state)
{
	(void)state;
	unit_seeds("tables", 300, random_table);
}

/* As many pools and zones as are published, some of equal labels. */
static void fill_pools(struct rng *rng, struct snapshot *snap)
{
	struct snap_nat *nat = &snap->nat;

	*nat = (struct snap_nat){.valid = true, .count = SHM_NAT_POOLS};
	for (uint32_t i = 0; i < nat->count; i++) {
		struct snap_nat_pool *pool = &nat->pools[i];

		pool->l4proto = rng_percent(rng, 50) ? L4_TCP : L4_UDP;
		pool->ipv6 = rng_percent(rng, 50);
		pool->address[0] = 10;
		pool->remote[3] = (uint8_t)rng_below(rng, 8);
		pool->remote_port = 443;
		pool->zone = (uint16_t)rng_below(rng, 3);
		pool->translated = rng_percent(rng, 80);
		pool->used = pool->size = 64512;
	}
	snap->live.nat_pools = 100000;
	snap->zones = (struct snap_zones){SHM_ZONES, 1000, 5, 0, {{0, 0}}};
	for (uint32_t i = 0; i < SHM_ZONES; i++)
		snap->zones.zones[i] = (struct snap_zone){(uint16_t)i, 1000};
}

static bool same_labels(const struct families *families, const struct sample *a,
			const struct sample *b)
{
	return a->label_bytes == b->label_bytes &&
	       !memcmp(families->labels.data + a->label_at, families->labels.data + b->label_at,
		       a->label_bytes);
}

static uint32_t pool_series(const struct families *families, uint64_t seed)
{
	uint32_t found = 0;

	for (size_t i = 0; i < families->count; i++) {
		const struct sample *sample = &families->samples[i];

		found += sample->family == FAMILY_NAT_POOL;
		for (size_t j = 0; j < i && sample->family == FAMILY_NAT_POOL; j++)
			assert_seeded(seed, families->samples[j].family != FAMILY_NAT_POOL ||
						    !same_labels(families, sample,
								 &families->samples[j]));
	}
	return found;
}

/* However many pools and zones a gateway has: no more series than promised, none twice, and of
 * pools none where addresses must not be shown. */
static void random_gateway(uint64_t seed)
{
	struct rng rng = rng_seeded(seed);
	struct series_memory memory = {0};
	struct families_options options = {
		.series_limit = 400, .series_taken = 20, .revision = "r", .version = "v"};
	struct snapshot snap;

	for (size_t i = 0; i < UNIT_COUNT(rows); i++)
		random_row(&rng, &rows[i]);
	snap = snapshot_of(UNIT_COUNT(rows));
	fill_pools(&rng, &snap);
	for (int shows = 0; shows < 2; shows++) {
		struct families families;

		options.nat = shows ? &snap.nat : NULL;
		families_init(&families);
		families_build(&families, &snap, "host", "missing", &options, &memory);
		assert_seeded(seed, !families.failed);
		assert_seeded(seed, families.count + options.series_taken <= 400);
		assert_in_range(pool_series(&families, seed), shows, shows ? 16 : 0);
		families_free(&families);
	}
}

static void test_gateways_are_bounded(void **state)
{
	(void)state;
	unit_seeds("gateways", 100, random_gateway);
}

static void test_old_numbers_are_left_out(void **state)
{
	struct series_memory memory = {0};
	struct families_options options = {.revision = "r", .version = "v"};
	struct snapshot snap = snapshot_of(0);
	struct families families;

	(void)state;
	snap.agent = SNAP_AGENT_SILENT;
	snap.live.count_entries = 5;
	families_init(&families);
	families_build(&families, &snap, "host", "missing", &options, &memory);
	for (size_t i = 0; i < families.count; i++)
		assert_true(families.samples[i].family == FAMILY_UP ||
			    families.samples[i].family == FAMILY_AGENT_STATE ||
			    families.samples[i].family == FAMILY_HEARTBEAT ||
			    families.samples[i].family == FAMILY_LEVEL ||
			    families.samples[i].family == FAMILY_LEVEL_REASON ||
			    families.samples[i].family == FAMILY_QUALITY ||
			    families.samples[i].family == FAMILY_BUILD_INFO);
	families_free(&families);
}

static void test_names_of_namespaces_are_escaped(void **state)
{
	struct series_memory memory = {0};
	struct families_options options = {.revision = "r", .version = "v"};
	struct families families;
	struct text out;

	(void)state;
	families_init(&families);
	text_init(&out);
	families_build(&families, NULL, "a\"b\\c\nd\xff", "missing", &options, &memory);
	families_sort(&families);
	prom_text(&families, PROM_TEXT_004, &out);
	assert_non_null(strstr(out.data, "conntide_up{netns=\"a\\\"b\\\\c_d_\"} 0\n"));
	text_free(&out);
	families_free(&families);
}

/* The largest source is a share for everybody; its address is for those who may see hosts. */
static void test_talkers(void **state)
{
	static struct snap_talker_list sources;
	struct series_memory memory = {0};
	struct families_options options = {.revision = "r", .version = "v", .sources = &sources};
	struct snapshot snap = snapshot_of(0);
	struct text out;

	(void)state;
	sources.count = 20;
	for (uint32_t i = 0; i < sources.count; i++)
		sources.talkers[i] = (struct snap_talker){.address = {10, 0, 0, (uint8_t)(i + 1)},
							  .entries = 100 - i};
	snap.live.mirror_entries = 400;
	for (int shown = 0; shown < 2; shown++) {
		struct families families;
		size_t talkers = 0;

		options.shows_hosts = shown;
		families_init(&families);
		text_init(&out);
		families_build(&families, &snap, "host", "missing", &options, &memory);
		families_sort(&families);
		prom_text(&families, PROM_TEXT_004, &out);
		assert_non_null(
			strstr(out.data, "conntide_largest_talker_ratio{netns=\"host\"} 0.25\n"));
		for (size_t i = 0; i < families.count; i++)
			talkers += families.samples[i].family == FAMILY_TALKER;
		assert_int_equal(talkers, shown ? 16 : 0);
		assert_true(!!strstr(out.data, "address=\"10.0.0.1\"} 100\n") == shown);
		text_free(&out);
		families_free(&families);
	}
}

static void test_judgement(void **state)
{
	struct snapshot snap = snapshot_of(0);

	(void)state;
	snap.live.quality = SHM_QUALITY_EXACT;
	snap.live.limit_entries = 100;
	snap.live.level = SHM_LEVEL_CRITICAL;
	snap.live.count_entries = 96;
	assert_true(health_up(&snap) && health_exact(&snap));
	assert_int_equal(health_level(&snap), SHM_LEVEL_CRITICAL);
	snap.live.quality = SHM_QUALITY_VERIFIED;
	assert_false(health_exact(&snap));
	snap.live.mode = SHM_MODE_POLLING;
	assert_false(health_up(&snap));
	assert_string_equal(health_state(&snap), "degraded");
	snap.live.quality = SHM_QUALITY_EXACT;
	snap.agent = SNAP_AGENT_STOPPED;
	assert_false(health_fresh(&snap) || health_exact(&snap));
	assert_int_equal(health_level(&snap), SHM_LEVEL_UNKNOWN);
	snap.agent = SNAP_AGENT_UP;
	snap.live.limit_entries = 0;
	snap.live.level = SHM_LEVEL_OK;
	assert_true(health_fill_ratio(&snap.live) < 0);
	assert_int_equal(health_level(&snap), SHM_LEVEL_OK);
}

static void test_order_is_stable(void **state)
{
	struct rng rng = rng_seeded(7);
	struct selection selection;
	struct snapshot snap;
	struct select select;

	(void)state;
	for (size_t i = 0; i < 400; i++) {
		random_row(&rng, &rows[i]);
		rows[i].new_per_s = i % 3 ? (double)(i % 7) : (double)NAN;
		if (!rows[i].entries)
			rows[i].entries = rows[i].states[0] = 1;
	}
	snap = snapshot_of(400);
	for (int key = 0; key < SORT_COUNT; key++) {
		select_init(&select);
		select.sort = (enum sort_key)key;
		select.limit = 300;
		assert_int_equal(select_ports(&snap, &select, &selection), 0);
		assert_int_equal(selection.count, 300);
		assert_int_equal(selection.matches, 400);
		for (size_t i = 1; key == SORT_ENTRIES && i < selection.count; i++)
			assert_true(selection.picks[i - 1].entries >= selection.picks[i].entries);
		selection_free(&selection);
	}
}

static void test_text(void **state)
{
	struct text out;

	(void)state;
	text_init(&out);
	text_add_json_string(&out, "a\"\\\n\x01\xff\xc3\xa9\x7f");
	assert_string_equal(out.data, "\"a\\\"\\\\\\u000a\\u0001\xef\xbf\xbd\xc3\xa9\\u007f\"");
	text_clear(&out);
	text_add_html(&out, "<a href='x'>&\"");
	assert_string_equal(out.data, "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
	text_clear(&out);
	text_add_csv(&out, "a,\"b\"");
	assert_string_equal(out.data, "\"a,\"\"b\"\"\"");
	text_clear(&out);
	text_add_double(&out, 0.1);
	text_add_char(&out, ' ');
	text_add_double(&out, 1700000000.123);
	text_add_char(&out, ' ');
	text_add_double(&out, (double)INFINITY);
	text_add_char(&out, ' ');
	text_add_u64(&out, UINT64_MAX);
	assert_string_equal(out.data, "0.1 1700000000.123 +Inf 18446744073709551615");
	text_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_gateways_are_bounded),
		cmocka_unit_test(test_old_numbers_are_left_out),
		cmocka_unit_test(test_names_of_namespaces_are_escaped),
		cmocka_unit_test(test_talkers),
		cmocka_unit_test(test_judgement),
		cmocka_unit_test(test_order_is_stable),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests_name("render/families", tests, NULL, NULL);
}
