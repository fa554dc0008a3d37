// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/toolkit/web_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "lib/base/clock.h"
#include "lib/base/num.h"

#define FILE_BYTES_MAX	(1 << 20)
#define BCRYPT_COST_MAX 17

struct loader {
	yaml_document_t document;
	struct web_config *config;
	const char *path;
	char *why;
	size_t why_bytes;
};

void web_config_init(struct web_config *config)
{
	memset(config, 0, sizeof(*config));
	config->min_version = TLS_VERSION_12;
	config->max_version = TLS_VERSION_13;
	config->prefer_server_cipher_suites = true;
}

static void free_list(struct web_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i]);
}

void web_config_free(struct web_config *config)
{
	free(config->cert_file);
	free(config->key_file);
	free(config->client_ca_file);
	free_list(&config->client_allowed_sans);
	free_list(&config->cipher_suites);
	free_list(&config->curve_preferences);
	for (size_t i = 0; i < config->user_count; i++) {
		free(config->users[i].name);
		free(config->users[i].hash);
	}
	for (size_t i = 0; i < config->header_count; i++) {
		free(config->headers[i].name);
		free(config->headers[i].value);
	}
	web_config_init(config);
}

static int fail(struct loader *loader, const yaml_node_t *node, const char *what,
		const char *subject)
{
	snprintf(loader->why, loader->why_bytes, "%s, line %zu: %s%s%s", loader->path,
		 node ? node->start_mark.line + 1 : 1, what, subject ? " " : "",
		 subject ? subject : "");
	return -EINVAL;
}

/* NULL when the node is no plain value, or holds a NUL. */
static const char *scalar(const yaml_node_t *node)
{
	const char *text;

	if (!node || node->type != YAML_SCALAR_NODE)
		return NULL;
	text = (const char *)node->data.scalar.value;
	return strlen(text) == node->data.scalar.length ? text : NULL;
}

/* Likewise, and not in quotes: a number or a truth value. */
static const char *plain(const yaml_node_t *node)
{
	const char *text = scalar(node);

	return text && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? text : NULL;
}

typedef int (*take_fn)(struct loader *loader, const char *key, yaml_node_t *key_node,
		       yaml_node_t *value);

/* Calls `take` for each pair; an empty node counts as an empty mapping. */
static int walk(struct loader *loader, yaml_node_t *node, take_fn take)
{
	const char *text = scalar(node);

	if (text && (!*text || !strcmp(text, "null") || !strcmp(text, "~")))
		return 0;
	if (node->type != YAML_MAPPING_NODE)
		return fail(loader, node, "keys and values are expected here", NULL);
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
	     pair < node->data.mapping.pairs.top; pair++) {
		yaml_node_t *key_node = yaml_document_get_node(&loader->document, pair->key);
		yaml_node_t *value = yaml_document_get_node(&loader->document, pair->value);
		const char *key = scalar(key_node);
		int err;

		if (!key || !value)
			return fail(loader, key_node, "a key must be a plain word", NULL);
		for (yaml_node_pair_t *other = node->data.mapping.pairs.start; other < pair;
		     other++) {
			const char *name =
				scalar(yaml_document_get_node(&loader->document, other->key));

			if (name && !strcmp(name, key))
				return fail(loader, key_node, "key given twice:", key);
		}
		err = take(loader, key, key_node, value);
		if (err)
			return err;
	}
	return 0;
}

static int take_string(struct loader *loader, yaml_node_t *value, char **to)
{
	const char *text = scalar(value);

	if (!text)
		return fail(loader, value, "a plain value is expected here", NULL);
	*to = strdup(text);
	return *to ? 0 : -ENOMEM;
}

/* Relative to the directory of the configuration file. */
static int take_path(struct loader *loader, yaml_node_t *value, char **to)
{
	const char *text = scalar(value);
	const char *slash = strrchr(loader->path, '/');

	if (!text)
		return fail(loader, value, "a file name is expected here", NULL);
	if (!*text)
		return 0;
	if (text[0] == '/' || !slash) {
		*to = strdup(text);
		return *to ? 0 : -ENOMEM;
	}
	return asprintf(to, "%.*s/%s", (int)(slash - loader->path), loader->path, text) < 0
		       ? -ENOMEM
		       : 0;
}

