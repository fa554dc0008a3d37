// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/whatif_nat.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/num.h"
#include "lib/event/event.h"

#define ADDRESSES "nat.addresses"
#define PORTS	  "nat.ports"

bool whatif_nat_is_key(const char *key)
{
	return !strcmp(key, ADDRESSES) || !strcmp(key, PORTS);
}

bool whatif_nat_asked(const struct whatif_nat *nat)
{
	return nat->addresses || nat->ports.last;
}

static int take_ports(struct whatif_nat *nat, const char *value)
{
	const char *at = value;
	uint64_t first, last;

	if (num_take_u64(&at, UINT16_MAX, &first) || *at++ != '-' ||
	    num_take_u64(&at, UINT16_MAX, &last) || *at || !first || first > last)
		return -EINVAL;
	nat->ports = (struct nat_port_range){(uint16_t)first, (uint16_t)last};
	return 0;
}

int whatif_nat_add(struct whatif_nat *nat, const char *key, const char *value, char *why,
		   size_t bytes)
{
	bool ports = !strcmp(key, PORTS);

	if (ports ? nat->ports.last : nat->addresses)
		snprintf(why, bytes, "%s is given twice.", key);
	else if (ports && take_ports(nat, value))
		snprintf(why, bytes,
			 PORTS " is a first and a last port like 1024-65535, not "
			       "\"%.30s\".",
			 value);
	else if (!ports && num_u32(value, 1, WHATIF_NAT_ADDRESSES_MAX, &nat->addresses))
		snprintf(why, bytes, ADDRESSES " is a number from 1 to %u, not \"%.30s\".",
			 WHATIF_NAT_ADDRESSES_MAX, value);
	else
		return 0;
	return -EINVAL;
}

struct whatif_nat_result whatif_nat_run(const struct whatif_nat *nat, const struct snap_live *live)
{
	struct whatif_nat_result result = {.known =
						   live->nat_pools > 0 && live->nat_size_ports > 0};
	uint32_t addresses = nat->addresses ? nat->addresses : 1;
	double failing;

	if (!result.known)
		return result;
	result.held = (double)live->nat_held_ports;
	result.size = (double)live->nat_size_ports;
	result.failing_share = (double)live->nat_failing_ppm / 1e6;
	result.size_then = nat->ports.last ? nat->ports.last - nat->ports.first + 1.0 : result.size;
	/* What fails was never held: as many more as fail now. */
	failing = result.failing_share < 0.5 ? result.failing_share : 0.5;
	result.held_then = ceil(result.held / (1.0 - failing) / addresses);
	if (result.held_then > result.size_then)
		result.held_then = result.size_then;
	result.failing_share_then =
		nat_failing_share((uint32_t)result.held_then, (uint32_t)result.size_then);
	return result;
}

static const char *ports_text(const struct whatif_nat *nat, char out[48])
{
	snprintf(out, 48, PORTS "=%u-%u", nat->ports.first, nat->ports.last);
	return out;
}

static const char *addresses_text(const struct whatif_nat *nat, char out[48])
{
	snprintf(out, 48, ADDRESSES "=%u", nat->addresses);
	return out;
}

void whatif_nat_changes(const struct whatif_nat *nat, struct text *out)
{
	char text[48];

	if (nat->addresses)
		text_add_format(out, " %s", addresses_text(nat, text));
	if (nat->ports.last)
		text_add_format(out, " %s", ports_text(nat, text));
}

void whatif_nat_text(const struct whatif_nat *nat, const struct snap_live *live, struct text *out)
{
	const struct whatif_nat_result result = whatif_nat_run(nat, live);
	char port[16] = "";

	if (!whatif_nat_asked(nat))
		return;
	if (!result.known) {
		text_add(out, "nat       nothing is translated\n");
		return;
	}
	if (live->nat_remote_port)
		snprintf(port, sizeof(port), "/%u", (unsigned int)(uint16_t)live->nat_remote_port);
	text_add_format(
		out,
		"nat       the fullest pool, towards %s%s: %.0f of %.0f ports held (%.1f %%), "
		"%.3g %% of new connections fail\n",
		l4proto_info(ct_l4proto((uint8_t)live->nat_l4num))->name, port, result.held,
		result.size, 100 * result.held / result.size, 100 * result.failing_share);
	text_add_format(
		out,
		"          then %.0f of %.0f%s (%.1f %%), %.3g %% fail, once its entries are "
		"spread\n",
		result.held_then, result.size_then, nat->addresses > 1 ? " of each" : "",
		100 * result.held_then / result.size_then, 100 * result.failing_share_then);
}

void whatif_nat_json_changes(const struct whatif_nat *nat, struct json *json)
{
	char text[48];

	if (nat->addresses)
		json_string(json, NULL, addresses_text(nat, text));
	if (nat->ports.last)
		json_string(json, NULL, ports_text(nat, text));
}

void whatif_nat_json(const struct whatif_nat *nat, const struct snap_live *live, struct json *json)
{
	const struct whatif_nat_result result = whatif_nat_run(nat, live);

	if (!whatif_nat_asked(nat) || !result.known) {
		json_string(json, "nat", NULL);
		return;
	}
	json_open_object(json, "nat");
	json_number(json, "held_ports", result.held);
	json_number(json, "size_ports", result.size);
	json_number(json, "failing_share", result.failing_share);
	json_number(json, "held_ports_then", result.held_then);
	json_number(json, "size_ports_then", result.size_then);
	json_number(json, "ratio_then", result.held_then / result.size_then);
	json_number(json, "failing_share_then", result.failing_share_then);
	json_close(json);
}
