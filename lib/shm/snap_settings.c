// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/shm/snap_settings.h"

#include <string.h>

#include "lib/shm/seq_retry.h"
#include "lib/shm/seqlock.h"

static bool copy_change(const struct shm_setting_change *from, struct snap_setting_change *to)
{
	struct setting_info info;

	to->real_ns = peek_u64(&from->real_ns);
	to->before = peek_i64(&from->before);
	to->after = peek_i64(&from->after);
	to->setting = peek_u32(&from->setting);
	to->swings = peek_u32(&from->swings);
	return to->real_ns && setting_info(to->setting, &info);
}

static void copy_all(const struct shm_settings *from, struct snap_settings *to)
{
	uint64_t head = peek_u64(&from->head);
	uint64_t count = head < SHM_SETTING_CHANGES ? head : SHM_SETTING_CHANGES;

	memset(to, 0, sizeof(*to));
	for (uint64_t i = 1; i <= count; i++)
		to->count += copy_change(&from->change[(head - i) % SHM_SETTING_CHANGES],
					 &to->changes[to->count]);
	for (uint32_t i = 0; i < SETTINGS; i++)
		to->settings[i] = (struct snap_setting){
			.changed_real_ns = peek_u64(&from->setting[i].changed_real_ns),
			.changes = peek_u32(&from->setting[i].changes),
			.rank = peek_u32(&from->setting[i].rank),
		};
}

void snap_settings_copy(const struct shm_settings *from, struct snap_settings *settings)
{
	for (int attempt = 0; attempt < SEQ_ATTEMPTS; attempt++, seq_nap_if_due(attempt)) {
		uint64_t at;

		if (!seq_read_begin(&from->seq, &at))
			continue;
		copy_all(from, settings);
		if (seq_read_valid(&from->seq, at))
			return;
	}
	memset(settings, 0, sizeof(*settings));
}
