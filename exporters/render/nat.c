// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/nat.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "exporters/render/forecast_text.h"
#include "lib/event/event.h"
#include "lib/kernel/states.h"

#define ADDRESS_BYTES 48u

const struct column nat_columns[] = {
	{"l4proto", 8, "PROTO", "string", "protocol"},
	{"address", 24, "ADDRESS", "string", "outside address whose ports they are"},
	{"remote", 24, "REMOTE", "string", "address they lead to"},
	{"remote_port", 7, "PORT", "integer", "port they lead to; 0 where the protocol has none"},
	{"used", 8, "USED", "integer", "ports in use"},
	{"reclaimable", 8, "CLOSING", "integer",
	 "of these in TIME_WAIT or CLOSE, which this kernel takes back when it needs them; 0 "
	 "before Linux 6.5"},
	{"size", 8, "OF", "integer", "ports in its range"},
	{"ratio", 8, "HELD", "number", "(used - reclaimable) / size: what cannot be had"},
	{"new_per_second", 8, "NEW/S", "number", "new connections through it"},
	{"failing_share", 9, "FAILING", "number",
	 "share of its new connections that find no port: measured once they fail, else expected"},
	{"failing_expected", 9, "EXPECTED", "number",
	 "the same by which ports are used and which of them clients ask for; differs from "
	 "failing_share once that is measured"},
	{"failing_measured", 9, "MEASURED", "boolean", "failing_share was measured"},
	{"time_to_full_seconds", 12, "FULL IN/S", "object",
	 "until one new connection in ten fails; null: not within sight"},
	{"ports", 12, "PORTS", "string", "range they are from; empty: only its size is known"},
	{"kind", 7, "KIND", "string",
	 "snat: source NAT; local: this host's own connections, an estimate"},
	{"zone", 5, "ZONE", "integer", "conntrack zone of the replies"},
	{"client", 24, "MOSTLY", "string", "address behind it that holds most; empty: not known"},
	{"client_ports", 8, "ITS", "integer", "ports that one holds"},
	{"error_ports", 6, "FEWER", "integer", "used may be lower by this; 0: exact"},
	{"more_ports", 0, "MORE", "integer", "used may be higher by this; 0: exact"},
};
const size_t nat_column_count = sizeof(nat_columns) / sizeof(nat_columns[0]);

static const struct column time_columns[] = {
	{"early", 0, "", "number|null", "as the fastest of the last windows had it"},
	{"likely", 0, "", "number|null", "as the median of the last three has it"},
	{"late", 0, "", "number|null", "as the slowest had it"},
};

const struct column_part nat_parts[] = {
	{"time_to_full_seconds", time_columns, sizeof(time_columns) / sizeof(time_columns[0])},
	{NULL, NULL, 0},
};

static const char *address_text(const uint8_t address[16], bool ipv6, char out[ADDRESS_BYTES])
{
	return inet_ntop(ipv6 ? AF_INET6 : AF_INET, address, out, ADDRESS_BYTES) ? out : "?";
}

static void add_seconds(struct text *json, const char *name, double seconds)
{
	text_add_format(json, "%s\"%s\":", json->bytes > 1 ? "," : "", name);
	if (isfinite(seconds))
		text_add_double(json, seconds);
	else
		text_add(json, "null");
}

static void put_times(struct rows *rows, const struct snap_nat_pool *pool)
{
	struct text json;
	char plain[32] = "-";

	text_init(&json);
	text_add_char(&json, '{');
	add_seconds(&json, "early", pool->early_s);
	add_seconds(&json, "likely", pool->likely_s);
	add_seconds(&json, "late", pool->late_s);
	text_add_char(&json, '}');
	if (isfinite(pool->likely_s))
		snprintf(plain, sizeof(plain), "%.0f", pool->likely_s);
	rows_value(rows, text_failed(&json) ? "null" : json.data, plain);
	text_free(&json);
}

