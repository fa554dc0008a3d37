// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <grp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/base/confine.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/signals.h"

static int watch(struct agent *agent, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(agent->loop.epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* What ends the agent waits for the loop. */
static int hold_signals(struct agent *agent)
{
	int fd = signals_open();

	if (fd < 0)
		return fd;
	signal(SIGPIPE, SIG_IGN);
	agent->loop.signal_fd = fd;
	return 0;
}

static int open_loop(struct agent *agent)
{
	const struct itimerspec second = {{1, 0}, {1, 0}};
	int err;

	agent->loop.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	agent->loop.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (agent->loop.epoll_fd < 0 || agent->loop.timer_fd < 0 ||
	    timerfd_settime(agent->loop.timer_fd, 0, &second, NULL) < 0)
		return -errno;
	err = watch(agent, agent->loop.signal_fd);
	if (!err)
		err = watch(agent, agent->loop.timer_fd);
	if (!err)
		err = watch(agent, query_fd(agent->query));
	if (!err)
		err = watch(agent, agent->loop.address_fd);
	if (!err)
		err = watch(agent, agent->events.fd);
	return err;
}

/* Waits for the answer: at the start nothing else is going on. */
static int ask_and_wait(struct agent *agent, enum query_kind kind, struct query_answer *ret_answer)
{
	struct pollfd poll_fd = {.fd = query_fd(agent->query), .events = POLLIN};

	query_post(agent->query, kind, NULL, 0);
	do {
		poll(&poll_fd, 1, -1);
	} while (!query_collect(agent->query, ret_answer));
	return ret_answer->err;
}

/* Our binding to its group loads the module that serves ctnetlink, asynchronously: it may not be
 * ready yet. */
static int reach_conntrack(struct agent *agent, char why[AGENT_WHY_BYTES])
{
	struct query_answer answer;
	int err = -EINVAL;

	for (int i = 0; i < 25 && (err == -EINVAL || err == -EOPNOTSUPP); i++) {
		const struct timespec pause = {.tv_nsec = 100000000};

		if (i)
			nanosleep(&pause, NULL);
		err = ask_and_wait(agent, QUERY_STATS, &answer);
	}
	/* What is published first has them: a counter that began at 0 would seem to rise. */
	if (!err)
		requests_adopt_stats(agent, &answer);
	if (err == -EPERM)
		snprintf(why, AGENT_WHY_BYTES,
			 "not allowed to read the connection-tracking table: run as root, or give "
			 "the agent CAP_NET_ADMIN in this network namespace");
	else if (err)
		snprintf(why, AGENT_WHY_BYTES,
			 "the kernel does not answer questions about connection tracking (%s): "
			 "modprobe nf_conntrack_netlink",
			 strerror(-err));
	return err;
}

static int first_addresses(struct agent *agent, char why[AGENT_WHY_BYTES])
{
	struct query_answer answer;
	int err = ask_and_wait(agent, QUERY_ADDRESSES, &answer);

	if (err) {
		snprintf(why, AGENT_WHY_BYTES, "cannot list the addresses of this namespace: %s",
			 strerror(-err));
		return err;
	}
	requests_adopt_addresses(agent, answer.addrs);
	free(answer.addrs);
	return 0;
}

static int open_events(struct agent *agent, char why[AGENT_WHY_BYTES])
{
	int err = handover_open_events(agent);

	if (!err) {
		agent->loop.address_fd =
			request_socket_open(NETLINK_ROUTE, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
		err = agent->loop.address_fd < 0 ? agent->loop.address_fd : 0;
	}
	if (err) {
		snprintf(why, AGENT_WHY_BYTES,
			 "cannot open netlink sockets (%s): the kernel must have nfnetlink; "
			 "modprobe nf_conntrack_netlink",
			 strerror(-err));
		return err;
	}
	/* The subscription comes before everything that is read: no gap. */
	err = subscription_set(&agent->subscription, NLSOCK_ALL, agent->loop.started_ns);
	if (err == -EPERM)
		snprintf(
			why, AGENT_WHY_BYTES,
			"not allowed to listen to connection-tracking events: run as root, or give "
			"the agent CAP_NET_ADMIN in this network namespace");
	else if (err)
		snprintf(why, AGENT_WHY_BYTES,
			 "cannot listen to connection-tracking events (%s): "
			 "modprobe nf_conntrack_netlink",
			 strerror(-err));
	return err;
}

/* From here on only requests to the kernel are needed. The thread that makes them inherits the
 * confinement. */
static int open_queries(struct agent *agent, char why[AGENT_WHY_BYTES])
{
	int err = agent->config.sandbox ? confine_agent(&agent->user) : 0;

	if (agent->config.sandbox && geteuid() == 0)
		log_warn("agent",
			 "stays user 0, without CAP_SETUID, CAP_SETGID and CAP_CHOWN or an "
			 "id to change to; of all capabilities it keeps CAP_NET_ADMIN");
	if (err) {
		snprintf(why, AGENT_WHY_BYTES,
			 "cannot give up privileges: %s; --no-sandbox goes on "
			 "without",
			 strerror(-err));
		return err;
	}
	err = query_create(&agent->query);
	if (err) {
		snprintf(why, AGENT_WHY_BYTES, "cannot start asking the kernel: %s",
			 strerror(-err));
		return err;
	}
	return reach_conntrack(agent, why);
}

/*
 * From /etc/group itself: getgrnam() may talk to a name service over sockets,
 * which this process has no other use for. -1: no such group.
 */
static gid_t group_by_name(const char *name)
{
	const struct group *group;
	FILE *file = fopen("/etc/group", "re");
	gid_t gid = (gid_t)-1;

	while (file && gid == (gid_t)-1 && (group = fgetgrent(file)))
		if (strcmp(group->gr_name, name) == 0)
			gid = group->gr_gid;
	if (file)
		fclose(file);
	return gid;
}

static gid_t readers_group(const struct config *config, int *ret_err)
{
	gid_t gid = group_by_name(config->group ? config->group : "conntide");

	*ret_err = config->group && gid == (gid_t)-1 ? -ENOENT : 0;
	return gid;
}

static void prepare_incidents(struct agent *agent, gid_t readers)
{
	const struct config *config = &agent->config;
	const struct incident_limits limits = {.max_count = config->incidents_max,
					       .max_bytes = config->incidents_max_bytes,
					       .readers = readers};

	incident_recorder_prepare(&agent->incidents, config->state_dir, config->netns, &limits);
}

static void start_incidents(struct agent *agent)
{
	struct shm_reader from;

	segment_reader(&agent->segment, &from);
	incident_recorder_start(&agent->incidents, &from, clock_real_ns());
}

/* What the agent writes from now on belongs to the user it becomes. */
static int hand_over(struct agent *agent, gid_t readers, char why[AGENT_WHY_BYTES])
{
	int err;

	if (agent->config.sandbox)
		agent->user = confine_user(readers);
	if (!agent->user.change)
		return 0;
	err = segment_hand_over(&agent->segment, agent->user.uid, agent->user.gid);
	if (!err)
		err = incident_recorder_hand_over(&agent->incidents, agent->user.uid,
						  agent->user.gid);
	if (err)
		snprintf(why, AGENT_WHY_BYTES,
			 "cannot give its files to user %u: %s; --no-sandbox goes on without",
			 (unsigned int)agent->user.uid, strerror(-err));
	return err;
}

static int open_segment(struct agent *agent, char why[AGENT_WHY_BYTES])
{
	const struct config *config = &agent->config;
	struct segment_identity identity = {
		.name = config->netns,
		.netns_inode = handover_netns_inode(),
		.now_real_ns = clock_real_ns(),
		.now_boot_ns = clock_boot_ns(),
	};
	const char *what;
	pid_t pid;
	int err = hold_signals(agent);
	gid_t gid;

	if (err) {
		snprintf(why, AGENT_WHY_BYTES, "cannot start: %s", strerror(-err));
		return err;
	}
	err = segment_create(&agent->segment, config->runtime_dir, &identity, &what, &pid);
	if (err == -EBUSY) {
		snprintf(why, AGENT_WHY_BYTES,
			 "another agent (pid %d) publishes \"%s\" in %s: stop it, or use another "
			 "--runtime-dir or --netns",
			 (int)pid, config->netns, config->runtime_dir);
		return err;
	}
	if (err) {
		snprintf(why, AGENT_WHY_BYTES, "%s %s: %s; name a writable one with --runtime-dir",
			 what, config->runtime_dir, strerror(-err));
		return err;
	}
	gid = readers_group(config, &err);
	if (err)
		snprintf(why, AGENT_WHY_BYTES, "--group: there is no group \"%s\"", config->group);
	else if ((err = segment_set_readers(&agent->segment, gid)) < 0)
		snprintf(why, AGENT_WHY_BYTES, "cannot set the readers of %s: %s",
			 agent->segment.path, strerror(-err));
	if (err)
		return err;
	prepare_incidents(agent, gid);
	return hand_over(agent, gid, why);
}

static int create_records(struct agent *agent)
{
	int err = durations_create(&agent->stats.durations, &agent->hist);

	if (!err)
		err = table_log_create(&agent->stats.table_log, &agent->hist,
				       agent->loop.started_ns);
	if (!err)
		err = nat_pools_create(&agent->stats.nat_pools, NAT_POOLS_KEYS);
	if (!err)
		err = zones_create(&agent->stats.zones);
	if (!err)
		err = zone_cells_create(&agent->stats.zone_cells);
	publish_nat_start(agent);
	return err ? err : talkers_create(&agent->stats.talkers, TALKERS_KEYS);
}

static void destroy_records(struct agent *agent)
{
	durations_destroy(&agent->stats.durations);
	table_log_destroy(&agent->stats.table_log);
	talkers_destroy(&agent->stats.talkers);
	nat_pools_destroy(&agent->stats.nat_pools);
	zones_destroy(&agent->stats.zones);
	zone_cells_destroy(&agent->stats.zone_cells);
}

/* The forecast and what else learns from the mirror's changes. */
static int create_statistics(struct agent *agent)
{
	agent->stats.forecast = forecast_create((int64_t)agent->loop.started_ns);
	if (!agent->stats.forecast)
		return -ENOMEM;
	observer_init(&agent->stats.observer);
	agent->stats.observer.forecast = agent->stats.forecast;
	agent->stats.observer.durations = &agent->stats.durations;
	agent->stats.observer.talkers = &agent->stats.talkers;
	agent->stats.observer.nat_pools = &agent->stats.nat_pools;
	agent->stats.observer.zones = &agent->stats.zones;
	agent->stats.observer.zone_cells = &agent->stats.zone_cells;
	agent->mirror.hook = &agent->stats.observer.hook;
	return create_records(agent);
}

static void attach_statistics(struct agent *agent)
{
	forecast_publish_init(&agent->stats.forecast_publish, agent->stats.forecast,
			      segment_forecast(&agent->segment), segment_pasts(&agent->segment),
			      agent->loop.started_ns);
	agent->stats.durations.details = segment_details(&agent->segment);
	agent->stats.table_log.rings[0] = segment_frames(&agent->segment, false);
	agent->stats.table_log.rings[1] = segment_frames(&agent->segment, true);
	agent->stats.table_log.hosts[0] = segment_frame_hosts(&agent->segment, false);
	agent->stats.table_log.hosts[1] = segment_frame_hosts(&agent->segment, true);
	agent->stats.table_log.durations = &agent->stats.durations;
	agent->stats.table_log.ages = &agent->stats.ages;
	ages_init(&agent->stats.ages, &agent->mirror, segment_ages(&agent->segment));
	agent->stats.ages.forecast = agent->stats.forecast;
	publish_settings_start(agent);
}

static int create_mirror(struct agent *agent, char why[AGENT_WHY_BYTES])
{
	uint64_t seed = clock_real_ns();
	uint32_t limit;
	int err = ct_hash_seed();

	if (!err)
		err = verify_create(&agent->verify, quality_event_audits(&agent->config), seed);
	ct_proc_read(&agent->kernel.proc, &agent->kernel.told, &agent->kernel.limits);
	limit = agent_mirror_limit(agent);
	agent->mirror_limit_entries = limit;
	recorder_put(&agent->recorder, 0, RECORD_LIMIT, &limit, sizeof(limit));
	if (!err)
		err = mirror_create(&agent->mirror, limit, &agent->hist, &agent->addrs,
				    &agent->verify);
	if (!err)
		err = create_statistics(agent);
	if (err)
		snprintf(why, AGENT_WHY_BYTES, "cannot set up the mirror: %s", strerror(-err));
	return err;
}

static int open_recorder(struct agent *agent, char why[AGENT_WHY_BYTES])
{
	int err = agent->config.record_path
			  ? recorder_open(&agent->recorder, agent->config.record_path)
			  : 0;

	if (err)
		snprintf(why, AGENT_WHY_BYTES, "--record %s: %s", agent->config.record_path,
			 strerror(-err));
	return err;
}

static void init_fields(struct agent *agent, const struct config *config)
{
	memset(agent, 0, sizeof(*agent));
	agent->config = *config;
	agent->loop.epoll_fd = agent->loop.timer_fd = agent->loop.signal_fd = -1;
	agent->loop.address_fd = -1;
	agent->events.fd = -1;
	subscription_init(&agent->subscription, &agent->events);
	agent->segment.fd = agent->segment.lock_fd = -1;
	pace_init(&agent->loop.pace, (uint64_t)config->pace_us * 1000u);
	agent->loop.started_ns = clock_boot_ns();
	agent->kernel.tick_hz = clock_tick_hz();
	agent->published.minute_left_s = 60;
	agent->losses.residual_patience_s = AGENT_RESIDUAL_PATIENCE_S;
	agent->kernel.told = agent->kernel.limits = CT_LIMITS_UNKNOWN;
	local_addrs_init(&agent->addrs);
	ct_counters_init(&agent->kernel.counters);
	resync_init(&agent->resync);
	schedule_init(&agent->schedule, config->resync_interval_s * NS_PER_S,
		      config->silent_interval_s * NS_PER_S, agent->loop.started_ns);
	incident_recorder_init(&agent->incidents, agent->loop.started_ns);
	ct_proc_open(&agent->kernel.proc);
	softnet_open(&agent->kernel.softnet);
	ct_timeouts_open(&agent->kernel.timeouts);
	ct_settings_open(&agent->kernel.settings);
}

/* By now root's override of file permissions is gone. */
static int publish_segment(struct agent *agent, char why[AGENT_WHY_BYTES])
{
	int err = segment_publish(&agent->segment);

	if (err == -EACCES || err == -EPERM)
		snprintf(why, AGENT_WHY_BYTES,
			 "cannot publish %s: %s must belong to the user the agent runs as; chown "
			 "it, "
			 "or name another with --runtime-dir",
			 agent->segment.path, agent->config.runtime_dir);
	else if (err)
		snprintf(why, AGENT_WHY_BYTES, "cannot publish %s: %s", agent->segment.path,
			 strerror(-err));
	return err;
}

int agent_create(struct agent *agent, const struct config *config, char why[AGENT_WHY_BYTES])
{
	int err;

	init_fields(agent, config);
	err = open_recorder(agent, why);
	if (!err)
		err = open_events(agent, why);
	if (!err)
		err = create_mirror(agent, why);
	if (!err)
		err = open_segment(agent, why);
	if (!err)
		err = open_queries(agent, why);
	if (err)
		return err;
	histogram_attach(&agent->hist, &agent->segment);
	attach_statistics(agent);
	err = first_addresses(agent, why);
	if (!err) {
		ports_init(&agent->ports, &agent->hist, segment_slots(&agent->segment),
			   segment_rates(&agent->segment), segment_live(&agent->segment),
			   config->top_ports);
		mirror_set_time(&agent->mirror, clock_boot_ns());
		start_incidents(agent);
		publish_start(agent);
		err = open_loop(agent);
		if (err)
			snprintf(why, AGENT_WHY_BYTES, "cannot start: %s", strerror(-err));
		else
			err = publish_segment(agent, why);
	}
	return err;
}

void agent_destroy(struct agent *agent)
{
	int fds[] = {agent->loop.epoll_fd, agent->loop.timer_fd, agent->loop.signal_fd,
		     agent->loop.address_fd};
	int err;

	/* First, because the workers may take long to end: a kernel lock or a disk may hold them
	 * up. */
	segment_stopped(&agent->segment, clock_real_ns());
	err = recorder_close(&agent->recorder);
	if (err)
		log_error("record", "recording is not complete: %s", strerror(-err));
	query_destroy(agent->query);
	incident_recorder_close(&agent->incidents);
	subscription_close(&agent->subscription);
	event_socket_close(&agent->events);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	segment_close(&agent->segment);
	mirror_destroy(&agent->mirror);
	verify_destroy(&agent->verify);
	local_addrs_free(&agent->addrs);
	ct_counters_free(&agent->kernel.counters);
	ct_proc_close(&agent->kernel.proc);
	softnet_close(&agent->kernel.softnet);
	ct_timeouts_close(&agent->kernel.timeouts);
	ct_settings_close(&agent->kernel.settings);
	forecast_destroy(agent->stats.forecast);
	destroy_records(agent);
}
