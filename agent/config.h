// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The agent's settings: defaults, command line, help text. One table feeds the
 * parser and --help.
 *
 * config_parse() fills *config and returns CONFIG_RUN, or tells the process to end; `message`
 * then holds an error line, or text for standard output. It prints nothing itself.
 */
#ifndef CONNTIDE_AGENT_CONFIG_H
#define CONNTIDE_AGENT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/kernel/nat_ports.h"

struct config {
	const char *runtime_dir;
	const char *netns; /* the name of the table */
	const char *group; /* who may read the segment; NULL: conntide or all */
	const char *log_level;
	const char *log_format;
	const char *record_path;     /* NULL: none */
	uint32_t event_buffer_bytes; /* as the kernel accounts it */
	uint32_t event_buffer_max_bytes;
	uint32_t pace_us;
	uint32_t resync_interval_s;
	uint32_t silent_interval_s;
	uint32_t audit_rate;		 /* entries a second */
	uint32_t max_entries;		 /* of the mirror; 0: from nf_conntrack_max */
	uint32_t assume_max_entries;	 /* what to forecast against, if lower; 0: none */
	struct nat_port_range nat_ports; /* where rules narrow it; {0, 0}: the kernel's */
	uint32_t assume_nat_ports;	 /* of a NAT in front, by destination; 0: none */
	uint32_t top_ports;
	const char *state_dir; /* "": no incidents are kept */
	uint32_t incidents_max;
	uint32_t incidents_max_bytes;
	bool sandbox;
};

enum config_result { CONFIG_RUN, CONFIG_TEXT, CONFIG_USAGE_ERROR };

#define CONFIG_MESSAGE_BYTES 4096u

enum config_result config_parse(struct config *config, int argc, char **argv,
				char message[CONFIG_MESSAGE_BYTES]);

#endif
