// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * conntide-demo --runtime-dir DIR [--at SECONDS]
 *
 * The agent's mirror, forecast and publishing on a machine that is not there (machine.h): no
 * root, no traffic, nothing asked of the kernel. `conntide demo` starts it. A past of ten
 * minutes is computed first, in a second or two, so that the forecast has something to go by.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/demo/machine.h"
#include "lib/base/build_info.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/num.h"
#include "lib/base/options.h"
#include "lib/base/signals.h"
#include "lib/stats/batch.h"

#define PAST_S 600u

/*
 * The linker gives us what the agent's code takes for the clock (-Wl,--wrap=clock_gettime):
 * while the past is computed, it stands where that has come to.
 */
static bool in_the_past;
static uint64_t past_boot_ns, past_real_ns;

int __real_clock_gettime(clockid_t id, struct timespec *ts); /* NOLINT */
int __wrap_clock_gettime(clockid_t id, struct timespec *ts); /* NOLINT */

int __wrap_clock_gettime(clockid_t id, struct timespec *ts) /* NOLINT */
{
	uint64_t ns = id == CLOCK_BOOTTIME ? past_boot_ns : past_real_ns;

	if (!in_the_past || (id != CLOCK_BOOTTIME && id != CLOCK_REALTIME))
		return __real_clock_gettime(id, ts);
	ts->tv_sec = (time_t)(ns / NS_PER_S);
	ts->tv_nsec = (long)(ns % NS_PER_S);
	return 0;
}

struct demo {
	struct agent agent;
	struct machine machine;
	uint64_t now_ns; /* where the machine stands, boot clock */
};

static void on_event(void *arg, const struct ct_event *event)
{
	struct demo *demo = arg;

	batch_apply(&demo->agent.mirror, &demo->agent.stats.observer, event, 1);
	demo->agent.published.behind = true;
}

/* What there is no kernel for. */
static void no_kernel(struct agent *agent)
{
	struct agent_kernel *kernel = &agent->kernel;

	kernel->proc = (struct ct_proc){-1, -1, -1, -1, -1};
	kernel->softnet =
		(struct softnet){-1, -1, -1, .own_milli_per_s = -1, .others_milli_per_s = -1};
	for (unsigned int i = 0; i < TIMEOUT_COUNT; i++) {
		kernel->timeouts.fds[i] = -1;
		kernel->timeouts.values_s[i] = timeout_info(i)->default_s;
	}
	for (unsigned int i = 0; i < SETTINGS_NAMED; i++)
		kernel->settings.fds[i] = -1;
	for (unsigned int i = 0; i < SETTINGS; i++)
		kernel->settings.values[i] = -1;
	kernel->told = (struct ct_limits){.count_entries = 0,
					  .max_entries = MACHINE_MAX_ENTRIES,
					  .buckets = MACHINE_BUCKETS,
					  .events_mode = 1};
	kernel->limits = kernel->told;
	kernel->tick_hz = 250;
}

static void fields(struct demo *demo, const char *runtime_dir, const char *state_dir)
{
	struct agent *agent = &demo->agent;

	agent->config = (struct config){.runtime_dir = runtime_dir,
					.state_dir = state_dir,
					.netns = "host",
					.resync_interval_s = 600,
					.silent_interval_s = 60,
					.top_ports = 20,
					.incidents_max = 20,
					.incidents_max_bytes = 32u << 20};
	agent->loop.started_ns = past_boot_ns;
	agent->published.minute_left_s = 60;
	agent->losses.residual_patience_s = AGENT_RESIDUAL_PATIENCE_S;
	agent->segment.fd = agent->segment.lock_fd = -1;
	subscription_init(&agent->subscription, &agent->events);
	local_addrs_init(&agent->addrs);
	ct_counters_init(&agent->kernel.counters);
	resync_init(&agent->resync);
	schedule_init(&agent->schedule, 600 * NS_PER_S, 60 * NS_PER_S, past_boot_ns);
	incident_recorder_init(&agent->incidents, past_boot_ns);
	no_kernel(agent);
	/* The machine is empty when it starts: that is as good as a first dump. */
	agent->schedule.mode = SHM_MODE_FULL;
	agent->resyncs.valid = 1;
	agent->resyncs.last_valid = true;
	agent->resyncs.valid_begin_ns = agent->resyncs.valid_end_ns = past_boot_ns;
	agent->resyncs.valid_end_real_ns = past_real_ns;
}