static int take_list(struct loader *loader, yaml_node_t *value, struct web_list *list)
{
	const char *text = scalar(value);

	if (text && (!*text || !strcmp(text, "null")))
		return 0;
	if (value->type != YAML_SEQUENCE_NODE)
		return fail(loader, value, "a list is expected here", NULL);
	for (yaml_node_item_t *item = value->data.sequence.items.start;
	     item < value->data.sequence.items.top; item++) {
		yaml_node_t *node = yaml_document_get_node(&loader->document, *item);
		int err;

		if (list->count == WEB_LIST_MAX)
			return fail(loader, node, "too many items in this list", NULL);
		err = take_string(loader, node, &list->items[list->count]);
		if (err)
			return err;
		list->count++;
	}
	return 0;
}

/* As YAML has them; what stands in quotes is a string. */
static int take_bool(struct loader *loader, yaml_node_t *value, bool *to)
{
	static const char *const words[] = {"false", "true", "False", "True", "FALSE", "TRUE"};
	const char *text = plain(value);

	for (unsigned int i = 0; text && i < 6; i++) {
		if (strcmp(text, words[i]) != 0)
			continue;
		*to = i % 2;
		return 0;
	}
	return fail(loader, value, "true or false is expected here", NULL);
}

static int take_word(struct loader *loader, yaml_node_t *value, const char *const *words,
		     size_t count, int *to)
{
	const char *text = scalar(value);

	for (size_t i = 0; text && i < count; i++) {
		if (!strcmp(text, words[i])) {
			*to = (int)i;
			return 0;
		}
	}
	return fail(loader, value, "this value is not known:", text ? text : "(not a plain value)");
}

static int take_version(struct loader *loader, yaml_node_t *value, enum tls_version *to)
{
	static const char *const words[] = {"TLS10", "TLS11", "TLS12", "TLS13"};
	int index = 0;
	int err = take_word(loader, value, words, 4, &index);

	if (!err)
		*to = (enum tls_version)index;
	return err;
}

static int take_client_auth(struct loader *loader, yaml_node_t *value, enum client_auth *to)
{
	static const char *const words[] = {"NoClientCert",
					    "RequestClientCert",
					    "RequireClientCert",
					    "RequireAnyClientCert",
					    "VerifyClientCertIfGiven",
					    "RequireAndVerifyClientCert",
					    ""};
	static const enum client_auth values[] = {
		CLIENT_AUTH_NONE,	 CLIENT_AUTH_REQUEST,	      CLIENT_AUTH_REQUIRE_ANY,
		CLIENT_AUTH_REQUIRE_ANY, CLIENT_AUTH_VERIFY_IF_GIVEN, CLIENT_AUTH_REQUIRE_VERIFY,
		CLIENT_AUTH_NONE};
	int index = 0;
	int err = take_word(loader, value, words, 7, &index);

	if (!err)
		*to = values[index];
	return err;
}

static int take_tls(struct loader *loader, const char *key, yaml_node_t *key_node,
		    yaml_node_t *value)
{
	struct web_config *config = loader->config;

	config->tls = true;
	if (!strcmp(key, "cert_file"))
		return take_path(loader, value, &config->cert_file);
	if (!strcmp(key, "key_file"))
		return take_path(loader, value, &config->key_file);
	if (!strcmp(key, "client_ca_file"))
		return take_path(loader, value, &config->client_ca_file);
	if (!strcmp(key, "client_auth_type"))
		return take_client_auth(loader, value, &config->client_auth);
	if (!strcmp(key, "client_allowed_sans"))
		return take_list(loader, value, &config->client_allowed_sans);
	if (!strcmp(key, "min_version"))
		return take_version(loader, value, &config->min_version);
	if (!strcmp(key, "max_version"))
		return take_version(loader, value, &config->max_version);
	if (!strcmp(key, "cipher_suites"))
		return take_list(loader, value, &config->cipher_suites);
	if (!strcmp(key, "curve_preferences"))
		return take_list(loader, value, &config->curve_preferences);
	if (!strcmp(key, "prefer_server_cipher_suites"))
		return take_bool(loader, value, &config->prefer_server_cipher_suites);
	return fail(loader, key_node, "unknown key in tls_server_config:", key);
}

