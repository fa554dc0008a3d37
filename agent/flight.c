// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/flight.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "agent/agent.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/shm/incident_dir.h"

/* Before the first dump and the first counters there is nothing to judge; but they may
 * never come. */
#define PATIENCE_NS (30 * NS_PER_S)

void flight_init(struct flight *flight)
{
	memset(flight, 0, sizeof(*flight));
	flight->dir_fd = -1;
	incidents_init(&flight->logic, clock_boot_ns());
}

static void tell(struct flight *flight, const struct config *config, int err)
{
	if (err == flight->last_err)
		return;
	flight->last_err = err;
	if (err == -EBUSY)
		log_warn("incidents",
			 "another agent keeps incidents in %s/%s" INCIDENT_DIR_SUFFIX
			 "; this one keeps none: use another --state-dir or --name",
			 config->state_dir, config->name);
	else if (err)
		log_warn("incidents",
			 "cannot keep incidents in %s/%s" INCIDENT_DIR_SUFFIX
			 ": %s; older ones are as they were",
			 config->state_dir, config->name, strerror(-err));
	else
		log_info("incidents", "incidents can be kept again");
}

void flight_prepare(struct agent *agent, gid_t readers)
{
	const struct config *config = &agent->config;
	int fd;

	if (!config->state_dir[0])
		return;
	fd = incident_dir_prepare(config->state_dir, config->name, readers);
	agent->flight.readers = readers;
	if (fd < 0)
		tell(&agent->flight, config, fd);
	else
		agent->flight.dir_fd = fd;
}

/* What an earlier agent of this boot began is gone on with; what was begun lately counts
 * against what may be begun today. */
static void take_up(struct agent *agent, int dir_fd, const struct shm_reader *from)
{
	struct flight *flight = &agent->flight;
	uint64_t now_real_ns = clock_real_ns(), lately = 0;
	struct incident_list list;
	uint8_t boot_id[16];

	if (incident_list_read(&list, dir_fd) < 0)
		return;
	flight->kept = list.count;
	for (size_t i = 0; i < list.count; i++) {
		uint64_t began = list.items[i].last.began_real_ns;

		lately += began <= now_real_ns && now_real_ns - began < INCIDENTS_DAY_NS;
	}
	incidents_spend(&flight->logic, lately);
	if (list.count && boot_id_read(boot_id) == 0 &&
	    !strcmp(incident_state(&list.items[0], boot_id), "open") &&
	    list.items[0].last.netns_inode == shm_reader_header(from)->netns_inode)
		incidents_resume(&flight->logic, &list.items[0].last, list.items[0].stages);
	incident_list_free(&list);
}

void flight_start(struct agent *agent)
{
	struct flight *flight = &agent->flight;
	const struct incident_limits limits = {.max_count = agent->config.incidents_max,
					       .max_bytes = agent->config.incidents_max_bytes,
					       .readers = flight->readers};
	struct shm_reader from;
	int err;

	if (flight->dir_fd < 0)
		return;
	segment_reader(&agent->segment, &from);
	err = incident_writer_create(&flight->writer, flight->dir_fd, &from, &limits);
	if (err) {
		tell(flight, &agent->config, err);
		return;
	}
	take_up(agent, flight->dir_fd, &from);
	flight->dir_fd = -1;
}

static void collect(struct agent *agent)
{
	struct flight *flight = &agent->flight;
	struct incidents *logic = &flight->logic;
	struct incident_written done;
	bool first = logic->written == 0;

	if (!incident_writer_collect(flight->writer, &done))
		return;
	incidents_answered(logic, done.stage, done.err == 0);
	tell(flight, &agent->config, done.err);
	if (done.err) {
		flight->writes_failed++;
		return;
	}
	flight->writes_ok++;
	flight->recorded += first;
	flight->kept = done.kept;
	log_info("incidents", "incident %s: %s, %u of %u entries", logic->head.id,
		 incident_stage_help((unsigned int)done.stage), logic->head.entries,
		 logic->head.limit_entries);
}

static bool has_picture(const struct agent *agent)
{
	bool counters = agent->told.count_entries >= 0;

	return (counters && agent->schedule.mode != SHM_MODE_STARTING) ||
	       agent->mirror.now_ns - agent->started_ns > PATIENCE_NS;
}

void flight_second(struct agent *agent)
{
	struct flight *flight = &agent->flight;
	const uint64_t *values = agent->counters.values;
	const struct incidents_input in = {
		.now_ns = agent->mirror.now_ns,
		.now_real_ns = clock_real_ns(),
		.count_entries = agent->limits.count_entries,
		.max_entries = agent->limits.max_entries,
		.chain_limit_entries = ct_chain_limit(agent->limits.buckets),
		.drops = values[CT_STAT_DROP],
		.early_drops = values[CT_STAT_EARLY_DROP],
		.chain_drops = values[CT_STAT_CHAINTOOLONG],
	};
	struct incident_head head;
	uint32_t random = 0;
	int stage;

	if (!flight->writer)
		return;
	collect(agent);
	if (!has_picture(agent))
		return;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint32_t)in.now_ns;
	stage = incidents_second(&flight->logic, &in, random);
	if (stage == INCIDENTS_NONE)
		return;
	head = flight->logic.head;
	head.stage = (uint16_t)stage;
	head.taken_real_ns = in.now_real_ns;
	head.taken_boot_ns = in.now_ns;
	if (incident_writer_post(flight->writer, &head))
		incidents_asked(&flight->logic, stage);
}

void flight_close(struct flight *flight)
{
	incident_writer_destroy(flight->writer);
	flight->writer = NULL;
	if (flight->dir_fd >= 0)
		close(flight->dir_fd);
	flight->dir_fd = -1;
}
