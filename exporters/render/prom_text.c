// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/prom_text.h"

#include <inttypes.h>
#include <string.h>

static const char *const suffixes[] = {[SUFFIX_NONE] = "",
				       [SUFFIX_BUCKET] = "_bucket",
				       [SUFFIX_COUNT] = "_count",
				       [SUFFIX_SUM] = "_sum"};

/* OpenMetrics escapes quotes in HELP as well; 0.0.4 does not. */
static void add_help(struct text *out, const char *help, enum prom_format format)
{
	for (; *help; help++) {
		if (*help == '\\' || (*help == '"' && format == PROM_OPENMETRICS_1))
			text_add_char(out, '\\');
		if (*help == '\n')
			text_add(out, "\\n");
		else
			text_add_char(out, *help);
	}
	text_add_char(out, '\n');
}

static void add_head(struct text *out, const struct family_info *info, enum prom_format format)
{
	const char *total = "_total";
	size_t bytes = strlen(info->name);

	if (format == PROM_OPENMETRICS_1 && info->type == FAMILY_COUNTER)
		bytes -= strlen(total);
	text_add(out, "# HELP ");
	text_add_bytes(out, info->name, bytes);
	text_add_char(out, ' ');
	add_help(out, info->means, format);
	text_add(out, "# TYPE ");
	text_add_bytes(out, info->name, bytes);
	text_add_format(out, " %s\n",
			format == PROM_OPENMETRICS_1 ? family_type_openmetrics(info->type)
						     : family_type_name(info->type));
	if (format == PROM_OPENMETRICS_1 && info->unit[0]) {
		text_add(out, "# UNIT ");
		text_add_bytes(out, info->name, bytes);
		text_add_format(out, " %s\n", info->unit);
	}
}

static void add_sample(struct text *out, const struct families *families,
		       const struct sample *sample)
{
	text_add(out, family_info(sample->family)->name);
	text_add(out, suffixes[sample->suffix]);
	if (sample->label_bytes) {
		text_add_char(out, '{');
		text_add_bytes(out, families->labels.data + sample->label_at, sample->label_bytes);
		text_add_char(out, '}');
	}
	text_add_char(out, ' ');
	if (!sample->integer) {
		text_add_double(out, sample->value);
	} else {
		if (sample->number < 0)
			text_add_char(out, '-');
		text_add_u64(out, sample->number < 0 ? 0 - (uint64_t)sample->number
						     : (uint64_t)sample->number);
	}
	text_add_char(out, '\n');
}

void prom_text(const struct families *families, enum prom_format format, struct text *out)
{
	enum family_id last = FAMILY_COUNT;

	for (size_t i = 0; i < families->count; i++) {
		const struct sample *sample = &families->samples[i];

		if (sample->family != last)
			add_head(out, family_info(sample->family), format);
		last = sample->family;
		add_sample(out, families, sample);
	}
	if (format == PROM_OPENMETRICS_1)
		text_add(out, "# EOF\n");
	if (families->failed)
		out->failed = true;
}
