// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Changes of the kernel's settings as metrics: two series for each setting that changed since
 * the agent started, the first SETTINGS_SHOWN of them; all others are setting="other".
 */
#include <stdio.h>

#include "exporters/render/families.h"
#include "lib/kernel/settings.h"

#define LABELS_BYTES   256u
#define SETTINGS_SHOWN 16u

static void add_one(struct families *families, const char *prefix, const char *name,
		    const struct snap_setting *setting)
{
	char labels[LABELS_BYTES];

	snprintf(labels, sizeof(labels), "%s,setting=\"%s\"", prefix, name);
	families_add_u64(families, FAMILY_SETTING_CHANGES, labels, setting->changes);
	families_add_double(families, FAMILY_SETTING_CHANGED, labels,
			    (double)(setting->changed_real_ns / 1000000u) / 1e3);
}

void families_add_settings(struct families *families, const struct snap_settings *settings,
			   const char *prefix)
{
	struct snap_setting other = {0};

	for (unsigned int i = 0; i < SETTINGS; i++) {
		const struct snap_setting *setting = &settings->settings[i];
		struct setting_info info;

		if (!setting->changes || !setting_info(i, &info))
			continue;
		if (setting->rank <= SETTINGS_SHOWN) {
			add_one(families, prefix, info.name, setting);
			continue;
		}
		other.changes += setting->changes;
		if (setting->changed_real_ns > other.changed_real_ns)
			other.changed_real_ns = setting->changed_real_ns;
	}
	if (other.changes)
		add_one(families, prefix, "other", &other);
}
