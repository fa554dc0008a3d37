// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Maps a segment read-only and trusts nothing in it.
 *
 * Checks are made in one function, in one order, each with its own error:
 *	-ENOENT	   no such file: no agent has run here
 *	-EACCES	   not allowed to read it
 *	-EBADMSG   not a segment (magic)
 *	-EPROTO	   of another major version, or a newer minor one than is known
 *		   to be compatible (minor versions only append)
 *	-EMSGSIZE  file or sections do not have the size they must have
 *	-EAGAIN	   not ready yet
 * shm_reader_explain() turns them into a sentence that says what to do.
 *
 * Addresses of hosts are in a file of their own (layout.h), which fewer may read. Where
 * it cannot be read, or belongs to another instance, its sections are all zeros, and
 * hosts_error says why; shm_reader_hosts_explain() makes a sentence of it.
 *
 * Which reads which: a reader of version X.Y reads what an agent of X.Y or of X.Z, Z > Y,
 * wrote (minor versions only append). So at an upgrade the agent is restarted first: readers may
 * be older, never newer. Otherwise the result is -EPROTO and a sentence that says which of the
 * two is older, even when an older table was read before.
 *
 * A file cut or replaced under the mapping raises SIGBUS in the process that touches
 * it. shm_reader_install_guard() once per process makes reads through
 * shm_guarded() return -EFAULT instead; other SIGBUS keep their old effect.
 *
 * Threads: one reader per thread; the guard is per thread.
 */
#ifndef CONNTIDE_SHM_READER_H
#define CONNTIDE_SHM_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shm_header;

struct shm_reader {
	const void *base;    /* NULL while nothing is mapped */
	uint64_t size_bytes; /* of the mapping: both files */
	uint64_t file_bytes; /* of the table */
	int hosts_error;     /* 0, or why the hosts file is not mapped: -errno, -ESTALE */
	uint16_t version_major, version_minor; /* of the agent, after -EPROTO */
	char agent_version[32];
	uint64_t device;
	uint64_t inode;
	uint64_t sections[24]; /* offsets, as checked when the file was mapped */
	uint8_t boot_id[16];   /* of the running system, for comparison */
	char path[256];
};

/*
 * Can be the name of a table, DIR/NAME.table: one to SHM_NAME_MAX bytes, no '/', no '.' in
 * front, no control character.
 */
#define SHM_NAME_MAX 47u
bool shm_name_is_good(const char *name);

/* Prepares a reader of <runtime_dir>/<name>.table; maps nothing yet.
 * 0, -ENAMETOOLONG, or -errno of reading the boot id. */
int shm_reader_init(struct shm_reader *reader, const char *runtime_dir, const char *name);

/*
 * Maps the file that has the name now: the first time, and again when an agent has replaced it.
 * Cheap (one stat) when nothing changed. If the name is gone or unreadable but an older mapping
 * exists, that one stays in use and 0 is returned; not if the new file is of another version,
 * because then the agent that wrote the older one is gone.
 */
int shm_reader_refresh(struct shm_reader *reader);

void shm_reader_close(struct shm_reader *reader);

/* Start of a section, or NULL when nothing is mapped. */
const void *shm_reader_section(const struct shm_reader *reader, unsigned int id);
const struct shm_header *shm_reader_header(const struct shm_reader *reader);

int shm_reader_install_guard(void);

/* Runs fn(arg) and returns its value, or -EFAULT if it touched a page that is
 * no longer backed. fn must not hold resources while it reads. */
int shm_guarded(int (*fn)(void *arg), void *arg);

/* A sentence for a person, in `out`. Returns out. */
const char *shm_reader_explain(const struct shm_reader *reader, int error, char *out,
			       size_t out_bytes);

/* Likewise for hosts_error, "" for 0. */
const char *shm_reader_hosts_explain(const struct shm_reader *reader, char *out, size_t out_bytes);

/* 32 hexadecimal digits with or without dashes -> 16 bytes; 0 or -EINVAL. */
int boot_id_parse(const char *text, uint8_t ret_id[16]);
/* The boot id of the running system. 0 or -errno. */
int boot_id_read(uint8_t ret_id[16]);

#endif
