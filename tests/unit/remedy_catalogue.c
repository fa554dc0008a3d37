// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Prints every remedy for every kind of row, as advice would: a line "item NAME FAMILIES",
 * then a line "TOOL<tab>COMMAND" each. tests/netns/test_remedies.py runs them all.
 */
#include <stdio.h>
#include <string.h>

#include "exporters/advice/advice.h"
#include "exporters/advice/remedies.h"
#include "exporters/advice/remedies_nat.h"

static struct advice_item item;

static void begin(uint32_t families)
{
	memset(&item, 0, sizeof(item));
	item.families = families;
}

static void print(const char *what, const struct row_key *key)
{
	printf("item %s", what);
	if (key)
		printf("-%s-%u-%s", l4proto_info(key->l4proto)->name, key->port,
		       direction_name(key->direction));
	printf("-%u %u\n", item.families, item.families);
	for (uint32_t i = 0; i < item.command_count; i++)
		printf("%s\t%s\n", tool_name(item.commands[i].tool), item.commands[i].text);
	if (item.command_count == ADVICE_COMMANDS)
		printf("full\t\n");
}

static void of_row(const struct row_key *key, uint32_t families)
{
	static const char *const tcp_states[] = {"time_wait", "syn_sent", "syn_recv", "established",
						 "close_wait"};

	static const char *const udp_states[] = {"unreplied", "replied"};
	static const char *const deletable[] = {"TIME_WAIT", "CLOSE", "SYN_SENT", "SYN_RECV"};

	begin(families);
	remedy_notrack(&item, key);
	print("notrack", key);
	for (unsigned int i = 0; i < (key->l4proto == L4_TCP ? 5 : 2); i++) {
		begin(families);
		remedy_port_timeout(&item, key,
				    key->l4proto == L4_TCP ? tcp_states[i] : udp_states[i], 7);
		print("port-timeout", key);
	}
	if (key->l4proto != L4_TCP) {
		begin(families);
		remedy_delete(&item, key, "UNREPLIED");
		print("delete", key);
		return;
	}
	begin(families);
	remedy_keepalive(&item, key, 1, 32, true);
	print("keepalive", key);
	begin(families);
	remedy_keepalive(&item, (struct row_key[]){*key, *key, *key}, 3, 32, true);
	print("keepalive-more", key);
	begin(families);
	remedy_keepalive(&item, key, 1, 32, false);
	print("keepalive-who", key);
	begin(families);
	remedy_checks(&item, (struct row_key[]){*key, *key}, 2);
	print("health-checks", key);
	begin(families);
	remedy_dead_backend(&item, key);
	print("dead-backend", key);
	begin(families);
	remedy_close_wait(&item, key);
	print("close-wait", key);
	begin(families);
	for (unsigned int i = 0; i < 4; i++)
		remedy_delete(&item, key, deletable[i]);
	print("delete", key);
	begin(families);
	remedy_delete_idle(&item, key, "ESTABLISHED", 300, 423808);
	print("leftovers", key);
	if (key->direction != DIR_INBOUND && key->direction != DIR_FORWARDED)
		return;
	begin(families);
	remedy_syn_flood(&item, key);
	print("syn-flood", key);
}

static void of_families(uint32_t families)
{
	static const uint8_t protocols[] = {L4_TCP, L4_UDP};

	for (unsigned int p = 0; p < 2; p++)
		for (unsigned int d = 0; d < DIR_COUNT; d++)
			of_row(&(struct row_key){protocols[p], (uint8_t)d, 8080}, families);
	begin(families);
	remedy_routes(&item);
	print("routes", NULL);
	begin(families);
	remedy_one_host(&item, 644);
	print("one-host", NULL);
	begin(families);
	remedy_block_source(&item);
	print("port-scan", NULL);
	begin(families);
	remedy_delete_source(&item);
	print("delete-source", NULL);
	begin(families);
	remedy_nat(&item);
	print("nat", NULL);
}

static void of_pool(bool ipv6, uint8_t l4proto, uint32_t held)
{
	struct snap_nat_pool pool = {.ipv6 = ipv6,
				     .l4proto = l4proto,
				     .remote_port = 443,
				     .first_port = 20000,
				     .held = held,
				     .size = 10000};

	for (unsigned int i = 0; i < NAT_REMEDIES; i++) {
		char name[64];

		if (!nat_remedy_helps((enum nat_remedy)i, &pool))
			continue;
		begin(0);
		nat_remedy_fill((enum nat_remedy)i, &pool, &item);
		snprintf(name, sizeof(name), "%s-%s-%u", nat_remedy_id((enum nat_remedy)i),
			 l4proto_info(l4proto)->name, held);
		print(name, NULL);
	}
}

int main(void)
{
	struct settings now = {.buckets = 1024, .max_entries = 4096};

	for (uint32_t families = FAMILY_IPV4; families <= FAMILIES_ALL; families++)
		of_families(families);
	for (unsigned int i = 0; i < TIMEOUT_COUNT; i++) {
		char name[64];

		begin(FAMILIES_ALL);
		remedy_timeout(&item, i, timeout_info(i)->default_s, 7);
		snprintf(name, sizeof(name), "timeout-%s", timeout_info(i)->name);
		print(name, NULL);
	}
	begin(FAMILIES_ALL);
	remedy_size(&item, &now, 8192, 2048);
	print("size", NULL);
	for (unsigned int ipv6 = 0; ipv6 < 2; ipv6++)
		for (uint32_t held = 9000; held <= 39000; held += 10000) {
			of_pool(ipv6, L4_TCP, held);
			of_pool(ipv6, L4_UDP, held);
		}
	return 0;
}
