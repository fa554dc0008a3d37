// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/toolkit/auth.h"

#include <crypt.h>
#include <string.h>
#include <strings.h>

#define CREDENTIAL_BYTES 512u

int auth_init(struct auth *auth)
{
	memset(auth, 0, sizeof(*auth));
	auth->tokens = AUTH_BURST;
	return tls_random(auth->key, sizeof(auth->key));
}

/* Time depends on the lengths only. */
static bool same_string(const char *a, const char *b)
{
	size_t bytes = strlen(a);
	unsigned char difference = 0;

	if (bytes != strlen(b))
		return false;
	for (size_t i = 0; i < bytes; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}

static bool hash_matches(const char *password, const char *hash)
{
	static struct crypt_data data;
	const char *result;

	memset(&data, 0, sizeof(data));
	result = crypt_rn(password, hash, &data, sizeof(data));
	return result && same_string(result, hash);
}

static bool take_token(struct auth *auth, uint64_t now_ns)
{
	double passed_s = auth->tokens_at_ns && now_ns > auth->tokens_at_ns
				  ? (double)(now_ns - auth->tokens_at_ns) / 1e9
				  : 0;

	auth->tokens_at_ns = now_ns;
	auth->tokens += passed_s * AUTH_PER_S;
	if (auth->tokens > AUTH_BURST)
		auth->tokens = AUTH_BURST;
	if (auth->tokens < 1)
		return false;
	auth->tokens -= 1;
	return true;
}

static struct auth_entry *find(struct auth *auth, const uint8_t digest[DIGEST_BYTES])
{
	for (unsigned int i = 0; i < AUTH_CACHE_SLOTS; i++)
		if (auth->cache[i].used && !memcmp(auth->cache[i].digest, digest, DIGEST_BYTES))
			return &auth->cache[i];
	return NULL;
}

/* A good result is not pushed out by a guesser as long as there is a bad one. */
static struct auth_entry *free_entry(struct auth *auth)
{
	for (unsigned int i = 0; i < AUTH_CACHE_SLOTS; i++) {
		unsigned int at = (auth->next + i) % AUTH_CACHE_SLOTS;

		if (!auth->cache[at].used || !auth->cache[at].good) {
			auth->next = (at + 1) % AUTH_CACHE_SLOTS;
			return &auth->cache[at];
		}
	}
	auth->next = (auth->next + 1) % AUTH_CACHE_SLOTS;
	return &auth->cache[auth->next];
}

enum auth_result auth_check(struct auth *auth, const struct web_config *config, const char *header,
			    uint64_t now_ns)
{
	char credentials[CREDENTIAL_BYTES];
	uint8_t digest[DIGEST_BYTES];
	const struct web_user *user = NULL;
	struct auth_entry *entry;
	char *password;
	bool good;

	if (!config->user_count)
		return AUTH_OK;
	if (!header || strncasecmp(header, "Basic ", 6) != 0)
		return AUTH_DENIED;
	for (header += 6; *header == ' ';)
		header++;
	if (!tls_base64_decode(header, credentials, sizeof(credentials)))
		return AUTH_DENIED;
	password = strchr(credentials, ':');
	if (!password)
		return AUTH_DENIED;
	*password++ = '\0';
	if (tls_digest(auth->key, credentials, password, digest) < 0)
		return AUTH_DENIED;
	entry = find(auth, digest);
	if (entry)
		return entry->good ? AUTH_OK : AUTH_DENIED;
	if (!take_token(auth, now_ns))
		return AUTH_TOO_MANY;
	for (size_t i = 0; i < config->user_count; i++)
		if (same_string(config->users[i].name, credentials))
			user = &config->users[i];
	good = hash_matches(password, user ? user->hash : config->users[0].hash) && user;
	entry = free_entry(auth);
	memcpy(entry->digest, digest, sizeof(digest));
	entry->used = true;
	entry->good = good;
	return good ? AUTH_OK : AUTH_DENIED;
}
