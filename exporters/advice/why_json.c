// SPDX-License-Identifier: GPL-2.0-or-later
#include <math.h>

#include "exporters/advice/patterns.h"
#include "exporters/advice/why.h"
#include "exporters/advice/write.h"
#include "exporters/render/nat.h"
#include "exporters/render/talkers.h"
#include "lib/health/health.h"

#define HOSTS_HIDDEN                                                                               \
	"addresses are shown to authenticated clients and over a unix socket: "                    \
	"/api/v1/talkers, conntide talkers; --web.show-hosts changes that"

const struct column why_columns[] = {
	{"netns", 0, "", "string", "name of the network namespace's table"},
	{"entries", 0, "", "integer", "the kernel's count"},
	{"max", 0, "", "integer", "the limit, 0 for none"},
	{"fill_ratio", 0, "", "number|null", "entries / limit; null without a limit"},
	{"level", 0, "", "string", "OK, HIGH, CRITICAL, FULL or UNKNOWN"},
	{"level_reason", 0, "", "string", "why, in words"},
	{"settles_at_entries", 0, "", "number|null", "where it settles, as in forecast"},
	{"quality", 0, "", "string", "exact, verified or not_exact"},
	{"urgent", 0, "", "boolean", "nearly full, or losing packets"},
	{"hosts_hidden", 0, "", "string|null", "how to see addresses; null where they are shown"},
	{"patterns", 0, "", "array", "known patterns, each with its confidence and figures"},
	{"holds", 0, "", "array", "the ports that hold most entries"},
	{"grew_minutes", 0, "", "object", "what grew since some minutes ago"},
	{"grew_hour", 0, "", "object", "what grew against the mean of the hour before"},
};
const size_t why_column_count = sizeof(why_columns) / sizeof(why_columns[0]);

static void write_state(struct json *json, const struct row_key *key, int state)
{
	json_string(json, "state",
		    state < 0 ? NULL : state_name(key->l4proto, (unsigned int)state));
}

/* Since the agent has kept them for this port; null where it has not. */
static void write_ends(struct json *json, const struct snap_row_detail *detail)
{
	static const char *const names[SHM_END_COUNT] = {"expired", "closed", "evicted", "deleted",
							 "unseen"};

	if (!detail) {
		json_string(json, "ended", NULL);
		return;
	}
	json_open_object(json, "ended");
	for (unsigned int i = 0; i < SHM_END_COUNT; i++)
		json_number(json, names[i], (double)detail->ends[i]);
	json_close(json);
}

static void write_holders(const struct why *why, const struct services *services, struct json *json)
{
	json_open_array(json, "holds");
	for (uint32_t i = 0; i < why->holder_count; i++) {
		const struct holder *holder = &why->holders[i];

		json_open_object(json, NULL);
		write_row(json, &holder->row->key, services);
		json_number(json, "entries", holder->row->entries);
		json_number(json, "share", write_round(holder->share));
		write_state(json, &holder->row->key, holder->state);
		json_number(json, "state_entries", holder->row->states[holder->state]);
		json_number(json, "new_per_second", write_round(holder->new_per_s));
		json_number(json, "mean_lifetime_seconds", write_round(holder->stay_s));
		write_ends(json, holder->detail);
		json_close(json);
	}
	json_close(json);
}

static void write_host(struct json *json, const struct snap_talker *host)
{
	char address[ADDRESS_BYTES];

	json_string(json, "address", format_address(host, false, address));
	json_number(json, "entries", host->entries);
	json_number(json, "error_entries", host->error_entries);
}

static void write_change(const struct change_of_table *change, const char *name,
			 const struct services *services, bool hosts, struct json *json)
{
	json_open_object(json, name);
	json_bool(json, "known", change->known);
	json_number(json, "over_seconds",
		    change->known ? write_round(change->over_s) : (double)NAN);
	json_number(json, "entries_before",
		    change->known ? round(change->before_entries) : (double)NAN);
	json_number(json, "entries_now", change->known ? change->entries : (double)NAN);
	json_open_array(json, "rows");
	for (uint32_t i = 0; i < change->row_count; i++) {
		const struct growth *growth = &change->rows[i];

		json_open_object(json, NULL);
		write_row(json, &growth->key, services);
		write_state(json, &growth->key, growth->state);
		json_number(json, "entries_before", round(growth->before_entries));
		json_number(json, "entries_now", growth->entries);
		json_number(json, "grew_entries", round(growth->entries - growth->before_entries));
		json_close(json);
	}
	json_close(json);
	if (hosts) {
		json_open_array(json, "hosts");
		for (uint32_t i = 0; i < change->host_count; i++) {
			json_open_object(json, NULL);
			write_host(json, &change->hosts[i].host);
			json_number(json, "entries_before", round(change->hosts[i].before_entries));
			json_close(json);
		}
		json_close(json);
	}
	json_close(json);
}

