// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A segment as the body of an incident (lib/incident/incident.h). It reads like any reader,
 * without stopping the writer, so the agent does it on a thread of its own; it may sleep for some
 * milliseconds when it meets a write.
 *
 * `out` has room for INCIDENT_FILE_MAX bytes: head and body. What matters most comes first;
 * pieces that do not fit are left out, and the head says so. Fills in the fields of *head that
 * come from the segment (version, sums of rows, top_cell, names); the caller has filled in the
 * rest.
 *
 * 0 and *ret_bytes of the file; -EAGAIN when a lock stayed taken; -ENOMEM.
 */
#ifndef CONNTIDE_INCIDENT_INCIDENT_PACK_H
#define CONNTIDE_INCIDENT_INCIDENT_PACK_H

#include "lib/incident/incident.h"

int incident_pack(const struct shm_reader *from, struct incident_head *head, void *out,
		  size_t *ret_bytes);

#endif