static bool is_header_value(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static int take_header(struct loader *loader, const char *key, yaml_node_t *key_node,
		       yaml_node_t *value)
{
	static const char *const known[] = {"Content-Security-Policy", "X-Frame-Options",
					    "X-Content-Type-Options", "X-XSS-Protection",
					    "Strict-Transport-Security"};
	struct web_config *config = loader->config;
	struct web_header *header = &config->headers[config->header_count];
	int err;

	/* walk() has seen the same spelling; to a browser, case is nothing. */
	for (size_t i = 0; i < config->header_count; i++)
		if (!strcasecmp(key, config->headers[i].name))
			return fail(loader, key_node, "header given twice:", key);
	if (config->header_count == WEB_HEADERS_MAX)
		return fail(loader, key_node, "too many headers", NULL);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcasecmp(key, known[i]) != 0)
			continue;
		err = take_string(loader, value, &header->value);
		if (err)
			return err;
		if (!is_header_value(header->value)) {
			free(header->value);
			header->value = NULL;
			return fail(loader, value, "a control character in the header", key);
		}
		header->name = strdup(known[i]);
		config->header_count++;
		return header->name ? 0 : -ENOMEM;
	}
	return fail(loader, key_node, "this header cannot be set:", key);
}

static int take_http(struct loader *loader, const char *key, yaml_node_t *key_node,
		     yaml_node_t *value)
{
	bool ignored;

	if (!strcmp(key, "http2"))
		return take_bool(loader, value, &ignored);
	if (!strcmp(key, "headers"))
		return walk(loader, value, take_header);
	return fail(loader, key_node, "unknown key in http_server_config:", key);
}

/* bcrypt knows costs of 4 to 31; each step doubles the time of a login, and from 18 on
 * (20 s and more) no client waits for it. */
static int bcrypt_cost(const char *hash)
{
	return (hash[4] - '0') * 10 + hash[5] - '0';
}

/* "$2y$10$" and 53 characters: what bcrypt hashes look like. */
static bool is_bcrypt(const char *hash)
{
	static const char *const alphabet =
		"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

	return strlen(hash) == 60 && hash[0] == '$' && hash[1] == '2' && strchr("abxy", hash[2]) &&
	       hash[3] == '$' && hash[4] >= '0' && hash[4] <= '3' && hash[5] >= '0' &&
	       hash[5] <= '9' && hash[6] == '$' && strspn(hash + 7, alphabet) == 53;
}

static int take_user(struct loader *loader, const char *key, yaml_node_t *key_node,
		     yaml_node_t *value)
{
	struct web_config *config = loader->config;
	struct web_user *user = &config->users[config->user_count];
	const char *hash = scalar(value);

	if (config->user_count == WEB_USERS_MAX)
		return fail(loader, key_node, "too many users", NULL);
	if (strchr(key, ':'))
		return fail(loader, key_node, "a user name cannot hold a colon:", key);
	if (!hash || !is_bcrypt(hash))
		return fail(loader, value, "not a bcrypt hash; htpasswd -nB makes one; user", key);
	if (bcrypt_cost(hash) < 4 || bcrypt_cost(hash) > BCRYPT_COST_MAX)
		return fail(loader, value, "the cost of the hash must be 4 to 17; user", key);
	user->name = strdup(key);
	user->hash = strdup(hash);
	config->user_count++;
	return user->name && user->hash ? 0 : -ENOMEM;
}

