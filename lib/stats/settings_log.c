// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/stats/settings_log.h"

#include <string.h>

#include "lib/shm/seqlock.h"

_Static_assert((unsigned int)SETTINGS <= SHM_SETTINGS, "settings have no room");

void settings_log_init(struct settings_log *log)
{
	memset(log, 0, sizeof(*log));
	for (uint32_t i = 0; i < SETTINGS; i++)
		log->settings[i].value = log->settings[i].before = -1;
}

static void publish(struct settings_log *log, uint32_t id, struct shm_settings *to)
{
	const struct settings_log_one *one = &log->settings[id];
	struct shm_setting_change *change = &to->change[log->head % SHM_SETTING_CHANGES];

	seq_write_begin(&to->seq);
	poke_u64(&change->real_ns, one->changed_real_ns);
	poke_i64(&change->before, one->before);
	poke_i64(&change->after, one->value);
	poke_u32(&change->setting, id);
	poke_u32(&change->swings, one->swings);
	poke_u64(&to->setting[id].changed_real_ns, one->changed_real_ns);
	poke_u32(&to->setting[id].changes, one->changes);
	poke_u32(&to->setting[id].rank, one->rank);
	poke_u64(&to->head, ++log->head);
	seq_write_end(&to->seq);
}

static void change(struct settings_log *log, uint32_t id, int64_t value, uint64_t now_real_ns)
{
	struct settings_log_one *one = &log->settings[id];
	bool swings = one->changes && value == one->before &&
		      now_real_ns - one->changed_real_ns <= SETTINGS_SWING_NS;

	one->swings = swings ? one->swings + 1u : 1u;
	one->before = one->value;
	one->value = value;
	one->changed_real_ns = now_real_ns;
	if (!one->changes++)
		one->rank = ++log->ranked;
}

uint32_t settings_log_second(struct settings_log *log, const int64_t values[SETTINGS],
			     uint64_t now_real_ns, struct shm_settings *to)
{
	uint32_t changed = 0;

	for (uint32_t id = 0; id < SETTINGS; id++) {
		struct settings_log_one *one = &log->settings[id];

		if (values[id] < 0 || values[id] == one->value)
			continue;
		if (one->value < 0) {
			one->value = values[id];
			continue;
		}
		change(log, id, values[id], now_real_ns);
		publish(log, id, to);
		changed++;
	}
	return changed;
}