static int statistics(struct agent *agent)
{
	struct agent_stats *stats = &agent->stats;
	int err = durations_create(&stats->durations, &agent->hist);

	if (!err)
		err = table_log_create(&stats->table_log, &agent->hist, past_boot_ns);
	if (!err)
		err = nat_pools_create(&stats->nat_pools, NAT_POOLS_KEYS);
	if (!err)
		err = talkers_create(&stats->talkers, TALKERS_KEYS);
	stats->forecast = forecast_create((int64_t)past_boot_ns);
	if (err || !stats->forecast)
		return err ? err : -ENOMEM;
	publish_nat_start(agent);
	observer_init(&stats->observer);
	stats->observer.forecast = stats->forecast;
	stats->observer.durations = &stats->durations;
	stats->observer.talkers = &stats->talkers;
	stats->observer.nat_pools = &stats->nat_pools;
	agent->mirror.hook = &stats->observer.hook;
	return 0;
}

static void attach(struct agent *agent)
{
	struct agent_stats *stats = &agent->stats;
	struct segment *segment = &agent->segment;

	histogram_attach(&agent->hist, segment);
	forecast_publish_init(&stats->forecast_publish, stats->forecast, segment_forecast(segment),
			      segment_pasts(segment), past_boot_ns);
	stats->durations.details = segment_details(segment);
	for (unsigned int i = 0; i < 2; i++) {
		stats->table_log.rings[i] = segment_frames(segment, i);
		stats->table_log.hosts[i] = segment_frame_hosts(segment, i);
	}
	stats->table_log.durations = &stats->durations;
	stats->table_log.ages = &stats->ages;
	ages_init(&stats->ages, &agent->mirror, segment_ages(segment));
	stats->ages.forecast = stats->forecast;
	publish_settings_start(agent);
	ports_init(&agent->ports, &agent->hist, segment_slots(segment), segment_rates(segment),
		   segment_live(segment), agent->config.top_ports);
}

static int open_segment(struct agent *agent)
{
	const struct segment_identity identity = {.name = agent->config.netns,
						  .now_real_ns = past_real_ns,
						  .now_boot_ns = past_boot_ns};
	const char *what = "";
	pid_t pid = 0;
	int err =
		segment_create(&agent->segment, agent->config.runtime_dir, &identity, &what, &pid);

	if (err)
		fprintf(stderr, "conntide-demo: %s %s: %s\n", what, agent->config.runtime_dir,
			strerror(-err));
	return err ? err : segment_set_readers(&agent->segment, (gid_t)-1);
}

/* An event socket to which nothing is ever sent: its buffers are there and stay untouched. */
static int quiet_events(struct event_socket *events)
{
	memset(events, 0, sizeof(*events));
	events->fd = request_socket_open(NETLINK_ROUTE, 0);
	if (events->fd < 0)
		return events->fd;
	events->batch = calloc(NLSOCK_BATCH, NLSOCK_EVENT_BYTES + 256u);
	return events->batch ? 0 : -ENOMEM;
}

