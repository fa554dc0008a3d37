// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/settings.h"

#include <inttypes.h>
#include <stdio.h>

#include "exporters/render/age.h"

static const char *verb(const struct snap_setting_change *change, enum setting_kind kind)
{
	if (kind == SETTING_SWITCH || kind == SETTING_RANGE)
		return "changed";
	return change->after < change->before ? "lowered" : "raised";
}

const char *setting_words(const struct snap_setting_change *change, bool dated,
			  char out[SETTING_WORDS_BYTES])
{
	char before[SETTING_VALUE_BYTES], after[SETTING_VALUE_BYTES], time[32];
	struct setting_info info = {"?", NULL, SETTING_NUMBER};
	size_t at;

	setting_info(change->setting, &info);
	at = (size_t)snprintf(out, SETTING_WORDS_BYTES, "%s %s from %s to %s", info.name,
			      verb(change, info.kind),
			      setting_value(change->setting, change->before, before),
			      setting_value(change->setting, change->after, after));
	if (dated && at < SETTING_WORDS_BYTES)
		at += (size_t)snprintf(out + at, SETTING_WORDS_BYTES - at, " at %s",
				       format_time(change->real_ns, time));
	if (change->swings >= SETTING_SWINGS && at < SETTING_WORDS_BYTES)
		snprintf(out + at, SETTING_WORDS_BYTES - at,
			 ", back and forth %" PRIu32
			 " times: two programs write it, for example kube-proxy and sysctl.d",
			 change->swings);
	return out;
}

static bool within(const struct snap_setting_change *change, uint64_t from, uint64_t to)
{
	return change->real_ns > from && change->real_ns <= to;
}

/* A number where it is one: of a range the text is the value. */
static void add_value(const struct snap_setting_change *change, enum setting_kind kind,
		      const char *name, int64_t value, struct text *out)
{
	char text[SETTING_VALUE_BYTES];

	if (kind == SETTING_RANGE)
		text_add_format(out, ",\"%s\":\"%s\"", name,
				setting_value(change->setting, value, text));
	else
		text_add_format(out, ",\"%s\":%" PRId64, name, value);
}

static void add_change(const struct snap_setting_change *change, struct text *out)
{
	char words[SETTING_WORDS_BYTES], time[32];
	struct setting_info info = {"?", NULL, SETTING_NUMBER};

	setting_info(change->setting, &info);
	text_add_format(out, "{\"setting\":\"%s\"", info.name);
	add_value(change, info.kind, "old", change->before, out);
	add_value(change, info.kind, "new", change->after, out);
	text_add_format(out, ",\"changed_at\":\"%s\",\"back_and_forth\":%s,\"words\":",
			format_time(change->real_ns, time),
			change->swings >= SETTING_SWINGS ? "true" : "false");
	text_add_json_string(out, setting_words(change, true, words));
	text_add_char(out, '}');
}

void settings_json(const struct snap_settings *settings, uint64_t from_real_ns, uint64_t to_real_ns,
		   struct text *out)
{
	const char *separator = "";

	text_add_char(out, '[');
	for (uint32_t i = 0; i < settings->count; i++) {
		if (!within(&settings->changes[i], from_real_ns, to_real_ns))
			continue;
		text_add(out, separator);
		add_change(&settings->changes[i], out);
		separator = ",";
	}
	text_add_char(out, ']');
}

void settings_plain(const struct snap_settings *settings, uint64_t from_real_ns,
		    uint64_t to_real_ns, struct text *out)
{
	const char *separator = "";
	char words[SETTING_WORDS_BYTES];

	for (uint32_t i = 0; i < settings->count; i++) {
		if (!within(&settings->changes[i], from_real_ns, to_real_ns))
			continue;
		text_add_format(out, "%s%s", separator,
				setting_words(&settings->changes[i], false, words));
		separator = "; ";
	}
}
