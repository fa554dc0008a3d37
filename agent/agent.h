// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The agent: owns every socket, the mirror and the segment, and runs the loop
 * that moves data from one to the next. Split by direction of flow:
 *
 *	setup.c		opens everything, gives up privileges, closes everything
 *	agent.c		the loop: timers, signals, what is due
 *	requests.c	what to ask the kernel next, and what its answers change
 *	publish.c	scalars, history into the segment
 *	publish_nat.c	ports of NAT into the segment
 *	publish_settings.c	what the kernel was told, and when
 *	quality.c	how exact the numbers are, and dumps that restore exactness
 *	drain.c		events from the socket into the mirror
 *	handover.c	the event socket, from one agent to the next
 *	announce.c	to the service manager: ready, alive, how it goes
 *	incident/	incidents to disk
 *
 * This struct is passed, never global. One thread, except for two workers: the one in struct
 * query does not see this struct, the one in struct incident_recorder reads the segment.
 */
#ifndef CONNTIDE_AGENT_AGENT_H
#define CONNTIDE_AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/confine.h"
#include "agent/config.h"
#include "agent/forecast_publish.h"
#include "agent/incident/incident_recorder.h"
#include "agent/netlink/ct_settings.h"
#include "agent/netlink/ct_stats.h"
#include "agent/netlink/ct_timeouts.h"
#include "agent/netlink/pace.h"
#include "agent/netlink/query.h"
#include "agent/netlink/sockets.h"
#include "agent/netlink/softnet.h"
#include "agent/netlink/subscription.h"
#include "agent/record/feed.h"
#include "agent/schedule.h"
#include "lib/health/level.h"
#include "lib/mirror/histogram.h"
#include "lib/mirror/local_addr.h"
#include "lib/mirror/ports.h"
#include "lib/mirror/resync.h"
#include "lib/mirror/tracker.h"
#include "lib/mirror/verify.h"
#include "lib/shm/writer.h"
#include "lib/stats/ages.h"
#include "lib/stats/collector.h"
#include "lib/stats/durations.h"
#include "lib/stats/nat_pools.h"
#include "lib/stats/nat_trend.h"
#include "lib/stats/observer.h"
#include "lib/stats/settings_log.h"
#include "lib/stats/table_log.h"
#include "lib/stats/talkers.h"
#include "lib/stats/zone_cells.h"
#include "lib/stats/zones.h"

/* Progress of the dump. Only requests.c changes it: to the next value, or to DUMP_READ when the
 * kernel answers with an error. */
enum dump_progress {
	DUMP_NONE,
	DUMP_ASKED,	 /* the request was sent */
	DUMP_READING,	 /* the kernel answers; the next chunk may be requested */
	DUMP_CHUNK,	 /* `chunk` is to be applied, others follow it */
	DUMP_LAST_CHUNK, /* `chunk` is to be applied, none follows */
	DUMP_READ,	 /* all that arrived is applied; the resync can be finished */
};

struct dump_state {
	enum dump_progress progress;
	uint32_t chunk_mark; /* fill mark of `chunk` */
	uint32_t asked_mark; /* fill mark of the one requested */
	bool failed;	     /* an error: it can only add */
	struct query_answer chunk;
	uint64_t began_ns;
	uint64_t lost_before;
	int64_t buckets_before;
};

/* What quality.c remembers. */
struct quality {
	bool events_off;	    /* nf_conntrack_events was 0 when last read... */
	uint64_t events_off_ns;	    /* ...and when it last was; 0 never */
	uint64_t residual_since_ns; /* 0: there is none */
	uint64_t overflows_seen;
	uint64_t mismatches_seen;
	uint64_t repairs_seen; /* mirror_repairs() when the last valid resync ended */
};

/* Sums since the last sample of history. */
struct history_state {
	uint64_t new_entries;
	uint64_t destroyed_entries;
	uint64_t drops;
	uint64_t early_drops;
	uint64_t lost_events;
};

