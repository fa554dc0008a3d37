// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A file that one process at a time has locked: who has the lock may write what it stands for.
 *
 * flock(2) needs no more than a descriptor, so anyone who may open the file may hold the lock and
 * keep everybody out. The file is therefore its owner's alone (mode 0600). One that others may
 * open is not believed, whoever holds it: it makes room for a new one. The name is not followed
 * if it is a link, and after locking it must still name the file that was locked.
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
