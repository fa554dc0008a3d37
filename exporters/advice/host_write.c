// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>
#include <string.h>

#include "exporters/advice/host.h"
#include "exporters/render/json.h"

#define WIDTH	    80u
#define TEXT_COLUMN 23u

static const char *const item_names[] = {
	[HOST_ITEM_KERNEL] = "kernel",	     [HOST_ITEM_MODULE] = "module",
	[HOST_ITEM_RIGHTS] = "rights",	     [HOST_ITEM_EVENTS] = "events",
	[HOST_ITEM_HASH] = "hash",	     [HOST_ITEM_NETNS] = "namespace",
	[HOST_ITEM_LISTENERS] = "listeners", [HOST_ITEM_KUBE_PROXY] = "kube-proxy",
	[HOST_ITEM_MEMORY] = "memory",
};

static const char *word_name(enum host_word word)
{
	static const char *const names[] = {"ok", "note", "warning", "CRITICAL"};

	return names[word];
}

static const char *summary(const struct host_report *report)
{
	switch (report->word) {
	case HOST_CRITICAL:
		return "CRITICAL - this host is not ready for conntide";
	case HOST_WARNING:
		return "WARNING - this host is ready for conntide, but not as it should be";
	default:
		return "OK - this host is ready for conntide";
	}
}

/* Words until the line is full; the next begins below them. */
static void add_words(struct text *out, size_t from, const char *words)
{
	size_t at = out->bytes - from;

	for (bool first = true; *words; first = false) {
		size_t bytes = strcspn(words, " ");

		if (!first && at + 1 + bytes > WIDTH) {
			text_add_char(out, '\n');
			from = out->bytes;
			text_pad(out, from, TEXT_COLUMN);
			at = TEXT_COLUMN;
		} else if (!first) {
			text_add_char(out, ' ');
			at++;
		}
		text_add_bytes(out, words, bytes);
		at += bytes;
		words += bytes + strspn(words + bytes, " ");
	}
	text_add_char(out, '\n');
}

void host_text(const struct host_report *report, struct text *out)
{
	bool heading = false;

	text_add_format(out, "%s\n", summary(report));
	for (size_t i = 0; i < HOST_ITEM_COUNT; i++) {
		const struct host_item *item = &report->items[i];
		size_t from = out->bytes;

		if (!*item->text)
			continue;
		text_add_format(out, "  %s", item_names[i]);
		text_pad(out, from, 14);
		text_add(out, word_name(item->word));
		text_pad(out, from, TEXT_COLUMN);
		add_words(out, from, item->text);
	}
	for (size_t i = 0; i < HOST_ITEM_COUNT; i++) {
		if (!*report->items[i].change)
			continue;
		if (!heading)
			text_add(out, "Change:\n");
		heading = true;
		text_add_format(out, "  %s\n", report->items[i].change);
	}
	if (heading)
		text_add(out, "A sysctl lasts when it is in /etc/sysctl.d, and nf_conntrack in\n"
			      "/etc/modules-load.d, so that the key exists by then.\n");
}

static void add_known(struct json *json, const char *name, int64_t value)
{
	json_number(json, name, value < 0 ? (double)NAN : (double)value);
}

static void add_facts(struct json *json, const struct host_facts *facts)
{
	static const char *const places[] = {NULL, "host", "other"};

	json_open_object(json, "facts");
	json_string(json, "kernel", facts->release);
	json_bool(json, "nf_conntrack", facts->conntrack);
	json_bool(json, "nf_conntrack_netlink_seen", facts->ctnetlink);
	json_bool(json, "cap_net_admin", facts->net_admin);
	json_bool(json, "agent_up", facts->agent_up);
	add_known(json, "nf_conntrack_events", facts->events);
	add_known(json, "nf_conntrack_count", facts->count);
	add_known(json, "nf_conntrack_max", facts->max);
	add_known(json, "nf_conntrack_buckets", facts->buckets);
	json_string(json, "namespace", places[facts->place]);
	json_bool(json, "kube_proxy", facts->kube_proxy.runs);
	add_known(json, "memory_available_bytes", facts->available_bytes);
	json_open_array(json, "listeners");
	for (uint32_t i = 0; i < facts->listener_count && i < HOST_LISTENERS_MAX; i++) {
		json_open_object(json, NULL);
		json_string(json, "name",
			    *facts->listeners[i].name ? facts->listeners[i].name : NULL);
		json_number(json, "pid", (double)facts->listeners[i].pid);
		add_known(json, "drops", facts->listeners[i].drops);
		json_close(json);
	}
	json_close(json);
	json_close(json);
}

void host_json(const struct host_facts *facts, const struct host_report *report, struct text *out)
{
	struct json json;

	json_begin(&json);
	json_string(&json, "check",
		    report->word == HOST_CRITICAL  ? "CRITICAL"
		    : report->word == HOST_WARNING ? "WARNING"
						   : "OK");
	json_number(&json, "exit_status", host_exit_status(report));
	json_open_array(&json, "items");
	for (size_t i = 0; i < HOST_ITEM_COUNT; i++) {
		const struct host_item *item = &report->items[i];

		if (!*item->text)
			continue;
		json_open_object(&json, NULL);
		json_string(&json, "item", item_names[i]);
		json_string(&json, "word", word_name(item->word));
		json_string(&json, "text", item->text);
		json_string(&json, "change", *item->change ? item->change : NULL);
		json_close(&json);
	}
	json_close(&json);
	add_facts(&json, facts);
	json_end(&json, out);
}
