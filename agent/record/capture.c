// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/record/capture.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/confine.h"
#include "agent/netlink/parser.h"
#include "agent/record/capture_lines.h"
#include "lib/base/clock.h"
#include "lib/base/signals.h"

#define BUFFER_MAX_BYTES (256u << 20)
#define PACE_NS		 1000000
#define DRAIN_BATCHES	 4096u
#define DAY_S		 86400u

/* The module that serves ctnetlink may only be on its way, see setup.c. */
#define REACH_TRIES    25u
#define REACH_PAUSE_NS 100000000

static int explain(char why[CAPTURE_WHY_BYTES], int err, const char *what)
{
	if (err == -EPERM)
		snprintf(why, CAPTURE_WHY_BYTES,
			 "not allowed to %s: run as root, or with CAP_NET_ADMIN in this network "
			 "namespace",
			 what);
	else if (err)
		snprintf(why, CAPTURE_WHY_BYTES, "cannot %s: %s", what, strerror(-err));
	return err;
}

/* --- events ----------------------------------------------------------------------- */

static void take_batch(struct capture *capture, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct ct_event event;
		size_t len;
		const void *message = event_socket_message(&capture->events, i, &len);
		int err = message ? ct_event_parse(message, len, &event) : -ENOMSG;

		if (err == -EBADMSG)
			capture->malformed_events++;
		if (!err && ct_cache_event(&capture->cache, &event, capture->now_ns) &&
		    capture->began_ns) {
			capture_write_event(capture, &event);
			capture->event_lines++;
		}
	}
}

static void note_loss(struct capture *capture, uint64_t lost)
{
	struct event_socket *events = &capture->events;

	if (!lost)
		return;
	capture->lost_events += lost;
	capture_write_lost(capture, lost);
	if (events->buffer_bytes < BUFFER_MAX_BYTES)
		event_socket_resize(events, events->buffer_bytes < BUFFER_MAX_BYTES / 2
						    ? 2 * events->buffer_bytes
						    : BUFFER_MAX_BYTES);
}

/* Until the queue is empty; 0 or -errno of the socket. */
static int drain(struct capture *capture)
{
	int err = 0;

	capture->drained = false;
	for (unsigned int i = 0; i < DRAIN_BATCHES && !capture->drained; i++) {
		int n = event_socket_receive(&capture->events);

		capture->now_ns = clock_boot_ns();
		if (n < 0) {
			err = n;
			break;
		}
		take_batch(capture, (unsigned int)n);
		capture->drained = (unsigned int)n < NLSOCK_BATCH;
	}
	note_loss(capture, event_socket_check_loss(&capture->events));
	return err;
}

/* A pause lets events gather: one wake-up for many. Always as long, unlike the agent's:
 * times in a trace are to be right within about a millisecond. */
