// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A file that one process at a time has locked: the holder may write what the lock protects.
 *
 * flock(2) needs only a descriptor, so anyone who may open the file could hold the lock and keep
 * everybody out. The file therefore has mode 0600. One that others may open does not count,
 * whoever holds it: it is replaced. Symbolic links are not followed, and after locking the name
 * must still be that of the locked file.
 *
 * The process id in it is for messages only. The file is never removed, and the lock ends with
 * its descriptor.
 *
 * Errors: -errno. Threads: any.
 */
#ifndef CONNTIDE_BASE_LOCK_FILE_H
#define CONNTIDE_BASE_LOCK_FILE_H

#include <stdbool.h>
#include <sys/types.h>

/* Locks <name> below an open directory. A descriptor; -EBUSY when another process has it,
 * *ret_pid which (0: not known). */
int lock_file_take(int dir_fd, const char *name, pid_t *ret_pid);

/* Does <name> below the directory still name the file that is locked? */
bool lock_file_holds(int lock_fd, int dir_fd, const char *name);

#endif
