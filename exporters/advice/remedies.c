// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/remedies.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SYSCTL_FILE  "/etc/sysctl.d/90-conntrack.conf"
#define MODULES_FILE "/etc/modules-load.d/conntrack.conf"
#define NOTRACK	     "inet conntide_notrack"

void remedy_say(struct advice_item *item, enum tool tool, const char *fmt, ...)
{
	struct command_line *line = &item->commands[item->command_count];
	va_list args;

	if (item->command_count == ADVICE_COMMANDS)
		return;
	item->command_count++;
	line->tool = tool;
	va_start(args, fmt);
	vsnprintf(line->text, sizeof(line->text), fmt, args);
	va_end(args);
}

/* A packet of the port, on its way through one of the two hooks. */
struct leg {
	bool output;	 /* else prerouting */
	bool reply;	 /* source port, else destination port */
	const char *nft; /* what else it must be */
	const char *xt;
};

/* Both directions of a flow, where each first meets conntrack. */
static const struct {
	struct leg legs[4];
	unsigned int count;
} legs_of[DIR_COUNT] = {
	[DIR_INBOUND] = {{{false, false, "fib daddr type local ", "-m addrtype --dst-type LOCAL "},
			  {true, true, "", ""}},
			 2},
	[DIR_OUTBOUND] = {{{true, false, "", ""},
			   {false, true, "fib daddr type local ", "-m addrtype --dst-type LOCAL "}},
			  2},
	[DIR_FORWARDED] = {{{false, false, "", ""}, {false, true, "", ""}}, 2},
	[DIR_LOOPBACK] = {{{true, false, "oif lo ", "-o lo "},
			   {true, true, "oif lo ", "-o lo "},
			   {false, false, "iif lo ", "-i lo "},
			   {false, true, "iif lo ", "-i lo "}},
			  4},
};

void remedy_notrack(struct advice_item *item, const struct row_key *key)
{
	static const char *const programs[] = {"iptables", "ip6tables"};
	const char *l4proto = l4proto_info(key->l4proto)->name;

	remedy_say(item, TOOL_NFT, "nft add table " NOTRACK);
	remedy_say(item, TOOL_NFT,
		   "nft add chain " NOTRACK " pre '{ type filter hook prerouting priority raw; }'");
	remedy_say(item, TOOL_NFT,
		   "nft add chain " NOTRACK " out '{ type filter hook output priority raw; }'");
	for (unsigned int i = 0; i < legs_of[key->direction].count; i++) {
		const struct leg *leg = &legs_of[key->direction].legs[i];

		remedy_say(item, TOOL_NFT, "nft add rule " NOTRACK " %s %s%s %s %u notrack",
			   leg->output ? "out" : "pre", leg->nft, l4proto,
			   leg->reply ? "sport" : "dport", key->port);
	}
	for (unsigned int p = 0; p < 2; p++) {
		for (unsigned int i = 0; i < legs_of[key->direction].count; i++) {
			const struct leg *leg = &legs_of[key->direction].legs[i];

			remedy_say(item, TOOL_IPTABLES,
				   "%s -t raw -A %s %s-p %s --%s %u -j CT --notrack", programs[p],
				   leg->output ? "OUTPUT" : "PREROUTING", leg->xt, l4proto,
				   leg->reply ? "sport" : "dport", key->port);
		}
	}
	remedy_say(item, TOOL_SHELL, "nft list table " NOTRACK " >> /etc/nftables.conf");
	remedy_say(item, TOOL_UNDO, "nft delete table " NOTRACK);
}

void remedy_timeout(struct advice_item *item, unsigned int timeout, double now_s, double then_s)
{
	const char *sysctl = timeout_info(timeout)->sysctl;

	remedy_say(item, TOOL_SYSCTL, "sysctl -w net.netfilter.%s=%.0f", sysctl, then_s);
	remedy_say(item, TOOL_SHELL, "echo 'net.netfilter.%s = %.0f' >> " SYSCTL_FILE, sysctl,
		   then_s);
	remedy_say(item, TOOL_UNDO, "sysctl -w net.netfilter.%s=%.0f", sysctl, now_s);
}