static int create(struct demo *demo)
{
	struct agent *agent = &demo->agent;
	struct local_addr own = {.family = AF_INET, .prefix_bits = 32};
	int err = quiet_events(&agent->events);

	memcpy(own.bytes, machine_address, sizeof(machine_address));
	if (!err)
		err = local_addrs_add(&agent->addrs, &own);
	local_addrs_finish(&agent->addrs);
	if (!err)
		err = ct_hash_seed();
	if (!err)
		err = verify_create(&agent->verify, 0, 1);
	if (!err)
		err = mirror_create(&agent->mirror, 4 * MACHINE_MAX_ENTRIES, &agent->hist,
				    &agent->addrs, &agent->verify);
	if (!err)
		err = statistics(agent);
	if (!err)
		err = open_segment(agent);
	if (err)
		return err;
	attach(agent);
	mirror_set_time(&agent->mirror, past_boot_ns);
	publish_start(agent);
	return machine_init(&demo->machine, 1);
}

static void second(struct demo *demo)
{
	struct agent *agent = &demo->agent;
	uint64_t *values = agent->kernel.counters.values;
	struct incident_trigger_input in;

	agent->kernel.told.count_entries = demo->machine.count;
	values[CT_STAT_DROP] = demo->machine.dropped;
	values[CT_STAT_EARLY_DROP] = demo->machine.evicted;
	publish_second(agent);
	in = (struct incident_trigger_input){.now_ns = agent->mirror.now_ns,
					     .now_real_ns = clock_real_ns(),
					     .count_entries = agent->kernel.limits.count_entries,
					     .max_entries = publish_max(agent),
					     .chain_limit_entries = ct_chain_limit(MACHINE_BUCKETS),
					     .drops = values[CT_STAT_DROP],
					     .early_drops = values[CT_STAT_EARLY_DROP]};
	incident_recorder_second(&agent->incidents, &in);
}

/* The machine as far as the clock has come, and a publication where a second is full. */
static void go_on(struct demo *demo, uint64_t to_ns, bool calm)
{
	while (demo->now_ns + MACHINE_STEP_NS <= to_ns) {
		demo->now_ns += MACHINE_STEP_NS;
		mirror_set_time(&demo->agent.mirror, demo->now_ns);
		machine_step(&demo->machine, calm);
		demo->agent.kernel.told.count_entries = demo->machine.count;
		if (demo->machine.step % 10 == 0)
			second(demo);
	}
}

