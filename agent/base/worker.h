// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A thread that does one job at a time for the main thread, which never waits for it.
 *
 * The user defines request and answer: they are in the struct that `arg` points to, and change
 * hands. Until worker_post() they are the main thread's, from
 * then on the worker's (serve() runs there), and the main thread's again once
 * worker_collect() has returned true. Whatever else the struct holds is for one of the two
 * alone. The worker takes no signal: those belong to the main thread's signalfd.
 *
 * All functions are called by the main thread. Errors: -errno of starting the thread.
 */
#ifndef CONNTIDE_AGENT_BASE_WORKER_H
#define CONNTIDE_AGENT_BASE_WORKER_H

#include <pthread.h>
#include <stdbool.h>

struct worker_job {
	void (*serve)(void *arg);
	void *arg;
	int done_fd; /* eventfd, non-blocking, raised after each answer; -1: none */
	bool finish; /* a waiting request is still served when the worker is stopped */
};

struct worker {
	struct worker_job job;
	pthread_t thread;
	pthread_mutex_t lock; /* guards the flags but `busy` */
	pthread_cond_t posted;
	bool has_request;
	bool has_answer;
	bool quit;
	bool busy; /* posted and not yet collected; the main thread's */
};

int worker_start(struct worker *worker, const struct worker_job *job);
/* Waits for the request under way. */
void worker_stop(struct worker *worker);

bool worker_busy(const struct worker *worker);
/* The request is complete. The worker must not be busy. */
void worker_post(struct worker *worker);
/* Is there an answer that was not collected yet? */
bool worker_collect(struct worker *worker);

#endif