void remedy_port_timeout(struct advice_item *item, const struct row_key *key, const char *state,
			 double then_s)
{
	static const char *const families[] = {"ip", "ip6"};
	const char *l4proto = l4proto_info(key->l4proto)->name;
	bool output = key->direction == DIR_OUTBOUND || key->direction == DIR_LOOPBACK;

	remedy_say(item, TOOL_NFT, "# instead, for this port only:");
	remedy_say(item, TOOL_NFT, "nft add table inet conntide_timeout");
	remedy_say(item, TOOL_NFT,
		   "nft add chain inet conntide_timeout new '{ type filter hook %s priority "
		   "filter; }'",
		   output ? "output" : "prerouting");
	for (unsigned int i = 0; i < 2; i++) {
		remedy_say(item, TOOL_NFT,
			   "nft add ct timeout inet conntide_timeout short_%s '{ protocol %s; "
			   "l3proto %s; "
			   "policy = { %s : %.0f }; }'",
			   families[i], l4proto, families[i], state, then_s);
		remedy_say(item, TOOL_NFT,
			   "nft add rule inet conntide_timeout new meta nfproto %s %s dport %u ct "
			   "timeout "
			   "set short_%s",
			   i ? "ipv6" : "ipv4", l4proto, key->port, families[i]);
	}
}

void remedy_size(struct advice_item *item, const struct settings *now, double max, double buckets)
{
	static const char *const names[] = {"nf_conntrack_buckets", "nf_conntrack_max"};
	double before[] = {now->buckets, now->max_entries};
	double after[] = {buckets, max};

	/* Buckets first: a larger table in too few of them refuses entries. */
	for (unsigned int i = 0; i < 2; i++) {
		if (!(after[i] > before[i]))
			continue;
		remedy_say(item, TOOL_SYSCTL, "sysctl -w net.netfilter.%s=%.0f", names[i],
			   after[i]);
		remedy_say(item, TOOL_SHELL, "echo 'net.netfilter.%s = %.0f' >> " SYSCTL_FILE,
			   names[i], after[i]);
		remedy_say(item, TOOL_UNDO, "sysctl -w net.netfilter.%s=%.0f", names[i], before[i]);
	}
	remedy_say(item, TOOL_SHELL, "echo nf_conntrack >> " MODULES_FILE);
}

void remedy_keepalive(struct advice_item *item, const struct row_key *key, double idle)
{
	remedy_say(item, TOOL_NGINX, "upstream BACKEND {");
	remedy_say(item, TOOL_NGINX, "    server ADDRESS:%u;", key->port);
	remedy_say(item, TOOL_NGINX, "    keepalive %.0f;", idle);
	remedy_say(item, TOOL_NGINX, "}");
	remedy_say(item, TOOL_NGINX, "location / {");
	remedy_say(item, TOOL_NGINX, "    proxy_pass http://BACKEND;");
	remedy_say(item, TOOL_NGINX, "    proxy_http_version 1.1;");
	remedy_say(item, TOOL_NGINX, "    proxy_set_header Connection \"\";");
	remedy_say(item, TOOL_NGINX, "}");
	remedy_say(item, TOOL_HAPROXY, "backend BACKEND");
	remedy_say(item, TOOL_HAPROXY, "    option http-keep-alive");
	remedy_say(item, TOOL_HAPROXY, "    http-reuse safe");
	remedy_say(item, TOOL_HAPROXY, "    server NAME ADDRESS:%u pool-max-conn %.0f", key->port,
		   idle);
	remedy_say(item, TOOL_SQUID, "server_persistent_connections on");
	remedy_say(item, TOOL_SQUID, "pconn_timeout 1 minute");
}

void remedy_dead_backend(struct advice_item *item, const struct row_key *key)
{
	if (key->direction == DIR_FORWARDED) {
		remedy_say(item, TOOL_SHELL, "conntide talkers --kind service");
		return;
	}
	remedy_say(item, TOOL_NGINX, "upstream BACKEND {");
	remedy_say(item, TOOL_NGINX, "    server ADDRESS:%u max_fails=3 fail_timeout=30s;",
		   key->port);
	remedy_say(item, TOOL_NGINX, "}");
	remedy_say(item, TOOL_NGINX, "proxy_connect_timeout 5s;");
	remedy_say(item, TOOL_HAPROXY, "    server NAME ADDRESS:%u check inter 2s fall 3",
		   key->port);
	remedy_say(item, TOOL_SQUID, "connect_timeout 5 seconds");
	remedy_say(item, TOOL_SHELL, "ss -tnp state syn-sent '( dport = :%u )'", key->port);
}

