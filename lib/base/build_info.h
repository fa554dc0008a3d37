// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which conntide this is: the version of the Makefile, and the commit it was built from,
 * "unknown" where there is no git and none was given (make REVISION=...). Kept in an object
 * of its own, so that a commit compiles one file and links, and nothing is ever stale.
 */
#ifndef CONNTIDE_BASE_BUILD_INFO_H
#define CONNTIDE_BASE_BUILD_INFO_H

extern const char build_version[];
extern const char build_revision[];

#endif
