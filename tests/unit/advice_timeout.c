// SPDX-License-Identifier: GPL-2.0-or-later
/* exporters/advice: entries whose timeout no setting of the kernel holds. */
#include "tests/unit/unit.h"

#include <math.h>
#include <string.h>

#include "exporters/advice/model_detail.h"
#include "tests/unit/made.h"

/* 6000 that nobody answered, each there until its timeout. */
static struct made *with_policy(struct made *made, uint32_t timeout_s)
{
	struct snap_row *row = made_row(made, L4_UDP, DIR_FORWARDED, 5060);

	made_state(row, ST_GENERIC_UNREPLIED, 6000);
	made_rate(row, 6000 / (timeout_s + 5.0));
	made_stays(made, row, ST_GENERIC_UNREPLIED, 1000, timeout_s + 5);
	made_lives(made, row, 1000, timeout_s + 5);
	made_timeout(made, row, ST_GENERIC_UNREPLIED, timeout_s);
	return made;
}

static struct made *under_a_policy(uint32_t timeout_s)
{
	return with_policy(made_healthy(), timeout_s);
}

static const struct row_key sip = {L4_UDP, DIR_FORWARDED, 5060};

static bool says(const struct advice_item *item, const char *what)
{
	for (uint32_t i = 0; i < item->command_count; i++)
		if (strstr(item->commands[i].text, what))
			return true;
	return false;
}

static void test_named(void **state)
{
	struct made *made = under_a_policy(600);
	const uint32_t helped[5] = {0, 0, 6000, 0, 0};
	const struct finding *finding;

	(void)state;
	made_assert_named(made, "long-timeout", CONFIDENCE_SURE);
	finding = made_finding(made, "long-timeout");
	assert_non_null(strstr(finding->summary, "each stays for 600 s after its last packet, not "
						 "for the 30 s of nf_conntrack_udp_timeout: a "
						 "timeout policy sets it"));
	assert_int_equal((int)made_figure(finding, "own_timeout_seconds"), 600);
	assert_int_equal((int)made_figure(finding, "setting_seconds"), 30);
	made_advice(made);
	assert_true(says(made_item(made, "long-timeout-udp-5060"), "ct timeout"));
	made_facts(made, &made->rows[made->snap.row_count - 1], helped);
	made_look(made);
	finding = made_finding(made, "long-timeout");
	assert_non_null(strstr(finding->summary, "their connection-tracking helper sets it"));
	made_advice(made);
	assert_true(says(made_item(made, "long-timeout-udp-5060"), "ct helper"));
	made_free(made);
}

static double saved_by_udp_10(struct made *made)
{
	struct whatif whatif = {
		.count = 1,
		.changes = {{.kind = CHANGE_TIMEOUT, .timeout = TIMEOUT_UDP, .value = 10}}};
	struct whatif_result result;
	double saved;

	made_advice(made);
	assert_int_equal(whatif_run(&whatif, &made->model, &result), 0);
	saved = result.counted.now_entries;
	whatif_free(&result);
	return saved;
}

/* The setting has no hold on them: it saves nothing, and is not advised. */
static void test_setting_has_no_hold(void **state)
{
	struct made *made = with_policy(made_new(), 600);

	(void)state;
	assert_true(fabs(saved_by_udp_10(made)) < 1);
	assert_null(made_item(made, "timeout-udp"));
	assert_true(own_timeout_s(&made->model, &sip, ST_GENERIC_UNREPLIED) > 599);
	made_free(made);
	made = with_policy(made_new(), 30);
	assert_true(saved_by_udp_10(made) > 3000);
	assert_non_null(made_item(made, "timeout-udp"));
	made_free(made);
}

/* Told a second later than set; that of TCP connections nobody acknowledges; and one just longer.
 */
static void test_settings_are_no_policy(void **state)
{
	struct made *made = under_a_policy(29);
	struct snap_row *row;

	(void)state;
	made_look(made);
	assert_null(made_finding(made, "long-timeout"));
	assert_true(own_timeout_s(&made->model, &sip, ST_GENERIC_UNREPLIED) <= 0);
	assert_true(fabs(state_timeout_s(&made->model, &sip, ST_GENERIC_UNREPLIED) - 30) < 0.1);
	made_free(made);
	made = under_a_policy(50);
	made_look(made);
	assert_null(made_finding(made, "long-timeout"));
	assert_true(fabs(state_timeout_s(&made->model, &sip, ST_GENERIC_UNREPLIED) - 50) < 0.1);
	made_free(made);
	made = made_healthy();
	row = made_row(made, L4_TCP, DIR_FORWARDED, 4433);
	made_state(row, ST_TCP_CLOSE_WAIT, 6000);
	made_timeout(made, row, ST_TCP_CLOSE_WAIT, 300);
	made_look(made);
	assert_null(made_finding(made, "long-timeout"));
	made_free(made);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_named),
					   cmocka_unit_test(test_setting_has_no_hold),
					   cmocka_unit_test(test_settings_are_no_policy)};

	return cmocka_run_group_tests_name("advice_timeout", tests, NULL, NULL);
}