static void put_pool(struct rows *rows, const struct snap_nat_pool *pool)
{
	char address[ADDRESS_BYTES], ports[32] = "";

	rows_string(rows, l4proto_info(pool->l4proto)->name);
	rows_string(rows, address_text(pool->address, pool->ipv6, address));
	rows_string(rows, address_text(pool->remote, pool->ipv6, address));
	rows_port(rows, pool->remote_port);
	rows_u64(rows, pool->used);
	rows_u64(rows, pool->used - pool->held);
	rows_u64(rows, pool->size);
	rows_share(rows, pool->ratio);
	rows_double(rows, pool->new_per_s);
	rows_share(rows, pool->failing_share);
	rows_share(rows, pool->expected_share);
	rows_boolean(rows, true, pool->measured);
	put_times(rows, pool);
	if (pool->last_port)
		snprintf(ports, sizeof(ports), "%u-%u", pool->first_port, pool->last_port);
	rows_string(rows, ports);
	rows_string(rows, pool->translated ? "snat" : "local");
	rows_u64(rows, pool->zone);
	rows_string(rows, pool->client_used ? address_text(pool->client, pool->ipv6, address) : "");
	rows_u64(rows, pool->client_used);
	rows_u64(rows, pool->error);
	rows_u64(rows, pool->more);
}

void render_nat(const struct snap_nat *nat, int zone, size_t limit, enum rows_format format,
		struct text *out)
{
	struct rows rows;

	rows_begin(&rows, out, format, nat_columns, nat_column_count);
	rows_spare(&rows, "more_ports error_ports zone kind failing_measured ports client_ports "
			  "client reclaimable new_per_second size failing_share");
	for (uint32_t i = 0; i < nat->count && (!limit || rows.written < limit); i++)
		if (zone == NAT_ANY_ZONE || nat->pools[i].zone == zone)
			put_pool(&rows, &nat->pools[i]);
	rows_end(&rows);
}

const char *nat_pool_name(const struct snap_nat_pool *pool, char out[NAT_NAME_BYTES])
{
	char address[ADDRESS_BYTES], remote[ADDRESS_BYTES], port[16] = "";
	bool bracket = pool->ipv6 && pool->remote_port;

	if (pool->remote_port)
		snprintf(port, sizeof(port), ":%u", pool->remote_port);
	snprintf(out, NAT_NAME_BYTES, "%s %s towards %s%s%s%s", l4proto_info(pool->l4proto)->name,
		 address_text(pool->address, pool->ipv6, address), bracket ? "[" : "",
		 address_text(pool->remote, pool->ipv6, remote), bracket ? "]" : "", port);
	return out;
}

static void add_when(struct text *out, const struct snap_live *live)
{
	char span[32];

	if (live->nat_full_likely_ms < 0)
		return;
	text_add_format(out, "; full in %s as things stand",
			forecast_span((uint64_t)live->nat_full_likely_ms, span));
}

const char *nat_words(const struct snap_live *live, char out[NAT_WORDS_BYTES])
{
	double ratio = (double)live->nat_used_ratio_ppm / 1e6;
	double failing = (double)live->nat_failing_ppm / 1e6;
	struct text text;

	*out = '\0';
	if (live->nat_pools <= 0 || live->nat_used_ratio_ppm < 0)
		return out;
	text_init(&text);
	text_add_format(&text, "the fullest NAT pool, towards %s",
			l4proto_info(ct_l4proto((uint8_t)live->nat_l4num))->name);
	if (live->nat_remote_port)
		text_add_format(&text, "/%u", (unsigned int)(uint16_t)live->nat_remote_port);
	text_add_format(&text, ", holds %" PRId64 " of %" PRId64 " ports (%.3g %%)",
			live->nat_held_ports, live->nat_size_ports, ratio * 100);
	if (failing >= 0.0001)
		text_add_format(&text, "; %.2g %% of its new connections find none", failing * 100);
	add_when(&text, live);
	if (ratio >= NAT_HIGH_RATIO)
		text_add(&text, "; a larger table does nothing");
	if (!text_failed(&text))
		snprintf(out, NAT_WORDS_BYTES, "%s", text.data);
	text_free(&text);
	return out;
}
