// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What this host is like, read from /proc and /sys without changing anything: no socket is
 * opened, since the kernel would load modules for it. `root` is put before every path: "" for
 * the host, a folder in tests. What cannot be read stays unknown.
 */
#ifndef CONNTIDE_CLI_HOST_FACTS_H
#define CONNTIDE_CLI_HOST_FACTS_H

#include "exporters/advice/host.h"

void host_facts_read(const char *root, struct host_facts *facts);

#endif
