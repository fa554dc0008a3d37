// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An output file that the operator names and others must not read: recordings hold addresses.
 * Root may write it in directories where others write as well.
 *
 * A new file has mode 0600. An existing one is used only if it is ours and has no second link,
 * and is made 0600 too; a device or fifo, if it is ours or root's. Symbolic links are not
 * followed.
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
