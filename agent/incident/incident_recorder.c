// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/incident/incident_recorder.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/incident/incident_dir.h"
#include "lib/shm/layout.h"
#include "lib/shm/reader.h"

void incident_recorder_init(struct incident_recorder *recorder, uint64_t now_ns)
{
	memset(recorder, 0, sizeof(*recorder));
	incident_store_init(&recorder->store, "", "", (gid_t)-1);
	incident_trigger_init(&recorder->trigger, now_ns);
}

static void tell(struct incident_recorder *recorder, int err)
{
	if (err == recorder->last_err)
		return;
	recorder->last_err = err;
	if (err == -EBUSY)
		log_warn("incidents",
			 "another agent keeps incidents in %s/%s" INCIDENT_DIR_SUFFIX
			 "; this one keeps none: use another --state-dir or --netns",
			 recorder->store.state_dir, recorder->store.name);
	else if (err)
		log_warn("incidents",
			 "cannot keep incidents in %s/%s" INCIDENT_DIR_SUFFIX
			 ": %s; older ones are as they were",
			 recorder->store.state_dir, recorder->store.name, strerror(-err));
	else
		log_info("incidents", "incidents can be kept again");
}

void incident_recorder_prepare(struct incident_recorder *recorder, const char *state_dir,
			       const char *name, const struct incident_limits *limits)
{
	if (!state_dir[0])
		return;
	recorder->wanted = true;
	recorder->limits = *limits;
	incident_store_init(&recorder->store, state_dir, name, limits->readers);
	recorder->prepare_err = incident_store_open(&recorder->store);
}

int incident_recorder_hand_over(struct incident_recorder *recorder, uid_t uid, gid_t gid)
{
	return recorder->wanted ? incident_store_hand_over(&recorder->store, uid, gid) : 0;
}

/* What an earlier agent of this boot began is continued; what was begun in the last day
 * counts against what may be begun today. */
static void take_up(struct incident_recorder *recorder, int dir_fd, const struct shm_reader *from,
		    uint64_t now_real_ns)
{
	struct incident_list list;
	uint8_t boot_id[16];
	uint64_t lately = 0;

	if (incident_list_read(&list, dir_fd) < 0)
		return;
	recorder->kept = list.count;
	for (size_t i = 0; i < list.count; i++) {
		uint64_t began = list.items[i].last.began_real_ns;

		lately += began <= now_real_ns && now_real_ns - began < INCIDENTS_DAY_NS;
	}
	incident_trigger_spend(&recorder->trigger, lately);
	if (list.count && boot_id_read(boot_id) == 0 &&
	    !strcmp(incident_state(&list.items[0], boot_id), "open") &&
	    list.items[0].last.netns_inode == shm_reader_header(from)->netns_inode)
		incident_trigger_resume(&recorder->trigger, &list.items[0].last,
					list.items[0].stages);
	incident_list_free(&list);
}

void incident_recorder_start(struct incident_recorder *recorder, const struct shm_reader *from,
			     uint64_t now_real_ns)
{
	int err = recorder->prepare_err;

	if (!recorder->wanted)
		return;
	if (!err)
		err = incident_writer_probe(&recorder->store);
	/* It may work later: each stage that is due tries again. */
	if (err)
		tell(recorder, err);
	if (recorder->store.dir_fd >= 0)
		take_up(recorder, recorder->store.dir_fd, from, now_real_ns);
	err = incident_writer_create(&recorder->writer, &recorder->store, from, &recorder->limits);
	if (err)
		tell(recorder, err);
	else
		recorder->store.dir_fd = recorder->store.lock_fd = -1;
}

static void collect(struct incident_recorder *recorder)
{
	const struct incident_head *head = &recorder->trigger.head;
	struct incident_written done;
	bool first = recorder->trigger.written == 0;

	if (!incident_writer_collect(recorder->writer, &done))
		return;
	incident_trigger_answered(&recorder->trigger, done.stage, done.err == 0);
	tell(recorder, done.err);
	if (done.err) {
		recorder->writes_failed++;
		return;
	}
	recorder->writes_ok++;
	recorder->recorded += first;
	recorder->kept = done.kept;
	log_info("incidents", "incident %s: %s, %u of %u %s", head->id,
		 incident_stage_help((unsigned int)done.stage), head->entries, head->limit_entries,
		 head->limit_kind == INCIDENT_LIMIT_NAT ? "ports" : "entries");
}

void incident_recorder_second(struct incident_recorder *recorder,
			      const struct incident_trigger_input *in)
{
	struct incident_head head;
	uint32_t random = 0;
	int stage;

	if (!recorder->writer)
		return;
	collect(recorder);
	if (!in)
		return;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint32_t)in->now_ns;
	stage = incident_trigger_second(&recorder->trigger, in, random);
	if (stage == INCIDENTS_NONE)
		return;
	head = recorder->trigger.head;
	head.stage = (uint16_t)stage;
	head.taken_real_ns = in->now_real_ns;
	head.taken_boot_ns = in->now_ns;
	if (incident_writer_post(recorder->writer, &head))
		incident_trigger_asked(&recorder->trigger, stage);
}

void incident_recorder_close(struct incident_recorder *recorder)
{
	incident_writer_destroy(recorder->writer);
	recorder->writer = NULL;
	incident_store_close(&recorder->store);
}
