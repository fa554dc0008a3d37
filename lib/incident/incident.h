// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Incidents: what a table looked like when it filled, as files that outlive it.
 *
 * One incident is one episode of a full table and has up to four *stages*: it
 * passed 80 %, it passed 95 %, packets began to be dropped, it recovered. Each
 * stage is a file of its own, <id>.<stage>.incident, written once and complete;
 * files with the same id belong together. All are in <state-dir>/<name>.incidents,
 * one directory for each watched namespace.
 *
 *	head	struct incident_head: who, when, how bad, and the sums
 *	body	pieces of the segment (lib/shm/layout.h), each a struct
 *		incident_piece and its bytes: only what is not 0, of rings only
 *		the last part, of rows only the largest INCIDENT_ROWS
 *
 * A body put back where its pieces came from, in private memory, is a segment
 * again: incident_image_open() makes a reader of it, so that whatever renders a
 * snapshot renders an incident. It needs a segment of the same major version; fields of a later
 * minor version are left out, fields an earlier one lacks are 0. The
 * head does not depend on the segment's version.
 *
 * Files are outside input: they are checked in one order, each failure with its own
 * error, and nothing in them is trusted after that:
 *	-EMSGSIZE  cut short, too long, or a length that cannot be
 *	-EBADMSG   not an incident (magic, name)
 *	-EPROTO	   of another format, or the body of another major version
 *	-EILSEQ	   damaged: a checksum is wrong
 *	-EINVAL	   a field is out of its range
 * incident_explain() makes a sentence of them. Host byte order: incidents are read
 * where they were written.
 *
 * Threads: none shared. Memory: incident_image_open() maps, _close() unmaps.
 */
#ifndef CONNTIDE_INCIDENT_INCIDENT_H
#define CONNTIDE_INCIDENT_INCIDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/shm/reader.h"

#define INCIDENT_MAGIC	    UINT64_C(0x4449434e49544e43) /* "CNTINCID" in memory */
#define INCIDENT_FORMAT	    1u
#define INCIDENT_SUFFIX	    ".incident"
#define INCIDENT_DIR_SUFFIX ".incidents"
#define INCIDENT_FILE_MAX   (1u << 20) /* bytes of one file */
#define INCIDENT_ROWS	    2048u      /* ports kept of a table that has more */
#define INCIDENT_SECONDS    900u       /* of the seconds before */
#define INCIDENT_ID_BYTES   32u
#define INCIDENT_NAME_BYTES 64u /* of a file */

/* limit_kind of what a NAT pool brought about: entries are ports of it, the limit its size. */
#define INCIDENT_LIMIT_NAT 16u

enum incident_stage {
	INCIDENT_HIGH,	   /* passed 80 % of its limit, or a NAT pool 85 % of its ports */
	INCIDENT_CRITICAL, /* passed 95 %, a NAT pool 94 % */
	INCIDENT_DROPS,	   /* packets or entries were dropped, or connections found no port */
	INCIDENT_RECOVERED,
	INCIDENT_STAGES
};

struct incident_head {
	uint64_t magic;
	uint32_t head_crc32; /* of the head from here on */
	uint32_t body_crc32;
	uint16_t format;
	uint16_t stage;		/* enum incident_stage */
	uint16_t version_major; /* of the segment the body is made of */
	uint16_t version_minor;
	uint32_t head_bytes;
	uint32_t body_bytes;
	uint8_t boot_id[16];
	uint64_t instance_id; /* of the agent that wrote this stage */
	uint64_t created_real_ns;
	uint64_t created_boot_ns;
	uint64_t netns_inode;
	uint32_t agent_pid;
	uint32_t limit_kind; /* 1: nf_conntrack_max, 2: the length of hash chains;
				INCIDENT_LIMIT_NAT */
	uint64_t began_real_ns;
	uint64_t taken_real_ns; /* of this stage's snapshot */
	uint64_t taken_boot_ns;
	uint64_t stage_real_ns[INCIDENT_STAGES]; /* when it was reached; 0: not by then */
	uint64_t peak_real_ns;
	uint32_t peak_fill_ppm; /* entries / limit, in millionths */
	uint32_t peak_entries;
	uint32_t entries; /* when this stage was reached */
	uint32_t limit_entries;
	uint64_t base_drops; /* the kernel's counters when it began */
	uint64_t base_early_drops;
	uint64_t base_chain_drops;
	uint64_t drops; /* since it began */
	uint64_t early_drops;
	uint64_t chain_drops;
	uint32_t top_row; /* the largest port; ROW_INVALID: the table was empty */
	uint32_t top_row_entries;
	uint32_t top_cell; /* its largest state */
	uint32_t top_cell_entries;
	uint32_t rows_active;
	uint32_t rows_kept;
	uint32_t entries_kept; /* in those rows */
	uint32_t left_out;     /* 1: some of the content did not fit */
	char id[INCIDENT_ID_BYTES];
	char netns_name[64];
	char agent_version[32];
	uint8_t _reserved[136];
};

struct incident_piece {
	uint32_t section;      /* enum shm_section_id */
	uint32_t size_bytes;   /* of what follows; a multiple of 8 */
	uint64_t offset_bytes; /* in the section; a multiple of 8 */
};

/* "high", "critical", "drops", "recovered"; NULL and -1 for anything else. */
const char *incident_stage_name(unsigned int stage);
const char *incident_stage_help(unsigned int stage);
int incident_stage_by_name(const char *name);
/* The worst stage that `stage_real_ns` says was reached; -1: none. Recovery is none. */
int incident_worst(const uint64_t stage_real_ns[INCIDENT_STAGES]);

/* Makes "20261123T235959Z-89abcdef". */
void incident_id_make(uint64_t began_real_ns, uint32_t random, char out[INCIDENT_ID_BYTES]);
/* Exactly of that form: nothing else may become part of a path. */
bool incident_id_good(const char *id);
void incident_file_name(const char *id, enum incident_stage stage, char out[INCIDENT_NAME_BYTES]);
/* The reverse; false when it is not the name of an incident's file. */
bool incident_name_parse(const char *name, char ret_id[INCIDENT_ID_BYTES], unsigned int *ret_stage);

/* Fills in lengths and checksums of a head whose body is complete. */
void incident_seal(struct incident_head *head, const void *body, size_t body_bytes);

/* Checks the first `bytes` (at least a head) of a file of `file_bytes`. 0 or -errno. */
int incident_check_head(const void *data, size_t bytes, uint64_t file_bytes,
			struct incident_head *ret_head);

struct incident_image {
	struct incident_head head;
	struct shm_reader reader; /* of private memory: never refresh it */
};

struct snapshot;

/* Checks the whole file and makes a segment of it. 0, -ENOMEM, or as above. */
int incident_image_open(struct incident_image *image, const void *data, size_t bytes);
void incident_image_close(struct incident_image *image);

/* snapshot_take() of an image: at the time it was taken, with the sum over all rows,
 * also those that were not kept. */
int incident_snapshot(struct incident_image *image, struct snapshot *snap);

const char *incident_explain(int error);

#endif
