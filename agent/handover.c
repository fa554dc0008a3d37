// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The event socket, from one agent to the next. While none runs the service manager keeps it
 * open: with nf_conntrack_events=2 entries that are made while nobody listens are silent for all
 * their life (nf_conntrack_ecache.c: nf_ct_ecache_ext_add).
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/service.h"
#include "lib/shm/reader.h"
#include "lib/shm/snapshot.h"

/* Its name in the service manager's store of descriptors. */
#define KEPT_SOCKET "events"

uint64_t handover_netns_inode(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) < 0 ? 0 : st.st_ino;
}

/* The agent before knew of no silent entry, and the kernel was never without a listener since:
 * so there is none now. */
static bool nothing_was_silent(const struct agent *agent)
{
	struct shm_reader reader;
	struct snapshot snap;
	bool none = false;

	snapshot_init(&snap);
	if (shm_reader_init(&reader, agent->config.runtime_dir, agent->config.netns) == 0 &&
	    shm_reader_refresh(&reader) == 0 &&
	    snapshot_take(&reader, clock_boot_ns(), clock_real_ns(), &snap) == 0)
		none = snap.agent != SNAP_AGENT_REBOOTED &&
		       snap.netns_inode == handover_netns_inode() &&
		       snap.live.mode == SHM_MODE_FULL && snap.live.silent_entries == 0;
	snapshot_free(&snap);
	shm_reader_close(&reader);
	return none && agent->events.groups == NLSOCK_ALL;
}

int handover_open_events(struct agent *agent)
{
	uint32_t bytes = agent->config.event_buffer_bytes;
	int fd = service_take_fd(KEPT_SOCKET), err;

	if (fd >= 0) {
		err = event_socket_adopt(&agent->events, fd, bytes);
		if (!err) {
			agent->resync.heard = nothing_was_silent(agent);
			log_info("events", "goes on with the socket of the agent before%s",
				 agent->resync.heard ? ", which knew of no silent entry" : "");
			return 0;
		}
		log_warn("events", "cannot go on with the socket of the agent before: %s",
			 strerror(-err));
		close(fd);
		service_notify("FDSTOREREMOVE=1\nFDNAME=" KEPT_SOCKET);
	}
	err = event_socket_open(&agent->events, bytes);
	if (!err)
		service_store(KEPT_SOCKET, agent->events.fd);
	return err;
}