/* The largest, and beside it all of them. */
static void write_other_side(const struct finding *finding, const struct services *services,
			     struct json *json)
{
	if (!finding->other_count)
		return;
	json_open_object(json, "other_side");
	write_row(json, &finding->others[0], services);
	json_close(json);
	json_open_array(json, "other_rows");
	for (uint32_t i = 0; i < finding->other_count; i++) {
		json_open_object(json, NULL);
		write_row(json, &finding->others[i], services);
		json_close(json);
	}
	json_close(json);
}

static void write_finding(const struct finding *finding, const struct services *services,
			  bool hosts, struct json *json)
{
	const struct pattern_info *info = pattern_info(finding->pattern);

	json_open_object(json, NULL);
	json_string(json, "pattern", info->id);
	json_string(json, "title", info->title);
	json_string(json, "confidence", confidence_name(finding->confidence));
	json_string(json, "summary", finding->summary);
	json_string(json, "unsure", finding->unsure);
	json_string(json, "what_to_do", info->todo);
	json_number(json, "entries", finding->entries);
	json_number(json, "share", write_round(finding->share));
	json_open_array(json, "rows");
	for (uint32_t i = 0; i < finding->row_count; i++) {
		json_open_object(json, NULL);
		write_row(json, &finding->rows[i], services);
		write_state(json, &finding->rows[i], finding->state);
		json_close(json);
	}
	json_close(json);
	write_other_side(finding, services, json);
	json_open_object(json, "figures");
	for (uint32_t i = 0; i < finding->figure_count; i++)
		json_number(json, finding->figures[i].name, write_round(finding->figures[i].value));
	json_close(json);
	if (finding->pool && hosts) {
		char pool[NAT_NAME_BYTES];

		json_string(json, "pool", nat_pool_name(finding->pool, pool));
	}
	if (finding->has_host && hosts) {
		json_open_object(json, "host");
		json_string(json, "role", finding->host_is_source ? "source" : "destination");
		write_host(json, &finding->host);
		json_close(json);
	}
	json_close(json);
}

void why_json(const struct why *why, const struct services *services, bool hosts, struct text *out)
{
	const struct snap_live *live = &why->snap->live;
	double fill = health_fill_ratio(live);
	char words[HEALTH_WORDS_BYTES];
	uint32_t settles_at;
	struct json json;

	json_begin(&json);
	if (health_rehearsal(why->snap))
		json_string(&json, "REHEARSAL", health_rehearsal_words());
	json_string(&json, "netns", why->snap->netns_name);
	json_number(&json, "entries", (double)live->count_entries);
	json_number(&json, "max", (double)live->max_entries);
	json_number(&json, "fill_ratio", fill >= 0 ? write_round(fill) : (double)NAN);
	json_string(&json, "level", snap_level_name(health_level(why->snap)));
	json_string(&json, "level_reason", health_level_reason(why->snap, words));
	json_number(&json, "settles_at_entries",
		    health_settles_at(why->snap, &settles_at) ? (double)settles_at : (double)NAN);
	json_string(&json, "quality", snap_quality_name(health_quality(why->snap)));
	json_bool(&json, "urgent", why->urgent);
	json_string(&json, "hosts_hidden", hosts ? NULL : HOSTS_HIDDEN);
	json_open_array(&json, "patterns");
	for (uint32_t i = 0; i < why->finding_count; i++)
		write_finding(&why->findings[i], services, hosts, &json);
	json_close(&json);
	write_holders(why, services, &json);
	write_change(&why->minutes, "grew_minutes", services, hosts, &json);
	write_change(&why->hour, "grew_hour", services, hosts, &json);
	json_end(&json, out);
}