static void pace(const struct capture *capture)
{
	const struct timespec pause = {.tv_nsec = PACE_NS};

	if (capture->drained)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

static void on_signal(struct capture *capture)
{
	if (signals_take(capture->signal_fd))
		capture->quit = true;
}

/* --- the dump ------------------------------------------------------------------------ */

/* The answer to a request, in any case: the worker must be idle afterwards. Events are
 * read meanwhile. -EINTR: told to end. */
static int ask(struct capture *capture, enum query_kind kind, struct query_answer *answer)
{
	struct pollfd fds[] = {
		{.fd = query_fd(capture->query), .events = POLLIN},
		{.fd = capture->events.fd, .events = POLLIN},
		{.fd = capture->signal_fd, .events = POLLIN},
	};
	int err = 0;

	query_post(capture->query, kind, NULL, 0);
	while (!query_collect(capture->query, answer)) {
		poll(fds, 3, -1);
		if (fds[2].revents)
			on_signal(capture);
		if (fds[1].revents && !err)
			err = drain(capture);
	}
	if (capture->quit)
		return -EINTR;
	return err ? err : answer->err;
}

static int take_chunk(struct capture *capture, const struct query_answer *chunk)
{
	int left;
	struct ct_event record;
	int err = 0;

	for (const struct nlmsghdr *nlh = ct_message_first(chunk->bytes, chunk->len, &left); nlh;
	     nlh = ct_message_next(nlh, &left)) {
		int bad = ct_event_parse(nlh, (size_t)left, &record);

		if (bad == -EBADMSG)
			err = bad;
		if (!bad)
			ct_cache_record(&capture->cache, &record, capture->now_ns);
	}
	return err;
}

static int read_dump(struct capture *capture)
{
	struct query_answer answer = {.ended = false};
	int err = ask(capture, QUERY_DUMP_START, &answer);
	int bad = 0;

	while (!err && !answer.ended) {
		err = ask(capture, QUERY_DUMP_NEXT, &answer);
		/* What the chunk shows may have been overtaken by what is in the queue. */
		if (!err)
			err = drain(capture);
		if (!err && take_chunk(capture, &answer) < 0)
			bad = -EBADMSG;
	}
	if (err)
		query_abandon_dump(capture->query);
	else
		err = drain(capture);
	return err ? err : bad;
}

/* 0; -EAGAIN: it is complete, but may be wrong; -errno. */
static int dump_once(struct capture *capture)
{
	uint64_t lost_before;
	int64_t buckets_before;
	int err = drain(capture);

	if (err)
		return err;
	ct_proc_read(&capture->proc, &CT_LIMITS_UNKNOWN, &capture->limits);
	buckets_before = capture->limits.buckets;
	lost_before = capture->lost_events;
	ct_cache_dump_begin(&capture->cache);
	err = read_dump(capture);
	ct_cache_dump_end(&capture->cache);
	ct_proc_read(&capture->proc, &CT_LIMITS_UNKNOWN, &capture->limits);
	if (!err &&
	    (capture->lost_events != lost_before || capture->limits.buckets != buckets_before))
		err = -EAGAIN;
	return err;
}

static int dump(struct capture *capture)
{
	const struct timespec pause = {.tv_nsec = REACH_PAUSE_NS};
	unsigned int dumps = 0;
	int err = -EINVAL;

	for (unsigned int i = 0; err && i < REACH_TRIES && dumps < CAPTURE_DUMPS; i++) {
		if (i)
			nanosleep(&pause, NULL);
		err = dump_once(capture);
		if (err == -EINTR && capture->quit)
			return err;
		if (err && err != -EAGAIN && err != -EINTR && err != -EBADMSG && err != -EINVAL &&
		    err != -EOPNOTSUPP)
			return err;
		dumps += err != -EINVAL && err != -EOPNOTSUPP;
	}
	capture->dump_doubtful = err != 0;
	/* The list is whole, if not beyond doubt; what was cut is not. */
	return err == -EAGAIN ? 0 : err;
}

/* --- the seconds ---------------------------------------------------------------------- */

static void read_counters(struct capture *capture)
{
	char text[65536];

	capture->counters_missing = ct_proc_read_stats(&capture->proc, text, sizeof(text)) < 0 ||
				    ct_counters_text(&capture->counters, text) < 0;
}

/* The count is read first: an event it does not hold yet has its line before it. */
static int write_second(struct capture *capture)
{
	int err;

	ct_proc_read(&capture->proc, &CT_LIMITS_UNKNOWN, &capture->limits);
	read_counters(capture);
	err = drain(capture);
	capture_write_stat(capture);
	return err;
}

static int on_second(struct capture *capture)
{
	uint64_t expirations = 0;
	int err;

	if (read(capture->timer_fd, &expirations, sizeof(expirations)) < 0)
		return 0;
	/* Seconds in which this process did not run are skipped: nothing is known of them. */
	capture->seconds += expirations;
	err = write_second(capture);
	if (ct_timeouts_read(&capture->timeouts))
		capture_write_timeouts(capture, false);
	if (capture->config.eval_s &&
	    capture->seconds / capture->config.eval_s >
		    (capture->seconds - expirations) / capture->config.eval_s)
		capture_write_eval(capture);
	if (capture->config.seconds && capture->seconds >= capture->config.seconds)
		capture->quit = true;
	capture_flush(capture);
	return err;
}

int capture_begin(struct capture *capture, char why[CAPTURE_WHY_BYTES])
{
	const struct itimerspec second = {{1, 0}, {1, 0}};
	int err = dump(capture);

	if (err == -EINTR && capture->quit)
		return 0;
	if (err)
		return explain(why, err, "read the connection-tracking table");
	capture->began_ns = capture->now_ns;
	capture_write_head(capture, DAY_S);
	capture_write_timeouts(capture, true);
	capture_write_table(capture);
	err = write_second(capture);
	capture_flush(capture);
	if (!err && timerfd_settime(capture->timer_fd, 0, &second, NULL) < 0)
		err = -errno;
	return explain(why, err, "begin");
}

int capture_run(struct capture *capture, char why[CAPTURE_WHY_BYTES])
{
	struct pollfd fds[] = {
		{.fd = capture->events.fd, .events = POLLIN},
		{.fd = capture->timer_fd, .events = POLLIN},
		{.fd = capture->signal_fd, .events = POLLIN},
	};
	int err = 0;

	while (!capture->quit && !err && !capture->write_error) {
		poll(fds, 3, -1);
		if (fds[0].revents) {
			err = drain(capture);
			if (!fds[1].revents && !fds[2].revents)
				pace(capture);
		}
		if (!err && fds[1].revents)
			err = on_second(capture);
		if (fds[2].revents)
			on_signal(capture);
	}
	if (err)
		return explain(why, err, "read events");
	/* What happened up to now, and the count that goes with it, if a signal came
	 * between two seconds. */
	if (capture->began_ns && !capture->write_error &&
	    (!capture->config.seconds || capture->seconds < capture->config.seconds))
		err = write_second(capture);
	capture_flush(capture);
	if (capture->write_error) {
		snprintf(why, CAPTURE_WHY_BYTES, "cannot write: %s",
			 strerror(-capture->write_error));
		return capture->write_error;
	}
	return explain(why, err, "read events");
}

/* --- life ------------------------------------------------------------------------------ */

static int open_signals(struct capture *capture)
{
	capture->signal_fd = signals_open();
	if (capture->signal_fd < 0)
		return capture->signal_fd;
	signal(SIGPIPE, SIG_IGN);
	capture->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	return capture->timer_fd < 0 ? -errno : 0;
}

/* Room for twice what the kernel allows: a limit may be raised meanwhile. */
static uint32_t ct_cache_limit(const struct ct_limits *limits)
{
	int64_t max = limits->max_entries;

	if (max <= 0 || 2 * max + 65536 > CT_CACHE_LIMIT_MAX)
		return CT_CACHE_LIMIT_MAX;
	return (uint32_t)(2 * max + 65536);
}

static int open_parts(struct capture *capture)
{
	int err = ct_hash_seed();

	if (!err)
		err = pseudonym_draw(&capture->pseudonym);
	if (!err)
		err = ct_cache_create(&capture->cache, ct_cache_limit(&capture->limits));
	if (!err)
		err = open_signals(capture);
	if (!err && capture->config.sandbox)
		err = confine_agent(&(struct confine_user){.change = false});
	/* The worker inherits the confinement. */
	return err ? err : query_create(&capture->query);
}

int capture_create(struct capture *capture, const struct capture_config *config, FILE *out,
		   char why[CAPTURE_WHY_BYTES])
{
	int err;

	memset(capture, 0, sizeof(*capture));
	capture->config = *config;
	capture->out = out;
	capture->events.fd = capture->timer_fd = capture->signal_fd = -1;
	ct_counters_init(&capture->counters);
	ct_proc_open(&capture->proc);
	ct_timeouts_open(&capture->timeouts);
	ct_proc_read(&capture->proc, &CT_LIMITS_UNKNOWN, &capture->limits);
	err = event_socket_open(&capture->events, config->buffer_bytes);
	if (!err)
		err = event_socket_subscribe(&capture->events, NLSOCK_ALL);
	if (err)
		return explain(why, err, "listen to connection-tracking events");
	return explain(why, open_parts(capture), "start");
}

void capture_destroy(struct capture *capture)
{
	query_destroy(capture->query);
	event_socket_close(&capture->events);
	ct_cache_destroy(&capture->cache);
	ct_timeouts_close(&capture->timeouts);
	ct_proc_close(&capture->proc);
	ct_counters_free(&capture->counters);
	if (capture->timer_fd >= 0)
		close(capture->timer_fd);
	if (capture->signal_fd >= 0)
		close(capture->signal_fd);
	explicit_bzero(&capture->pseudonym, sizeof(capture->pseudonym));
}
