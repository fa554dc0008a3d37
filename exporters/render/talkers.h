// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The addresses that hold most entries, as rows. Addresses are personal data: the
 * caller has made sure that they may be shown. Pure.
 */
#ifndef CONNTIDE_RENDER_TALKERS_H
#define CONNTIDE_RENDER_TALKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exporters/render/rows.h"
#include "exporters/render/text.h"
#include "lib/shm/snap_detail.h"
#include "lib/shm/snapshot.h"

#define ADDRESS_BYTES 64u

extern const struct column talkers_columns[];
extern const size_t talkers_column_count;

/* "source", "destination", "service", "source64", "destination64"; -1: no such kind. */
int talker_kind_by_name(const char *name);
const char *talker_kind_name(enum shm_talker_kind kind);

/* "192.0.2.1", "2001:db8::1", "2001:db8::/64". */
const char *format_address(const struct snap_talker *talker, bool prefix_64,
			   char out[ADDRESS_BYTES]);

/* Kinds that no part of a filter speaks of are left out. */
struct talkers_filter {
	bool has_source, has_destination;
	bool source_ipv6, destination_ipv6;
	uint8_t source[16];
	uint8_t destination[16]; /* of a service, too */
	int l4proto, port;	 /* of a service; -1: any */
};

struct talkers_wanted {
	int kind;     /* enum shm_talker_kind; -1: all */
	size_t limit; /* of each kind; 0: all there are */
	enum rows_format format;
	const struct talkers_filter *filter; /* NULL: none */
};

/* Returns how many rows that were. */
size_t render_talkers(const struct snapshot *snap, const struct snap_detail *details,
		      const struct talkers_wanted *wanted, const struct services *services,
		      struct text *out);

#endif
