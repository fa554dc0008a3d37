// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The web configuration file of Prometheus exporters (exporter-toolkit), read
 * strictly: an unknown key, a wrong type or a broken value is an error that names
 * the line. The only user of libyaml. File names in it are relative to it.
 *
 * http2 is accepted and has no effect: HTTP/1.1 is what is spoken here.
 */
#ifndef CONNTIDE_HTTP_TOOLKIT_WEB_CONFIG_H
#define CONNTIDE_HTTP_TOOLKIT_WEB_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEB_USERS_MAX	64u
#define WEB_HEADERS_MAX 8u
#define WEB_LIST_MAX	32u

enum client_auth {
	CLIENT_AUTH_NONE,
	CLIENT_AUTH_REQUEST,	     /* ask, take anything */
	CLIENT_AUTH_REQUIRE_ANY,     /* there must be one, take any */
	CLIENT_AUTH_VERIFY_IF_GIVEN, /* check it if there is one */
	CLIENT_AUTH_REQUIRE_VERIFY
};

enum tls_version { TLS_VERSION_10, TLS_VERSION_11, TLS_VERSION_12, TLS_VERSION_13 };

struct web_user {
	char *name;
	char *hash; /* bcrypt */
};

struct web_header {
	char *name;
	char *value;
};

struct web_list {
	char *items[WEB_LIST_MAX];
	size_t count;
};

struct web_config {
	bool tls;
	char *cert_file; /* NULL when not given */
	char *key_file;
	char *client_ca_file;
	enum client_auth client_auth;
	struct web_list client_allowed_sans;
	struct web_list cipher_suites;	   /* names as in Go */
	struct web_list curve_preferences; /* likewise */
	enum tls_version min_version;
	enum tls_version max_version;
	bool prefer_server_cipher_suites;
	struct web_user users[WEB_USERS_MAX];
	size_t user_count;
	struct web_header headers[WEB_HEADERS_MAX];
	size_t header_count;
	double rate_per_s; /* 0: no limit */
	double rate_burst;
};

/* Without a file: no TLS, no users. */
void web_config_init(struct web_config *config);
void web_config_free(struct web_config *config);

/* 0, or -errno with a sentence in `why`, and *config is then empty. */
int web_config_load(const char *path, struct web_config *config, char *why, size_t why_bytes);

#endif
