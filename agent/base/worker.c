// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/base/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/check.h"

static bool next_request(struct worker *worker)
{
	while (!worker->has_request && !worker->quit)
		pthread_cond_wait(&worker->posted, &worker->lock);
	return worker->has_request && (!worker->quit || worker->job.finish);
}

static void *work(void *arg)
{
	struct worker *worker = arg;
	const uint64_t one = 1;

	pthread_mutex_lock(&worker->lock);
	while (next_request(worker)) {
		worker->has_request = false;
		pthread_mutex_unlock(&worker->lock);
		worker->job.serve(worker->job.arg);
		pthread_mutex_lock(&worker->lock);
		worker->has_answer = true;
		/* After the flag, so that whoever it wakes finds the answer. */
		if (worker->job.done_fd >= 0 && write(worker->job.done_fd, &one, sizeof(one)) < 0)
			BUG_ON(errno != EAGAIN);
	}
	pthread_mutex_unlock(&worker->lock);
	return NULL;
}

int worker_start(struct worker *worker, const struct worker_job *job)
{
	sigset_t all, before;
	int err;

	memset(worker, 0, sizeof(*worker));
	worker->job = *job;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->posted, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = -pthread_create(&worker->thread, NULL, work, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

void worker_stop(struct worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	worker->quit = true;
	pthread_cond_signal(&worker->posted);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
}

bool worker_busy(const struct worker *worker)
{
	return worker->busy;
}

void worker_post(struct worker *worker)
{
	BUG_ON(worker->busy);
	worker->busy = true;
	pthread_mutex_lock(&worker->lock);
	worker->has_request = true;
	pthread_cond_signal(&worker->posted);
	pthread_mutex_unlock(&worker->lock);
}

bool worker_collect(struct worker *worker)
{
	bool ready;

	pthread_mutex_lock(&worker->lock);
	ready = worker->has_answer;
	worker->has_answer = false;
	pthread_mutex_unlock(&worker->lock);
	if (ready)
		worker->busy = false;
	return ready;
}