/* The loop: what it waits for, and how the last round went. */
struct agent_loop {
	int epoll_fd;
	int timer_fd;
	int signal_fd;
	int address_fd; /* rtnetlink notifications */
	bool quit;
	int run_err;  /* why it quits; 0: it was told to */
	bool drained; /* the last drain reached the end of the queue */
	bool event_error_logged;
	bool inactive_logged;
	struct pace pace;
	uint32_t read_events; /* since the last pause */
	uint64_t started_ns;
};

/* What the kernel reports besides events. */
struct agent_kernel {
	struct ct_proc proc;
	struct softnet softnet;
	struct ct_limits limits; /* from /proc, or else from netlink */
	struct ct_limits told;	 /* by netlink, with the last counters */
	struct ct_counters counters;
	bool stats_wanted;
	struct ct_timeouts timeouts;
	struct ct_settings settings;
	uint64_t local_ports_due_ns;
	bool nat_reclaims; /* the kernel reclaims ports of closing entries */
	uint32_t tick_hz;  /* read before the sandbox closes */
};

/* What is fed with the mirror's changes. */
struct agent_stats {
	struct observer observer;
	struct forecast *forecast;
	struct forecast_publish forecast_publish;
	bool events_off; /* the forecast was told that the kernel sends none */
	struct durations durations;
	struct talkers talkers;
	struct table_log table_log;
	struct ages ages;
	struct collector collector;
	struct nat_pools nat_pools;
	struct nat_trend nat_trend;
	struct settings_log settings_log;
	struct zones zones;
	struct zone_cells zone_cells;
};

/* Single entries to be verified. */
struct agent_asked {
	struct verify_item items[QUERY_GETS_MAX];
	uint32_t count;
	uint32_t mark;
};

/* The addresses of this namespace, which say what is inbound. */
struct agent_addresses {
	bool wanted;
	bool pending; /* they changed, or may have, since they were last read */
	bool error_logged;
	uint64_t changed_ns; /* when they were last found changed; the next resync gives entries
				their new direction */
};

/* Comparisons with the kernel's table. */
struct agent_resyncs {
	uint64_t valid_begin_ns; /* of the last valid one; 0: none yet */
	uint64_t valid_end_ns;
	uint64_t valid_end_real_ns;
	bool last_valid; /* the last one was */
	uint64_t valid;
	uint64_t invalid;
	uint64_t spent_ns;
};

/* Events that were missed or not understood. */
struct agent_losses {
	uint64_t malformed_events;
	uint64_t lost_last_second;
	uint64_t last_loss_ns;
	bool gap;		   /* events are known to be missed since the last valid resync */
	uint32_t residual_seconds; /* for how long count and mirror have differed at rest */
	uint32_t residual_patience_s; /* before a resync because of that */
	uint32_t in_flight;
};

/* What the service manager was told. */
struct agent_announced {
	bool ready;
	uint64_t watchdog_ns;
	uint64_t status_ns; /* 0: never */
	enum shm_level level;
};

/* What was published last. */
struct agent_published {
	uint64_t at_ns;
	bool behind; /* events were applied since */
	int64_t resident_bytes;
	uint64_t minute_left_s;
	struct history_state second_base;
	struct history_state minute_base;
};

struct agent {
	struct config config;
	struct confine_user user;
	struct agent_loop loop;

	/* from the kernel */
	struct event_socket events;
	struct subscription subscription;
	struct query *query;
	struct dump_state dump;
	struct agent_asked asked;
	struct agent_addresses addresses;
	struct agent_kernel kernel;
	struct recorder recorder;

	/* the mirror, and how good it is */
	struct histogram hist;
	struct local_addrs addrs;
	struct verify verify;
	struct mirror mirror;
	uint32_t mirror_limit_entries; /* as last set */
	struct resync resync;
	struct schedule schedule;
	struct agent_resyncs resyncs;
	struct agent_losses losses;
	struct quality quality;

