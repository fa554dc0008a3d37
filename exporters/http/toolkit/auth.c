// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/toolkit/auth.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CREDENTIAL_BYTES 512u

int auth_init(struct auth *auth, struct auth_worker *worker)
{
	/* What is still computed for the users of before has another key's digest. */
	memset(auth, 0, sizeof(*auth));
	auth->worker = worker;
	auth->tokens = AUTH_BURST;
	return tls_random(auth->key, sizeof(auth->key));
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

static void remember(struct auth *auth, const uint8_t digest[DIGEST_BYTES], bool good)
{
	struct auth_entry *entry = free_entry(auth);

	memcpy(entry->digest, digest, DIGEST_BYTES);
	entry->used = true;
	entry->good = good;
}

bool auth_collect(struct auth *auth)
{
	struct auth_job job;

	if (!auth->worker)
		return false;
	while (auth_worker_collect(auth->worker, &job))
		remember(auth, job.digest, job.good);
	return auth_worker_jobs(auth->worker) > 0;
}

/* An unknown user takes as long as a wrong password, with the hash of the first user. */
static enum auth_result compute(struct auth *auth, const struct web_config *config,
				const char *name, const char *password,
				const uint8_t digest[DIGEST_BYTES], uint64_t now_ns)
{
	const struct web_user *user = NULL;
	struct auth_job job;
	bool queued, good;

	_Static_assert(DIGEST_BYTES == AUTH_JOB_DIGEST_BYTES, "a job carries the digest");
	if (auth->worker && auth_worker_has(auth->worker, digest))
		return AUTH_PENDING;
	if (auth->worker && auth_worker_jobs(auth->worker) == AUTH_JOBS)
		return AUTH_TOO_MANY;
	if (!take_token(auth, now_ns))
		return AUTH_TOO_MANY;
	for (size_t i = 0; i < config->user_count; i++)
		if (auth_same_text(config->users[i].name, name))
			user = &config->users[i];
	memset(&job, 0, sizeof(job));
	memcpy(job.digest, digest, DIGEST_BYTES);
	snprintf(job.password, sizeof(job.password), "%s", password);
	snprintf(job.hash, sizeof(job.hash), "%s", user ? user->hash : config->users[0].hash);
	job.known = user != NULL;
	queued = auth->worker && auth_worker_post(auth->worker, &job);
	if (queued) {
		explicit_bzero(&job, sizeof(job));
		return AUTH_PENDING;
	}
	good = auth_hash_matches(job.password, job.hash) && job.known;
	explicit_bzero(&job, sizeof(job));
	remember(auth, digest, good);
	return good ? AUTH_OK : AUTH_DENIED;
}

enum auth_result auth_check(struct auth *auth, const struct web_config *config, const char *header,
			    uint64_t now_ns)
{
	char credentials[CREDENTIAL_BYTES];
	uint8_t digest[DIGEST_BYTES];
	enum auth_result result = AUTH_DENIED;
	struct auth_entry *entry;
	char *password;

	if (!config->user_count)
		return AUTH_OK;
	if (!header || strncasecmp(header, "Basic ", 6) != 0)
		return AUTH_DENIED;
	for (header += 6; *header == ' ';)
		header++;
	if (!tls_base64_decode(header, credentials, sizeof(credentials)))
		return AUTH_DENIED;
	password = strchr(credentials, ':');
	if (password)
		*password++ = '\0';
	if (password && tls_digest(auth->key, credentials, password, digest) == 0) {
		entry = find(auth, digest);
		if (entry)
			result = entry->good ? AUTH_OK : AUTH_DENIED;
		else
			result = compute(auth, config, credentials, password, digest, now_ns);
	}
	explicit_bzero(credentials, sizeof(credentials));
	return result;
}