static bool is_past(uint64_t boot_ns)
{
	struct timespec ts;

	__real_clock_gettime(CLOCK_BOOTTIME, &ts);
	return boot_ns < (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* Calm, and at its end the first `at_s` seconds of the loop; up to the present, which moves on
 * meanwhile: the forecast must not see a hole. */
static void compute_past(struct demo *demo, uint64_t past_ns, uint32_t at_s)
{
	uint64_t steps = past_ns / MACHINE_STEP_NS, loop = at_s * NS_PER_S / MACHINE_STEP_NS;

	for (uint64_t i = 0; i < steps || is_past(past_boot_ns + MACHINE_STEP_NS); i++) {
		bool calm = i + loop < steps;

		past_boot_ns += MACHINE_STEP_NS;
		past_real_ns += MACHINE_STEP_NS;
		if (calm)
			demo->machine.origin = demo->machine.step + 1;
		go_on(demo, past_boot_ns, calm);
	}
	in_the_past = false;
}

static int play(struct demo *demo)
{
	const struct timespec step = {.tv_nsec = (long)MACHINE_STEP_NS};
	struct shm_reader from;
	sigset_t signals;
	int err = segment_publish(&demo->agent.segment);

	if (err) {
		fprintf(stderr, "conntide-demo: %s: %s\n", demo->agent.segment.path,
			strerror(-err));
		return EXIT_FAILURE;
	}
	signals_hold(&signals);
	incident_recorder_prepare(
		&demo->agent.incidents, demo->agent.config.state_dir, demo->agent.config.netns,
		&(struct incident_limits){
			.max_count = 20, .max_bytes = 32u << 20, .readers = (gid_t)-1});
	segment_reader(&demo->agent.segment, &from);
	incident_recorder_start(&demo->agent.incidents, &from, clock_real_ns());
	while (sigtimedwait(&signals, NULL, &step) < 0) {
		go_on(demo, clock_boot_ns(), false);
		publish_changes(&demo->agent);
	}
	segment_stopped(&demo->agent.segment, clock_real_ns());
	incident_recorder_close(&demo->agent.incidents);
	return EXIT_SUCCESS;
}

static const char usage[] =
	"Usage: conntide-demo --runtime-dir DIR [--at SECONDS]\n"
	"Plays a connection-tracking table that fills, into DIR: no root, no traffic.\n"
	"conntide demo starts it, with top and the page.\n\n"
	"  --runtime-dir DIR   where the table is written; an existing directory\n"
	"  --at SECONDS        where in its loop of 360 s it begins (0)\n"
	"  --version           print the version\n"
	"  --help              print this\n\n"
	"Exit status: 0 ended by a signal, 1 could not play, 2 wrong usage.\n";
_Static_assert(MACHINE_LOOP_S == 360, "in the usage");

enum { RUNTIME_DIR, AT, VERSION, HELP };

static const struct option longs[] = {
	{"runtime-dir", required_argument, NULL, RUNTIME_DIR},
	{"at", required_argument, NULL, AT},
	{"version", no_argument, NULL, VERSION},
	{"help", no_argument, NULL, HELP},
	{0},
};

static int wrong_usage(const char *why, const char *what)
{
	char message[OPTION_MESSAGE_BYTES];

	fputs(option_message(message, "conntide-demo", why, what), stderr);
	return 2;
}

struct wish {
	const char *runtime_dir;
	uint32_t at_s;
};

/* -1: go on; else the exit status. */
static int take(struct wish *wish, int letter)
{
	switch (letter) {
	case RUNTIME_DIR:
		wish->runtime_dir = optarg;
		return -1;
	case AT:
		if (num_u32(optarg, 0, MACHINE_LOOP_S, &wish->at_s) < 0)
			return wrong_usage("--at is a number from 0 to 360, not", optarg);
		return -1;
	case VERSION:
		return printf("conntide-demo %s (revision %s)\n", build_version, build_revision) <
		       0;
	default:
		return fputs(usage, stdout) < 0;
	}
}

static int wishes(struct wish *wish, int argc, char **argv)
{
	int letter, status = -1;

	opterr = 0;
	while (status < 0 && (letter = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		if (letter == '?')
			return wrong_usage("unknown option", argv[optind - 1]);
		if (letter == ':')
			return wrong_usage("missing value after", argv[optind - 1]);
		status = take(wish, letter);
	}
	if (status < 0 && optind < argc)
		return wrong_usage("unexpected argument", argv[optind]);
	if (status < 0 && !wish->runtime_dir)
		return wrong_usage("needed:", "--runtime-dir DIR");
	return status;
}

int main(int argc, char **argv)
{
	static struct demo demo;
	struct wish wish = {.at_s = 0};
	char state_dir[4096];
	uint64_t boot_ns = clock_boot_ns(), past_ns = PAST_S * NS_PER_S;
	int status = wishes(&wish, argc, argv);

	if (status >= 0)
		return status;
	/* A machine that has just booted has less of a past. */
	if (past_ns > boot_ns / 2)
		past_ns = boot_ns / 2 / NS_PER_S * NS_PER_S;
	snprintf(state_dir, sizeof(state_dir), "%s/state", wish.runtime_dir);
	past_boot_ns = boot_ns - past_ns;
	past_real_ns = clock_real_ns() - past_ns;
	in_the_past = true;
	log_init("conntide-demo");
	log_set_level("error");
	fields(&demo, wish.runtime_dir, state_dir);
	demo.now_ns = past_boot_ns;
	if (create(&demo))
		return EXIT_FAILURE;
	demo.machine.event = on_event;
	demo.machine.arg = &demo;
	compute_past(&demo, past_ns, wish.at_s);
	return play(&demo);
}
