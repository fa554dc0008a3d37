// SPDX-License-Identifier: GPL-2.0-or-later
/* Protocols that are neither TCP nor UDP: GRE, ESP, ICMP, SCTP and all others. */
#include <netinet/in.h>

#include "exporters/advice/model_detail.h"
#include "exporters/advice/patterns.h"

#define OTHER_SHARE 0.25

static unsigned int largest_state(const struct snap_row *row)
{
	unsigned int largest = 0;

	for (unsigned int i = 1; i < STATE_SLOTS_MAX; i++)
		if (row->states[i] > row->states[largest])
			largest = i;
	return largest;
}

int pattern_other_timeout(const struct row_key *key, unsigned int state)
{
	if (key->l4proto == L4_OTHER && key->port == IPPROTO_UDPLITE)
		return timeout_of_state(L4_UDP, state);
	return timeout_of_state(key->l4proto, state);
}

void pattern_other_protocol(struct look *look)
{
	for (size_t i = 0; i < look->model->count; i++) {
		const struct class *class = &look->model->classes[i];
		const struct snap_row *row = class->row;
		unsigned int state = largest_state(row);
		int timeout = pattern_other_timeout(&row->key, state);
		struct finding *finding;
		double stay_s;
		char text[32];

		if (row->key.l4proto == L4_TCP || row->key.l4proto == L4_UDP || timeout < 0 ||
		    row->entries < look->min_entries ||
		    look_share(look, row->entries) < OTHER_SHARE)
			continue;
		stay_s = own_timeout_s(look->model, &row->key, state);
		if (!(stay_s > 0))
			stay_s = timeout_s(&look->model->settings, timeout);
		finding = look_add(look, PATTERN_OTHER_PROTOCOL, CONFIDENCE_SURE, row->entries);
		if (!finding)
			return;
		finding_row(finding, &row->key, (int)state);
		finding_summary(
			finding,
			"%u entries of %s, most of them %s: each stays for %.0f s after its "
			"last packet (%s)",
			row->entries, row_text(&row->key, text), state_text(&row->key, (int)state),
			stay_s, timeout_info((unsigned int)timeout)->sysctl);
		if (row->key.l4proto == L4_OTHER)
			finding_figure(finding, "protocol_number", row->key.port);
		finding_figure(finding, "row_entries", row->entries);
		finding_figure(finding, "state_entries", row->states[state]);
		finding_figure(finding, "new_per_second", class->new_per_s);
		finding_figure(finding, "timeout_seconds", stay_s);
	}
}
