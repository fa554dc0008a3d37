// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/build_info.h"
#include "lib/base/num.h"
#include "lib/base/options.h"
#include "lib/shm/reader.h"

enum option_type { TEXT, NUMBER, PORTS, SWITCH_OFF, HELP, VERSION };

struct option_row {
	const char *name;
	enum option_type type;
	size_t field; /* offset in struct config */
	uint32_t min;
	uint32_t max;
	const char *value;
	const char *help;
};

#define EVENT_BUFFER_MAX_BYTES (256u << 20)

#define FIELD_OF(field) offsetof(struct config, field)

static const struct option_row rows[] = {
	{"runtime-dir", TEXT, FIELD_OF(runtime_dir), 0, 0, "DIR",
	 "where the table is published (/run/conntide)"},
	{"netns", TEXT, FIELD_OF(netns), 0, 0, "NAME",
	 "name of this namespace: DIR/NAME.table (host)"},
	{"group", TEXT, FIELD_OF(group), 0, 0, "GROUP",
	 "group that may read the table (conntide if it exists, else everybody)"},
	{"event-buffer", NUMBER, FIELD_OF(event_buffer_bytes), 4096, 1u << 30, "BYTES",
	 "initial receive buffer for events (67108864)"},
	{"event-buffer-max", NUMBER, FIELD_OF(event_buffer_max_bytes), 4096, 1u << 30, "BYTES",
	 "limit of its growth after losses (268435456)"},
	{"pace", NUMBER, FIELD_OF(pace_us), 0, 100000, "MICROSECONDS",
	 "shortest pause between reads; up to 8 times as long by the rate of events, 8 ms at most "
	 "(1000)"},
	{"resync-interval", NUMBER, FIELD_OF(resync_interval_s), 1, 86400, "SECONDS",
	 "compare with the kernel's table at least this often (300)"},
	{"silent-interval", NUMBER, FIELD_OF(silent_interval_s), 1, 86400, "SECONDS",
	 "the same while silent entries exist, and change (60)"},
	{"audit-rate", NUMBER, FIELD_OF(audit_rate), 0, 256, "N",
	 "entries checked one by one each second, at random (160)"},
	{"max-entries", NUMBER, FIELD_OF(max_entries), 1024, 67108864, "N",
	 "limit of the mirror (twice nf_conntrack_max)"},
	{"top-ports", NUMBER, FIELD_OF(top_ports), 1, 64, "N",
	 "ports that get series of their own in /metrics (16)"},
	{"assume-max", NUMBER, FIELD_OF(assume_max_entries), 1, 4294967294u, "N",
	 "rehearse: forecast against this limit if it is lower (none)"},
	{"nat-ports", PORTS, FIELD_OF(nat_ports), 1, 65535, "FIRST-LAST",
	 "ports that your source NAT rules name (the kernel's own range)"},
	{"assume-nat-ports", NUMBER, FIELD_OF(assume_nat_ports), 1, 65536, "N",
	 "ports a NAT in front of this host gives it towards one destination"},
	{"state-dir", TEXT, FIELD_OF(state_dir), 0, 0, "DIR",
	 "where incidents are kept (/var/lib/conntide); \"\": nowhere"},
	{"incidents-max", NUMBER, FIELD_OF(incidents_max), 4, 1024, "N",
	 "incidents kept at most (64)"},
	{"incidents-max-bytes", NUMBER, FIELD_OF(incidents_max_bytes), 8u << 20, 1u << 30, "BYTES",
	 "size of all of them at most (67108864)"},
	{"record", TEXT, FIELD_OF(record_path), 0, 0, "FILE",
	 "write everything the mirror is fed to FILE, for replay"},
	{"log.level", TEXT, FIELD_OF(log_level), 0, 0, "LEVEL",
	 "error, warn, info or debug (info)"},
	{"log.format", TEXT, FIELD_OF(log_format), 0, 0, "FORMAT", "logfmt or json (logfmt)"},
	{"no-sandbox", SWITCH_OFF, FIELD_OF(sandbox), 0, 0, NULL,
	 "keep all privileges and system calls"},
	{"version", VERSION, 0, 0, 0, NULL, "print the version"},
	{"help", HELP, 0, 0, 0, NULL, "print this"},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void print_help(char *out)
{
	size_t n = 0;
	const size_t room = CONFIG_MESSAGE_BYTES;

	n += (size_t)snprintf(out, room,
			      "Usage: conntide-agent [OPTION]...\n"
			      "Mirrors the connection-tracking table of this network namespace "
			      "into shared memory.\nNeeds CAP_NET_ADMIN. Changes nothing in the "
			      "system.\n\n");
	for (size_t i = 0; i < ROWS && n < room; i++) {
		char name[48];

		snprintf(name, sizeof(name), "--%s%s%s", rows[i].name, rows[i].value ? " " : "",
			 rows[i].value ? rows[i].value : "");
		n += (size_t)snprintf(out + n, room - n, "  %-27s %s\n", name, rows[i].help);
	}
	if (n < room)
		snprintf(out + n, room - n,
			 "\nSignals: TERM and INT end it, HUP requests a resync.\n"
			 "Exit status: 0 stopped, 1 could not go on, 2 wrong usage.\n");
}

static bool parse_number(const struct option_row *row, const char *text, struct config *config,
			 char *message)
{
	uint32_t *field = (uint32_t *)(void *)((char *)config + row->field);

	if (num_u32(text, row->min, row->max, field) < 0) {
		snprintf(message, CONFIG_MESSAGE_BYTES,
			 "--%s: \"%s\" is not a number from %u to %u", row->name, text, row->min,
			 row->max);
		return false;
	}
	return true;
}

static bool parse_ports(const struct option_row *row, const char *text, struct config *config,
			char *message)
{
	struct nat_port_range *field = (void *)((char *)config + row->field);
	const char *at = text;
	uint64_t first, last;

	if (num_take_range(&at, '-', row->max, &first, &last) < 0 || *at || first < row->min) {
		snprintf(message, CONFIG_MESSAGE_BYTES,
			 "--%s: \"%.32s\" is not a range of ports from %llu to %llu, as in "
			 "20000-29999",
			 row->name, text, (unsigned long long)row->min,
			 (unsigned long long)row->max);
		return false;
	}
	*field = (struct nat_port_range){(uint16_t)first, (uint16_t)last};
	return true;
}

static const struct config defaults = {
	.runtime_dir = "/run/conntide",
	.netns = "host",
	.log_level = "info",
	.log_format = "logfmt",
	.event_buffer_bytes = 64u << 20,
	.pace_us = 1000,
	.resync_interval_s = 300,
	.silent_interval_s = 60,
	.audit_rate = 160,
	.top_ports = 16,
	.state_dir = "/var/lib/conntide",
	.incidents_max = 64,
	.incidents_max_bytes = 64u << 20,
	.sandbox = true,
};

static enum config_result take_option(struct config *config, const struct option_row *row,
				      char *message)
{
	const char **text = (const char **)(void *)((char *)config + row->field);
	bool *flag = (bool *)((char *)config + row->field);

	switch (row->type) {
	case TEXT:
		*text = optarg;
		return CONFIG_RUN;
	case NUMBER:
		return parse_number(row, optarg, config, message) ? CONFIG_RUN : CONFIG_USAGE_ERROR;
	case PORTS:
		return parse_ports(row, optarg, config, message) ? CONFIG_RUN : CONFIG_USAGE_ERROR;
	case SWITCH_OFF:
		*flag = false;
		return CONFIG_RUN;
	case VERSION:
		snprintf(message, CONFIG_MESSAGE_BYTES, "conntide-agent %s (revision %s)\n",
			 build_version, build_revision);
		return CONFIG_TEXT;
	case HELP:
		print_help(message);
		return CONFIG_TEXT;
	}
	return CONFIG_USAGE_ERROR;
}

static enum config_result check(struct config *config, int argc, char **argv, char *message)
{
	if (optind < argc) {
		snprintf(message, CONFIG_MESSAGE_BYTES,
			 "unexpected argument \"%s\"; see conntide-agent --help", argv[optind]);
		return CONFIG_USAGE_ERROR;
	}
	if (!shm_name_is_good(config->netns)) {
		snprintf(message, CONFIG_MESSAGE_BYTES,
			 "--netns: \"%s\" cannot be the name of a table", config->netns);
		return CONFIG_USAGE_ERROR;
	}
	if (config->event_buffer_max_bytes == 0)
		config->event_buffer_max_bytes = config->event_buffer_bytes > EVENT_BUFFER_MAX_BYTES
							 ? config->event_buffer_bytes
							 : EVENT_BUFFER_MAX_BYTES;
	if (config->event_buffer_max_bytes < config->event_buffer_bytes) {
		snprintf(message, CONFIG_MESSAGE_BYTES,
			 "--event-buffer %u is more than --event-buffer-max %u",
			 config->event_buffer_bytes, config->event_buffer_max_bytes);
		return CONFIG_USAGE_ERROR;
	}
	return CONFIG_RUN;
}

/* Inside "-xy" optind has not moved yet; optopt then names the letter. */
static void bad_option(char *message, int c, char **argv)
{
	char letter[3] = {'-', (char)optopt, '\0'};
	const char *given = optopt > 0 && optopt < 128 ? letter : argv[optind - 1];

	if (c == ':')
		snprintf(message, CONFIG_MESSAGE_BYTES,
			 "%s needs a value; see conntide-agent --help", given);
	else
		snprintf(message, CONFIG_MESSAGE_BYTES,
			 "unknown option \"%s\"%s; see conntide-agent --help", given,
			 option_hint(given));
}

static enum config_result parse(struct config *config, int argc, char **argv, char *message)
{
	struct option options[ROWS + 1] = {{0}};
	enum config_result result = CONFIG_RUN;
	int index;

	*config = defaults;
	for (size_t i = 0; i < ROWS; i++) {
		options[i].name = rows[i].name;
		options[i].has_arg = rows[i].value ? required_argument : no_argument;
	}
	opterr = 0;
	optind = 0;
	while (result == CONFIG_RUN) {
		int c = getopt_long(argc, argv, ":h", options, &index);

		if (c == -1)
			return check(config, argc, argv, message);
		if (c == 0) {
			result = take_option(config, &rows[index], message);
		} else if (c == 'h') {
			print_help(message);
			return CONFIG_TEXT;
		} else {
			bad_option(message, c, argv);
			return CONFIG_USAGE_ERROR;
		}
	}
	return result;
}

enum config_result config_parse(struct config *config, int argc, char **argv,
				char message[CONFIG_MESSAGE_BYTES])
{
	enum config_result result = parse(config, argc, argv, message);

	if (result == CONFIG_USAGE_ERROR)
		option_one_line(message);
	return result;
}
