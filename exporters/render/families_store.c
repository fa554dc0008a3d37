// SPDX-License-Identifier: GPL-2.0-or-later
/* The families, and their samples while they are collected. */
#include "exporters/render/families.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/check.h"

static const struct family_info infos[FAMILY_COUNT] = {
#define FAMILY(id, name, type, unit, means, act)                                                   \
	[FAMILY_##id] = {name, FAMILY_##type, unit, means, act},
#include "lib/shm/metrics.def"
#undef FAMILY
};

const struct family_info *family_info(enum family_id id)
{
	BUG_ON(id >= FAMILY_COUNT);
	return &infos[id];
}

const char *family_type_name(enum family_type type)
{
	static const char *const names[] = {"gauge", "counter", "histogram", "untyped"};

	return names[type];
}

const char *family_type_openmetrics(enum family_type type)
{
	return type == FAMILY_UNTYPED ? "unknown" : family_type_name(type);
}

enum family_id family_by_name(const char *name)
{
	const char *prefix = "conntide_";

	for (unsigned int i = 0; i < FAMILY_COUNT; i++) {
		const char *full = infos[i].name;

		if (!strcmp(full, name) || (!strncmp(full, prefix, strlen(prefix)) &&
					    !strcmp(full + strlen(prefix), name)))
			return (enum family_id)i;
	}
	return FAMILY_COUNT;
}

void families_init(struct families *families)
{
	memset(families, 0, sizeof(*families));
	text_init(&families->labels);
}

void families_free(struct families *families)
{
	free(families->samples);
	text_free(&families->labels);
	families_init(families);
}

static struct sample *append(struct families *families, enum family_id id)
{
	static struct sample lost;

	if (families->count == families->room) {
		size_t room = families->room ? 2 * families->room : 256;
		struct sample *samples = realloc(families->samples, room * sizeof(*samples));

		if (!samples) {
			families->failed = true;
			return &lost;
		}
		families->samples = samples;
		families->room = room;
	}
	families->samples[families->count] =
		(struct sample){.family = id, .label_at = families->labels.bytes};
	return &families->samples[families->count++];
}

void families_add_integer(struct families *families, enum family_id id, const char *labels,
			  int64_t number)
{
	struct sample *sample = append(families, id);

	sample->integer = true;
	sample->number = number;
	sample->label_bytes = strlen(labels);
	text_add(&families->labels, labels);
}

void families_add_u64(struct families *families, enum family_id id, const char *labels,
		      uint64_t value)
{
	families_add_integer(families, id, labels, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

void families_add_double(struct families *families, enum family_id id, const char *labels,
			 double value)
{
	struct sample *sample = append(families, id);

	sample->value = value;
	sample->label_bytes = strlen(labels);
	text_add(&families->labels, labels);
}

/* Families in the order of the table, samples in the order they came. */
void families_sort(struct families *families)
{
	struct sample *sorted = malloc((families->count + 1) * sizeof(*sorted));
	size_t at = 0;

	if (text_failed(&families->labels))
		families->failed = true;
	if (!sorted) {
		families->failed = true;
		return;
	}
	for (unsigned int id = 0; id < FAMILY_COUNT; id++)
		for (size_t i = 0; i < families->count; i++)
			if (families->samples[i].family == id)
				sorted[at++] = families->samples[i];
	free(families->samples);
	families->samples = sorted;
	families->room = families->count + 1;
}
