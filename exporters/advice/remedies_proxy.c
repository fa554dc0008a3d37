// SPDX-License-Identifier: GPL-2.0-or-later
/* What is done in the configuration of programs, and where to look for what is at fault. */
#include "exporters/advice/remedies.h"

static void who_opens(struct advice_item *item, const struct row_key *keys, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		remedy_say(item, TOOL_SHELL, "ss -tnp '( dport = :%u )'", keys[i].port);
}

void remedy_keepalive(struct advice_item *item, const struct row_key *keys, uint32_t count,
		      double idle, bool proxied)
{
	if (!proxied) {
		who_opens(item, keys, count);
		return;
	}
	remedy_say(item, TOOL_NGINX, "upstream BACKEND {");
	for (uint32_t i = 0; i < count; i++)
		remedy_say(item, TOOL_NGINX, "    server ADDRESS:%u;", keys[i].port);
	remedy_say(item, TOOL_NGINX, "    keepalive %.0f;", idle);
	remedy_say(item, TOOL_NGINX, "}");
	remedy_say(item, TOOL_NGINX, "location / {");
	remedy_say(item, TOOL_NGINX, "    proxy_pass http://BACKEND;");
	remedy_say(item, TOOL_NGINX, "    proxy_http_version 1.1;");
	remedy_say(item, TOOL_NGINX, "    proxy_set_header Connection \"\";");
	remedy_say(item, TOOL_NGINX, "}");
	remedy_say(item, TOOL_HAPROXY, "backend BACKEND");
	remedy_say(item, TOOL_HAPROXY, "    mode http");
	remedy_say(item, TOOL_HAPROXY, "    option http-keep-alive");
	/* "safe" reuses only for a client's second request: one request a client, no reuse. */
	remedy_say(item, TOOL_HAPROXY, "    http-reuse always");
	for (uint32_t i = 0; i < count; i++)
		remedy_say(item, TOOL_HAPROXY, "    server NAME%s ADDRESS:%u pool-max-conn %.0f",
			   i ? (char[2]){(char)('1' + i), 0} : "", keys[i].port, idle);
	remedy_say(item, TOOL_SQUID, "server_persistent_connections on");
	remedy_say(item, TOOL_SQUID, "pconn_timeout 1 minute");
}

void remedy_checks(struct advice_item *item, const struct row_key *keys, uint32_t count)
{
	who_opens(item, keys, count);
	remedy_say(item, TOOL_HAPROXY, "backend BACKEND");
	for (uint32_t i = 0; i < count; i++)
		remedy_say(item, TOOL_HAPROXY, "    server NAME%s ADDRESS:%u check inter 10s",
			   i ? (char[2]){(char)('1' + i), 0} : "", keys[i].port);
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
	remedy_say(item, TOOL_HAPROXY, "backend BACKEND");
	remedy_say(item, TOOL_HAPROXY, "    server NAME ADDRESS:%u check inter 2s fall 3",
		   key->port);
	remedy_say(item, TOOL_SQUID, "connect_timeout 5 seconds");
	remedy_say(item, TOOL_SHELL, "ss -tnp state syn-sent '( dport = :%u )'", key->port);
}

void remedy_close_wait(struct advice_item *item, const struct row_key *key)
{
	remedy_say(item, TOOL_SHELL, "ss -tnp state close-wait '( sport = :%u or dport = :%u )'",
		   key->port, key->port);
}

void remedy_routes(struct advice_item *item)
{
	remedy_say(item, TOOL_SHELL, "conntide talkers");
	remedy_say(item, TOOL_SHELL, "# of a client and of a service: the same on their side?");
	remedy_say(item, TOOL_SHELL, "ip route get ADDRESS");
}

void remedy_own_timeout(struct advice_item *item, bool helper)
{
	if (helper) {
		remedy_say(item, TOOL_SHELL, "nft list ruleset | grep -n 'ct helper'");
		remedy_say(item, TOOL_SHELL, "iptables-save -t raw | grep -e --helper");
		return;
	}
	remedy_say(item, TOOL_SHELL, "nft list ruleset | grep -n 'ct timeout'");
	remedy_say(item, TOOL_SHELL, "iptables-save -t raw | grep -e --timeout");
}
