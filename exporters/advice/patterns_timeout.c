// SPDX-License-Identifier: GPL-2.0-or-later
/* Entries that stay for longer than the kernel's settings say. */
#include "exporters/advice/facts.h"
#include "exporters/advice/model_detail.h"
#include "exporters/advice/patterns.h"

/* Shorter than twice the setting's it fills no table that the setting's would not. */
#define LONG_TIMES 2
#define LONG_SHARE 0.2

static void add(struct look *look, const struct snap_row *row, unsigned int state, double own_s)
{
	int timeout = timeout_of_state(row->key.l4proto, state);
	double setting_s = timeout_s(&look->model->settings, timeout);
	bool helper = facts_helped(look->snap, look->details, &row->key);
	struct finding *finding;
	char text[32];

	finding = look_add(look, PATTERN_LONG_TIMEOUT, CONFIDENCE_SURE, row->states[state]);
	if (!finding)
		return;
	finding_row(finding, &row->key, (int)state);
	finding_summary(finding,
			"%u of %u entries of %s are %s, and each stays for %.0f s after its last "
			"packet, not for the %.0f s of %s: %s sets it",
			row->states[state], row->entries, row_text(&row->key, text),
			state_text(&row->key, (int)state), own_s, setting_s,
			timeout_info((unsigned int)timeout)->sysctl,
			helper ? "their connection-tracking helper" : "a timeout policy");
	finding_figure(finding, "state_entries", row->states[state]);
	finding_figure(finding, "own_timeout_seconds", own_s);
	finding_figure(finding, "setting_seconds", setting_s);
	finding_figure(finding, "helper", helper);
}

void pattern_long_timeout(struct look *look)
{
	for (size_t i = 0; i < look->model->count; i++) {
		const struct snap_row *row = look->model->classes[i].row;

		for (unsigned int state = 0; state < STATE_SLOTS_MAX; state++) {
			int timeout = timeout_of_state(row->key.l4proto, state);
			double own_s;

			if (row->states[state] < look->min_entries ||
			    look_share(look, row->states[state]) < LONG_SHARE)
				continue;
			own_s = own_timeout_s(look->model, &row->key, state);
			if (own_s > 0 &&
			    own_s >= LONG_TIMES * timeout_s(&look->model->settings, timeout))
				add(look, row, state, own_s);
		}
	}
}