void remedy_syn_flood(struct advice_item *item, const struct row_key *key)
{
	remedy_say(item, TOOL_SYSCTL, "sysctl -w net.ipv4.tcp_syncookies=1");
	remedy_say(item, TOOL_SYSCTL, "sysctl -w net.netfilter.nf_conntrack_tcp_loose=0");
	remedy_say(item, TOOL_NFT, "nft add table inet conntide_synproxy");
	remedy_say(item, TOOL_NFT,
		   "nft add chain inet conntide_synproxy pre '{ type filter hook prerouting "
		   "priority raw; "
		   "}'");
	remedy_say(item, TOOL_NFT,
		   "nft add rule inet conntide_synproxy pre tcp dport %u tcp flags syn notrack",
		   key->port);
	remedy_say(item, TOOL_NFT,
		   "nft add chain inet conntide_synproxy in '{ type filter hook %s priority "
		   "filter; }'",
		   key->direction == DIR_FORWARDED ? "forward" : "input");
	remedy_say(item, TOOL_NFT,
		   "nft add rule inet conntide_synproxy in tcp dport %u ct state invalid,untracked "
		   "synproxy "
		   "mss 1460 wscale 7 timestamp sack-perm",
		   key->port);
	remedy_say(item, TOOL_NFT,
		   "nft add rule inet conntide_synproxy in tcp dport %u ct state invalid drop",
		   key->port);
	remedy_say(item, TOOL_UNDO, "nft delete table inet conntide_synproxy");
}

void remedy_one_host(struct advice_item *item, double entries)
{
	remedy_say(item, TOOL_SHELL, "conntide talkers --kind source");
	remedy_say(item, TOOL_NFT, "nft add table inet conntide_limit");
	remedy_say(item, TOOL_NFT,
		   "nft add set inet conntide_limit sources '{ type ipv4_addr; flags dynamic; }'");
	remedy_say(item, TOOL_NFT,
		   "nft add chain inet conntide_limit pre '{ type filter hook prerouting priority "
		   "filter; "
		   "}'");
	remedy_say(item, TOOL_NFT,
		   "nft add rule inet conntide_limit pre ct state new add @sources '{ ip saddr ct "
		   "count "
		   "over "
		   "%.0f }' drop",
		   entries);
	remedy_say(item, TOOL_IPTABLES,
		   "iptables -t mangle -A PREROUTING -m conntrack --ctstate NEW -m connlimit "
		   "--connlimit-above %.0f -j DROP",
		   entries);
	remedy_say(item, TOOL_UNDO, "nft delete table inet conntide_limit");
}

void remedy_port_scan(struct advice_item *item)
{
	remedy_say(item, TOOL_SHELL, "conntide talkers --kind source");
	remedy_say(item, TOOL_NFT, "nft add table inet conntide_drop");
	remedy_say(item, TOOL_NFT,
		   "nft add chain inet conntide_drop pre '{ type filter hook prerouting priority "
		   "raw; }'");
	remedy_say(item, TOOL_NFT, "nft add rule inet conntide_drop pre ip saddr ADDRESS drop");
	remedy_say(item, TOOL_IPTABLES, "iptables -t raw -A PREROUTING -s ADDRESS -j DROP");
	remedy_say(item, TOOL_UNDO, "nft delete table inet conntide_drop");
}

void remedy_own_scan(struct advice_item *item, const struct row_key *key)
{
	remedy_say(item, TOOL_SHELL, key->l4proto == L4_TCP ? "ss -tnp state syn-sent" : "ss -unp");
}

void remedy_nat(struct advice_item *item)
{
	remedy_say(item, TOOL_NFT, "# in place of the rule that translates:");
	remedy_say(item, TOOL_NFT,
		   "nft add rule ip nat postrouting oif INTERFACE masquerade fully-random");
	remedy_say(item, TOOL_NFT,
		   "nft add rule ip nat postrouting oif INTERFACE snat to ADDRESS-ADDRESS "
		   "fully-random");
	remedy_say(item, TOOL_IPTABLES,
		   "iptables -t nat -A POSTROUTING -o INTERFACE -j MASQUERADE --random-fully");
	remedy_say(
		item, TOOL_IPTABLES,
		"iptables -t nat -A POSTROUTING -o INTERFACE -j SNAT --to-source ADDRESS-ADDRESS "
		"--random-fully");
}

void remedy_close_wait(struct advice_item *item, const struct row_key *key)
{
	remedy_say(item, TOOL_SHELL, "ss -tnp state close-wait '( sport = :%u or dport = :%u )'",
		   key->port, key->port);
}
