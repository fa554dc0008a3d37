// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/toolkit/auth_worker.h"

#include <crypt.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define STACK_BYTES ((size_t)256 * 1024)

/* A ring: jobs from `collected` to `posted`, of which those before `done` have answers. */
struct auth_worker {
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct auth_job jobs[AUTH_JOBS];
	unsigned int collected, done, posted;
	bool quit;
};

bool auth_same_text(const char *a, const char *b)
{
	size_t bytes = strlen(a);
	unsigned char difference = 0;

	if (bytes != strlen(b))
		return false;
	for (size_t i = 0; i < bytes; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}

bool auth_hash_matches(const char *password, const char *hash)
{
	static _Thread_local struct crypt_data data;
	const char *result;
	bool same;

	memset(&data, 0, sizeof(data));
	result = crypt_rn(password, hash, &data, sizeof(data));
	same = result && auth_same_text(result, hash);
	explicit_bzero(&data, sizeof(data));
	return same;
}

static void *work(void *arg)
{
	struct auth_worker *worker = arg;

	pthread_mutex_lock(&worker->lock);
	while (!worker->quit) {
		struct auth_job *job = &worker->jobs[worker->done % AUTH_JOBS];
		bool good;

		if (worker->done == worker->posted) {
			pthread_cond_wait(&worker->changed, &worker->lock);
			continue;
		}
		pthread_mutex_unlock(&worker->lock);
		good = auth_hash_matches(job->password, job->hash);
		explicit_bzero(job->password, sizeof(job->password));
		pthread_mutex_lock(&worker->lock);
		job->good = good && job->known;
		worker->done++;
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

struct auth_worker *auth_worker_start(void)
{
	struct auth_worker *worker = calloc(1, sizeof(*worker));
	pthread_attr_t attributes;
	sigset_t all, before;
	int err;

	if (!worker)
		return NULL;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->changed, NULL);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	/* Signals are the serving thread's. */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	err = pthread_create(&worker->thread, &attributes, work, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	if (!err)
		return worker;
	free(worker);
	errno = err;
	return NULL;
}

void auth_worker_stop(struct auth_worker *worker)
{
	if (!worker)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->quit = true;
	pthread_cond_signal(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	explicit_bzero(worker, sizeof(*worker));
	free(worker);
}

bool auth_worker_post(struct auth_worker *worker, const struct auth_job *job)
{
	bool room;

	pthread_mutex_lock(&worker->lock);
	room = worker->posted - worker->collected < AUTH_JOBS;
	if (room) {
		worker->jobs[worker->posted++ % AUTH_JOBS] = *job;
		pthread_cond_signal(&worker->changed);
	}
	pthread_mutex_unlock(&worker->lock);
	return room;
}

bool auth_worker_has(struct auth_worker *worker, const uint8_t digest[AUTH_JOB_DIGEST_BYTES])
{
	bool found = false;

	pthread_mutex_lock(&worker->lock);
	for (unsigned int i = worker->collected; i != worker->posted && !found; i++)
		found = !memcmp(worker->jobs[i % AUTH_JOBS].digest, digest, AUTH_JOB_DIGEST_BYTES);
	pthread_mutex_unlock(&worker->lock);
	return found;
}

bool auth_worker_collect(struct auth_worker *worker, struct auth_job *ret_job)
{
	bool any;

	pthread_mutex_lock(&worker->lock);
	any = worker->collected != worker->done;
	if (any)
		*ret_job = worker->jobs[worker->collected++ % AUTH_JOBS];
	pthread_mutex_unlock(&worker->lock);
	return any;
}

size_t auth_worker_jobs(struct auth_worker *worker)
{
	size_t jobs;

	pthread_mutex_lock(&worker->lock);
	jobs = worker->posted - worker->collected;
	pthread_mutex_unlock(&worker->lock);
	return jobs;
}
