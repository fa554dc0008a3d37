// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An output file named by the operator that others must not read: recordings hold the
 * addresses of everybody. It is written as root in directories that others may write in, too.
 *
 * A new file has mode 0600. One that exists is taken only if it is ours, has no second name, and
 * is then made 0600 as well; a device or fifo if it is ours or root's. A link is not followed.
 *
 * Errors: -errno; -ELOOP for a link, -EPERM for what is not ours.
 */
#ifndef CONNTIDE_AGENT_BASE_PRIVATE_FILE_H
#define CONNTIDE_AGENT_BASE_PRIVATE_FILE_H

#include <stdbool.h>

/* For writing, its old content still in place. A descriptor, or -errno; *ret_created: it was
 * not there before. */
int private_file_open(const char *path, bool *ret_created);

#endif