	/* to readers */
	struct agent_stats stats;
	struct level level; /* of the table, made once a second */
	struct ports ports;
	struct segment segment;
	struct agent_published published;
	struct agent_announced announced;
	struct incident_recorder incidents;
};

/* Seconds for which count and mirror differ before a resync is requested. */
#define AGENT_RESIDUAL_PATIENCE_S 2

/* Room for the sentence that says why agent_create() failed. */
#define AGENT_WHY_BYTES 512u

/* setup.c: 0, or -errno with a sentence in `why`; agent_destroy() in either case. */
int agent_create(struct agent *agent, const struct config *config, char why[AGENT_WHY_BYTES]);
void agent_destroy(struct agent *agent);

/* agent.c: until a signal. 0, or -errno after having logged it. */
int agent_run(struct agent *agent);
/* How many entries the mirror may hold, from the settings and the kernel's present limit. */
uint32_t agent_mirror_limit(const struct agent *agent);

/* drain.c: reads events until the queue is empty, at most a bounded number. */
void agent_drain(struct agent *agent);

/* Counters and a first dump are there; or they do not come. */
bool agent_has_picture(const struct agent *agent);

/* handover.c: the event socket, new or of the agent before; and the namespace that it is of. */
int handover_open_events(struct agent *agent);
uint64_t handover_netns_inode(void);

/* announce.c: what the service manager is told, once a second and at the end. */
void announce_second(struct agent *agent);
void announce_stopping(void);

/*
 * quality.c. quality_missed(): events are known to be missed. quality_gap_explains(): missed
 * events, not silent entries, explain why entries differ from their events. quality_sampled():
 * the count was read. quality_second(): audits, and dumps where they would help.
 */
void quality_missed(struct agent *agent);
bool quality_gap_explains(const struct agent *agent);
void quality_sampled(struct agent *agent);
void quality_second(struct agent *agent);
void quality_resync_ended(struct agent *agent, bool valid);
/* The quality of the numbers now, as in the segment. */
struct quality_view {
	uint32_t doubts; /* enum shm_doubt */
	enum shm_quality quality;
	enum shm_quality_reason reason;
	uint64_t verified_real_ns; /* 0: never */
	int64_t wrong_found_share_ppm;
};
struct quality_view quality_view(const struct agent *agent);
/* Entries verified each second because they had an event; the rest of --audit-rate is drawn from
 * the whole table. */
uint32_t quality_event_audits(const struct config *config);
uint32_t quality_table_audits(const struct config *config);

/* requests.c: takes an answer if one has arrived, continues the dump, makes the next request. */
void requests_answer(struct agent *agent);
void requests_step(struct agent *agent);
/* Takes the kernel's counters, and count and limit, from the answer to QUERY_STATS; from /proc
 * where that is an error. */
void requests_adopt_stats(struct agent *agent, const struct query_answer *answer);
/* Directions follow these from now on; takes over the memory of the set. */
void requests_adopt_addresses(struct agent *agent, struct local_addrs *addrs);
/* The mirror has work that waits for nobody else. */
bool requests_pending(const struct agent *agent);

/* publish.c: everything, once a second; changes of the table, soon after they come. */
void publish_second(struct agent *agent);
void publish_start(struct agent *agent);
void publish_changes(struct agent *agent);
int64_t publish_residual(const struct agent *agent);
/* nf_conntrack_max; in a rehearsal the assumed limit, where that is lower. 0: none. */
int64_t publish_max(const struct agent *agent);

/* publish_nat.c: the port ranges of kernel and settings, once a second; the scalars. */
void publish_nat_start(struct agent *agent);
void publish_nat_second(struct agent *agent);
void publish_nat_live(const struct agent *agent, struct shm_live *live);

/* publish_settings.c: the timeouts in force, for readers and for the forecast; what changed. */
void publish_settings_start(struct agent *agent);
void publish_settings_second(struct agent *agent);

#endif
