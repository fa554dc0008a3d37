// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Basic authentication against bcrypt hashes.
 *
 * An unknown user costs as much time as a wrong password: the hash of the first
 * user is computed in his place. Results, good and bad, are remembered as keyed
 * digests, so that a scrape costs no bcrypt; and how many hashes are computed in a
 * second is bounded, and they are computed in another thread (auth_worker.h), so that
 * guesses do not delay clients whose credentials are known.
 */
#ifndef CONNTIDE_HTTP_TOOLKIT_AUTH_H
#define CONNTIDE_HTTP_TOOLKIT_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "exporters/http/toolkit/auth_worker.h"
#include "exporters/http/toolkit/tls.h"
#include "exporters/http/toolkit/web_config.h"

#define AUTH_CACHE_SLOTS 64u
#define AUTH_BURST	 10.0
#define AUTH_PER_S	 5.0

enum auth_result {
	AUTH_OK,
	AUTH_DENIED,  /* wrong, unknown, or not given */
	AUTH_PENDING, /* being computed: ask again after auth_collect() */
	AUTH_TOO_MANY /* too many guesses lately: come back later */
};

struct auth_entry {
	uint8_t digest[DIGEST_BYTES];
	bool used;
	bool good;
};

struct auth {
	uint8_t key[DIGEST_BYTES];
	struct auth_entry cache[AUTH_CACHE_SLOTS];
	unsigned int next; /* slot to go next */
	double tokens;
	uint64_t tokens_at_ns;
	struct auth_worker *worker; /* NULL: hashes are computed at once; the caller's */
};

/* 0 or -errno. Also after the users have changed: what was known is forgotten. `worker` may
 * be NULL, and outlives its use here. */
int auth_init(struct auth *auth, struct auth_worker *worker);

/* Takes over what the worker has computed; true while it has more to do. */
bool auth_collect(struct auth *auth);

/* `header`: value of Authorization, or NULL. AUTH_OK when no users are configured. */
enum auth_result auth_check(struct auth *auth, const struct web_config *config, const char *header,
			    uint64_t now_ns);

#endif
