// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/remedies.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "exporters/render/talkers.h"

#define SYSCTL_DIR   "/etc/sysctl.d/"
#define MODULES_FILE "/etc/modules-load.d/conntide.conf"
#define NFT_FILE     "/etc/nftables.conf"

/* "conntide_notrack_tcp_80_inbound": every remedy has a table of its own, so that its undo
 * takes nothing of another. */
#define TABLE_BYTES 64u

static const struct {
	uint32_t family;
	const char *nft;      /* of an address */
	const char *nfproto;  /* of a packet */
	const char *set_type; /* of a set of addresses */
	const char *iptables;
	int bits;
} families[] = {
	{FAMILY_IPV4, "ip", "ipv4", "ipv4_addr", "iptables", 32},
	{FAMILY_IPV6, "ip6", "ipv6", "ipv6_addr", "ip6tables", 128},
};

#define FAMILY_COUNT (sizeof(families) / sizeof(families[0]))

static void say(struct advice_item *item, enum tool tool, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

static void say(struct advice_item *item, enum tool tool, const char *fmt, va_list args)
{
	struct command_line *line = &item->commands[item->command_count];

	if (item->command_count == ADVICE_COMMANDS)
		return;
	item->command_count++;
	line->tool = tool;
	vsnprintf(line->text, sizeof(line->text), fmt, args);
}

void remedy_say(struct advice_item *item, enum tool tool, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(item, tool, fmt, args);
	va_end(args);
}

static const char *table_name(char out[TABLE_BYTES], const char *what, const struct row_key *key)
{
	snprintf(out, TABLE_BYTES, "conntide_%s_%s_%u_%s", what, l4proto_info(key->l4proto)->name,
		 key->port, direction_name(key->direction));
	return out;
}

/* A file of its own that the rules are loaded from at boot; the undo takes both back. */
static void keep_table(struct advice_item *item, const char *table)
{
	remedy_say(item, TOOL_SHELL, "nft list table inet %s > /etc/%s.nft", table, table);
	remedy_say(item, TOOL_SHELL, "echo 'include \"/etc/%s.nft\"' >> " NFT_FILE, table);
	remedy_say(item, TOOL_UNDO, "nft delete table inet %s", table);
	remedy_say(item, TOOL_UNDO, "rm -f /etc/%s.nft", table);
	remedy_say(item, TOOL_UNDO, "sed -i '/%s\\.nft\"$/d' " NFT_FILE, table);
}

/* A rule of iptables, and how to take it back. */
static void add_rule(struct advice_item *item, const char *program, const char *table,
		     const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static void add_rule(struct advice_item *item, const char *program, const char *table,
		     const char *fmt, ...)
{
	char rule[160];
	va_list args;

	va_start(args, fmt);
	vsnprintf(rule, sizeof(rule), fmt, args);
	va_end(args);
	remedy_say(item, TOOL_IPTABLES, "%s -t %s -A %s", program, table, rule);
	remedy_say(item, TOOL_UNDO_IPTABLES, "%s -t %s -D %s", program, table, rule);
}

/* --- not tracked ---------------------------------------------------------------------- */

/* A packet of the port, on its way through one of the two hooks. */
struct leg {
	bool output;	 /* else prerouting */
	bool reply;	 /* source port, else destination port */
	const char *nft; /* what else it must be */
	const char *xt;
};

#define NFT_TO_US   "iif != lo fib daddr type local "
#define XT_TO_US    "! -i lo -m addrtype --dst-type LOCAL "
#define NFT_THROUGH "fib daddr type != local "
#define XT_THROUGH  "-m addrtype ! --dst-type LOCAL "

/*
 * Both ways of a connection, where each first meets conntrack, and no others: what a host
 * says to itself passes both hooks and would lose its replies only; and a router's own
 * connections to the port arrive at a local address, those it forwards do not.
 */
static const struct {
	struct leg legs[4];
	unsigned int count;
} legs_of[DIR_COUNT] = {
	[DIR_INBOUND] = {{{false, false, NFT_TO_US, XT_TO_US},
			  {true, true, "oif != lo ", "! -o lo "}},
			 2},
	[DIR_OUTBOUND] = {{{true, false, "oif != lo ", "! -o lo "},
			   {false, true, NFT_TO_US, XT_TO_US}},
			  2},
	[DIR_FORWARDED] = {{{false, false, NFT_THROUGH, XT_THROUGH},
			    {false, true, NFT_THROUGH, XT_THROUGH}},
			   2},
	[DIR_LOOPBACK] = {{{true, false, "oif lo ", "-o lo "},
			   {true, true, "oif lo ", "-o lo "},
			   {false, false, "iif lo ", "-i lo "},
			   {false, true, "iif lo ", "-i lo "}},
			  4},
};

void remedy_notrack(struct advice_item *item, const struct row_key *key)
{
	const char *l4proto = l4proto_info(key->l4proto)->name;
	char table[TABLE_BYTES];

	table_name(table, "notrack", key);
	remedy_say(item, TOOL_NFT, "nft add table inet %s", table);
	remedy_say(item, TOOL_NFT,
		   "nft add chain inet %s pre '{ type filter hook prerouting priority raw; }'",
		   table);
	remedy_say(item, TOOL_NFT,
		   "nft add chain inet %s out '{ type filter hook output priority raw; }'", table);
	for (unsigned int i = 0; i < legs_of[key->direction].count; i++) {
		const struct leg *leg = &legs_of[key->direction].legs[i];

		remedy_say(item, TOOL_NFT, "nft add rule inet %s %s %s%s %s %u notrack", table,
			   leg->output ? "out" : "pre", leg->nft, l4proto,
			   leg->reply ? "sport" : "dport", key->port);
	}
	for (unsigned int f = 0; f < FAMILY_COUNT; f++) {
		if (!(item->families & families[f].family))
			continue;
		for (unsigned int i = 0; i < legs_of[key->direction].count; i++) {
			const struct leg *leg = &legs_of[key->direction].legs[i];

			add_rule(item, families[f].iptables, "raw",
				 "%s %s-p %s --%s %u -j CT --notrack",
				 leg->output ? "OUTPUT" : "PREROUTING", leg->xt, l4proto,
				 leg->reply ? "sport" : "dport", key->port);
		}
	}
	keep_table(item, table);
}

/* --- settings ------------------------------------------------------------------------- */

static void set_sysctl(struct advice_item *item, const char *name, double before, double after)
{
	remedy_say(item, TOOL_SYSCTL, "sysctl -w net.netfilter.%s=%.0f", name, after);
	remedy_say(item, TOOL_SHELL,
		   "echo 'net.netfilter.%s = %.0f' > " SYSCTL_DIR "90-conntide-%s.conf", name,
		   after, name);
	remedy_say(item, TOOL_UNDO, "sysctl -w net.netfilter.%s=%.0f", name, before);
	remedy_say(item, TOOL_UNDO, "rm -f " SYSCTL_DIR "90-conntide-%s.conf", name);
}

void remedy_timeout(struct advice_item *item, unsigned int timeout, double now_s, double then_s)
{
	set_sysctl(item, timeout_info(timeout)->sysctl, now_s, then_s);
}

void remedy_port_timeout(struct advice_item *item, const struct row_key *key, const char *state,
			 double then_s)
{
	const char *l4proto = l4proto_info(key->l4proto)->name;
	bool output = key->direction == DIR_OUTBOUND || key->direction == DIR_LOOPBACK;
	char table[TABLE_BYTES];

	table_name(table, "timeout", key);
	remedy_say(item, TOOL_NFT, "# instead, for this port only:");
	remedy_say(item, TOOL_NFT, "nft add table inet %s", table);
	remedy_say(item, TOOL_NFT,
		   "nft add chain inet %s new '{ type filter hook %s priority filter; }'", table,
		   output ? "output" : "prerouting");
	for (unsigned int f = 0; f < FAMILY_COUNT; f++) {
		if (!(item->families & families[f].family))
			continue;
		remedy_say(item, TOOL_NFT,
			   "nft add ct timeout inet %s short_%s '{ protocol %s; l3proto %s; "
			   "policy = { %s : %.0f }; }'",
			   table, families[f].nft, l4proto, families[f].nft, state, then_s);
		remedy_say(item, TOOL_NFT,
			   "nft add rule inet %s new meta nfproto %s %s dport %u ct timeout "
			   "set short_%s",
			   table, families[f].nfproto, l4proto, key->port, families[f].nft);
	}
	keep_table(item, table);
}

void remedy_size(struct advice_item *item, const struct settings *now, double max, double buckets)
{
	/* Buckets first: a larger table in too few of them refuses entries. */
	if (buckets > now->buckets)
		set_sysctl(item, "nf_conntrack_buckets", now->buckets, buckets);
	if (max > now->max_entries)
		set_sysctl(item, "nf_conntrack_max", now->max_entries, max);
	remedy_say(item, TOOL_SHELL, "echo nf_conntrack > " MODULES_FILE);
	remedy_say(item, TOOL_UNDO, "rm -f " MODULES_FILE);
}

void remedy_expectations(struct advice_item *item, double now, double then)
{
	set_sysctl(item, "nf_conntrack_expect_max", now, then);
	remedy_say(item, TOOL_SHELL, "# who: conntrack -L expect");
}

/* --- what comes from outside ------------------------------------------------------------ */

#define SYNPROXY_BEFORE "/etc/conntide_synproxy.before"
#define SYNPROXY_SYSCTL SYSCTL_DIR "90-conntide-synproxy.conf"

/* Of the whole namespace, not of a port: kept by the first port that gets the proxy, and given
 * back by the last that loses it. */
static void set_for_synproxy(struct advice_item *item)
{
	static const char *const settings[] = {"net.ipv4.tcp_syncookies=1",
					       "net.netfilter.nf_conntrack_tcp_loose=0"};

	remedy_say(item, TOOL_SYSCTL,
		   "test -e " SYNPROXY_BEFORE " || sysctl net.ipv4.tcp_syncookies "
		   "net.netfilter.nf_conntrack_tcp_loose > " SYNPROXY_BEFORE);
	for (unsigned int i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		remedy_say(item, TOOL_SYSCTL, "sysctl -w %s", settings[i]);
	remedy_say(item, TOOL_SHELL, "printf '%%s\\n' %s %s > " SYNPROXY_SYSCTL, settings[0],
		   settings[1]);
}

static void undo_for_synproxy(struct advice_item *item)
{
	remedy_say(item, TOOL_UNDO,
		   "nft list tables | grep -q conntide_synproxy_ || { sysctl -p " SYNPROXY_BEFORE
		   "; rm -f " SYNPROXY_BEFORE " " SYNPROXY_SYSCTL "; }");
}

void remedy_syn_flood(struct advice_item *item, const struct row_key *key)
{
	char table[TABLE_BYTES];

	table_name(table, "synproxy", key);
	set_for_synproxy(item);
	remedy_say(item, TOOL_NFT, "nft add table inet %s", table);
	remedy_say(item, TOOL_NFT,
		   "nft add chain inet %s pre '{ type filter hook prerouting priority raw; }'",
		   table);
	remedy_say(item, TOOL_NFT,
		   "nft add rule inet %s pre iif != lo fib daddr type %slocal tcp dport %u "
		   "'tcp flags & (fin|syn|rst|ack) == syn' notrack",
		   table, key->direction == DIR_FORWARDED ? "!= " : "", key->port);
	remedy_say(item, TOOL_NFT,
		   "nft add chain inet %s in '{ type filter hook %s priority filter; }'", table,
		   key->direction == DIR_FORWARDED ? "forward" : "input");
	remedy_say(item, TOOL_NFT,
		   "nft add rule inet %s in iif != lo tcp dport %u ct state invalid,untracked "
		   "synproxy mss 1460 wscale 7 timestamp sack-perm",
		   table, key->port);
	remedy_say(item, TOOL_NFT,
		   "nft add rule inet %s in iif != lo tcp dport %u ct state invalid drop", table,
		   key->port);
	keep_table(item, table);
	undo_for_synproxy(item);
}

void remedy_one_host(struct advice_item *item, double entries)
{
	const char *table = "conntide_limit";

	remedy_say(item, TOOL_SHELL, "conntide talkers --kind source");
	remedy_say(item, TOOL_NFT, "nft add table inet %s", table);
	remedy_say(item, TOOL_NFT,
		   "nft add chain inet %s pre '{ type filter hook prerouting priority filter; }'",
		   table);
	for (unsigned int f = 0; f < FAMILY_COUNT; f++) {
		if (!(item->families & families[f].family))
			continue;
		remedy_say(item, TOOL_NFT,
			   "nft add set inet %s sources_%s '{ type %s; flags dynamic; }'", table,
			   families[f].nft, families[f].set_type);
		remedy_say(item, TOOL_NFT,
			   "nft add rule inet %s pre ct state new add @sources_%s '{ %s saddr ct "
			   "count over %.0f }' drop",
			   table, families[f].nft, families[f].nft, entries);
		add_rule(item, families[f].iptables, "mangle",
			 "PREROUTING -m conntrack --ctstate NEW -m connlimit --connlimit-above "
			 "%.0f --connlimit-mask %d -j DROP",
			 entries, families[f].bits);
	}
	keep_table(item, table);
}

static const char *source_word(unsigned int family)
{
	return families[family].bits == 32 ? "SOURCE" : "SOURCE6";
}

void remedy_block_source(struct advice_item *item)
{
	const char *table = "conntide_drop";

	remedy_say(item, TOOL_SHELL, "conntide talkers --kind source");
	remedy_say(item, TOOL_NFT, "nft add table inet %s", table);
	remedy_say(item, TOOL_NFT,
		   "nft add chain inet %s pre '{ type filter hook prerouting priority raw; }'",
		   table);
	for (unsigned int f = 0; f < FAMILY_COUNT; f++) {
		if (!(item->families & families[f].family))
			continue;
		remedy_say(item, TOOL_NFT, "nft add rule inet %s pre %s saddr %s drop", table,
			   families[f].nft, source_word(f));
		add_rule(item, families[f].iptables, "raw", "PREROUTING -s %s -j DROP",
			 source_word(f));
	}
	keep_table(item, table);
}

void remedy_delete(struct advice_item *item, const struct row_key *key, const char *state)
{
	for (unsigned int f = 0; f < FAMILY_COUNT; f++)
		if (item->families & families[f].family)
			remedy_say(item, TOOL_SHELL, "conntrack -D -f %s -p %s --dport %u %s %s",
				   families[f].nfproto, l4proto_info(key->l4proto)->name, key->port,
				   key->l4proto == L4_TCP ? "--state" : "--status",
				   key->l4proto == L4_TCP ? state : "UNREPLIED");
}

void remedy_delete_idle(struct advice_item *item, const struct row_key *key, const char *state,
			double above_s, double below_s)
{
	/* Without a zone -D takes the same tuple of every zone; a line of the default zone has
	 * none. */
	remedy_say(item, TOOL_SHELL, "# each by its tuple and zone; conntrack 1.4.7 or newer:");
	for (unsigned int f = 0; f < FAMILY_COUNT; f++)
		if (item->families & families[f].family)
			remedy_say(
				item, TOOL_SHELL,
				"conntrack -L -f %s -p tcp --dport %u --state %s -o save | awk "
				"'$3 > %.0f && $3 < %.0f' | sed 's/^-A -t [0-9]* -u [A-Z_,]*/-D/; "
				"s/^-D -s/-D -w 0 -s/' | conntrack -R -",
				families[f].nfproto, key->port, state, above_s, below_s);
}

void remedy_delete_source(struct advice_item *item)
{
	for (unsigned int f = 0; f < FAMILY_COUNT; f++)
		if (item->families & families[f].family)
			remedy_say(item, TOOL_SHELL, "conntrack -D -f %s -s %s",
				   families[f].nfproto, source_word(f));
}

void remedy_name_source(struct advice_item *item)
{
	const char *word;
	char address[ADDRESS_BYTES], before[sizeof(item->commands[0].text)];

	if (!item->source)
		return;
	word = item->source->ipv6 ? "SOURCE6" : "SOURCE";
	format_address(item->source, false, address);
	for (uint32_t i = 0; i < item->command_count; i++) {
		char *text = item->commands[i].text;
		char *at = strstr(text, word);

		if (!at)
			continue;
		memcpy(before, text, sizeof(before));
		snprintf(at, sizeof(item->commands[i].text) - (size_t)(at - text), "%s%s", address,
			 before + (at - text) + strlen(word));
	}
}

void remedy_own_scan(struct advice_item *item, const struct row_key *key)
{
	remedy_say(item, TOOL_SHELL, key->l4proto == L4_TCP ? "ss -tnp state syn-sent" : "ss -unp");
}

/* --- translated ------------------------------------------------------------------------ */

void remedy_translate(struct advice_item *item, const char *name, const char *nft_rule,
		      const char *xt_rule)
{
	char table[TABLE_BYTES];

	snprintf(table, sizeof(table), "conntide_%s", name);
	remedy_say(item, TOOL_NFT,
		   "# goes before the rule that translates now; give it the same conditions:");
	remedy_say(item, TOOL_NFT, "nft add table inet %s", table);
	remedy_say(
		item, TOOL_NFT,
		"nft add chain inet %s post '{ type nat hook postrouting priority srcnat - 1; }'",
		table);
	for (unsigned int f = 0; f < FAMILY_COUNT; f++) {
		if (!(item->families & families[f].family))
			continue;
		remedy_say(item, TOOL_NFT,
			   "nft add rule inet %s post meta nfproto %s oifname INTERFACE %s", table,
			   families[f].nfproto, nft_rule);
		remedy_say(item, TOOL_IPTABLES, "%s -t nat -I POSTROUTING -o INTERFACE %s",
			   families[f].iptables, xt_rule);
		remedy_say(item, TOOL_UNDO_IPTABLES, "%s -t nat -D POSTROUTING -o INTERFACE %s",
			   families[f].iptables, xt_rule);
	}
	keep_table(item, table);
}

void remedy_nat(struct advice_item *item)
{
	remedy_translate(item, "nat_random", "masquerade fully-random",
			 "-j MASQUERADE --random-fully");
}