static int take_rate(struct loader *loader, const char *key, yaml_node_t *key_node,
		     yaml_node_t *value)
{
	struct web_config *config = loader->config;
	const char *text = scalar(value);
	uint64_t number;

	if (!strcmp(key, "interval")) {
		if (num_duration_ns(text, 0, UINT64_MAX, &number) < 0)
			return fail(loader, value, "a duration like 1s is expected here", NULL);
		config->rate_per_s = number ? (double)NS_PER_S / (double)number : 0;
		return 0;
	}
	if (!strcmp(key, "burst")) {
		if (num_u64(plain(value), 0, INT32_MAX, &number) < 0)
			return fail(loader, value, "a whole number is expected here", NULL);
		config->rate_burst = (double)number;
		return 0;
	}
	return fail(loader, key_node, "unknown key in rate_limit:", key);
}

static int take_top(struct loader *loader, const char *key, yaml_node_t *key_node,
		    yaml_node_t *value)
{
	if (!strcmp(key, "tls_server_config"))
		return walk(loader, value, take_tls);
	if (!strcmp(key, "http_server_config"))
		return walk(loader, value, take_http);
	if (!strcmp(key, "basic_auth_users"))
		return walk(loader, value, take_user);
	if (!strcmp(key, "rate_limit"))
		return walk(loader, value, take_rate);
	return fail(loader, key_node, "unknown key:", key);
}

static bool verifies(enum client_auth auth)
{
	return auth == CLIENT_AUTH_VERIFY_IF_GIVEN || auth == CLIENT_AUTH_REQUIRE_VERIFY;
}

/* What exporter-toolkit refuses, in its words where they are good. */
static int check(struct loader *loader)
{
	struct web_config *config = loader->config;

	if (config->rate_per_s > 0 && config->rate_burst < 1)
		config->rate_burst = 1;
	if (!config->tls)
		return 0;
	if (!config->cert_file)
		return fail(loader, NULL, "tls_server_config needs cert_file", NULL);
	if (!config->key_file)
		return fail(loader, NULL, "tls_server_config needs key_file", NULL);
	if (config->client_ca_file && !verifies(config->client_auth))
		return fail(loader, NULL,
			    "client_ca_file is of use only with client_auth_type "
			    "RequireAndVerifyClientCert or VerifyClientCertIfGiven",
			    NULL);
	if (!config->client_ca_file && verifies(config->client_auth))
		return fail(loader, NULL, "this client_auth_type needs client_ca_file", NULL);
	if (config->min_version > config->max_version)
		return fail(loader, NULL, "min_version is above max_version", NULL);
	return 0;
}

static int load_document(struct loader *loader, FILE *file)
{
	yaml_parser_t parser;
	yaml_node_t *root;
	int err = 0;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_file(&parser, file);
	if (!yaml_parser_load(&parser, &loader->document)) {
		snprintf(loader->why, loader->why_bytes, "%s, line %zu: %s", loader->path,
			 parser.problem_mark.line + 1,
			 parser.problem ? parser.problem : "not YAML");
		yaml_parser_delete(&parser);
		return -EINVAL;
	}
	root = yaml_document_get_root_node(&loader->document);
	if (root)
		err = walk(loader, root, take_top);
	if (!err)
		err = check(loader);
	yaml_document_delete(&loader->document);
	yaml_parser_delete(&parser);
	return err;
}

/* A pipe would keep the reader waiting, and a file without an end, memory. */
static int open_file(const char *path, FILE **ret_file)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size > FILE_BYTES_MAX)
		err = -EFBIG;
	*ret_file = err ? NULL : fdopen(fd, "r");
	if (!err && !*ret_file)
		err = -errno;
	if (err)
		close(fd);
	return err;
}

int web_config_load(const char *path, struct web_config *config, char *why, size_t why_bytes)
{
	struct loader loader = {.config = config, .path = path, .why = why, .why_bytes = why_bytes};
	FILE *file = NULL;
	int err;

	web_config_init(config);
	err = open_file(path, &file);
	if (err) {
		snprintf(why, why_bytes, "%s: %s", path,
			 err == -EFBIG ? "not a file of reasonable size" : strerror(-err));
		return err;
	}
	err = load_document(&loader, file);
	fclose(file);
	if (err == -ENOMEM)
		snprintf(why, why_bytes, "%s: out of memory", path);
	if (err)
		web_config_free(config);
	return err;
}
