// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Computes bcrypt hashes in a thread of its own, one after the other: at cost 12 one takes
 * a quarter of a second, in which everybody else is served. The only user of libcrypt.
 *
 * All functions are called by the serving thread. Jobs are copies: nothing of a request or
 * of a configuration has to outlive its call. Bounded: AUTH_JOBS wait at most. Errors:
 * -errno of starting the thread; without one, hashes are computed at once.
 */
#ifndef CONNTIDE_HTTP_TOOLKIT_AUTH_WORKER_H
#define CONNTIDE_HTTP_TOOLKIT_AUTH_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AUTH_JOBS	      8u
#define AUTH_PASSWORD_BYTES   512u
#define AUTH_HASH_BYTES	      64u
#define AUTH_JOB_DIGEST_BYTES 32u

struct auth_job {
	uint8_t digest[AUTH_JOB_DIGEST_BYTES]; /* whose answer it is */
	char password[AUTH_PASSWORD_BYTES];
	char hash[AUTH_HASH_BYTES];
	bool known; /* the user exists; else the hash is another's, for the time it takes */
	bool good;  /* the answer */
};

struct auth_worker;

/* NULL: none, errno says why. */
struct auth_worker *auth_worker_start(void);
/* Waits for the hash that is being computed. NULL does nothing. */
void auth_worker_stop(struct auth_worker *worker);

/* False when AUTH_JOBS wait already. The password is wiped when its hash is known. */
bool auth_worker_post(struct auth_worker *worker, const struct auth_job *job);
/* A job with this digest waits or is being computed. */
bool auth_worker_has(struct auth_worker *worker, const uint8_t digest[AUTH_JOB_DIGEST_BYTES]);
/* The next answer, if there is one: its digest and whether it is good. */
bool auth_worker_collect(struct auth_worker *worker, struct auth_job *ret_job);
/* Jobs that wait or are computed, or have not been collected. */
size_t auth_worker_jobs(struct auth_worker *worker);

/* Compares secrets in a time that depends on their lengths only. */
bool auth_same_text(const char *a, const char *b);

/* At once, by the caller. */
bool auth_hash_matches(const char *password, const char *hash);

#endif
