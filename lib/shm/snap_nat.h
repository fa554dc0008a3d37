// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The fullest NAT pools as a reader sees them: a checked copy of struct shm_nat. Part of
 * struct snapshot. They name addresses: the caller checks that those may be shown. Not there where
 * the file with the hosts cannot be read (snap_detail.hosts_error).
 *
 * Every number is within its range, whatever the file holds. Pure.
 */
#ifndef CONNTIDE_SHM_SNAP_NAT_H
#define CONNTIDE_SHM_SNAP_NAT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/shm/layout.h"

struct snap_nat_pool {
	uint8_t address[16]; /* of this side of NAT; IPv4: the first four */
	uint8_t remote[16];
	uint8_t client[16]; /* who holds most of it */
	bool ipv6;
	uint8_t l4num;	 /* IPPROTO_* */
	uint8_t l4proto; /* enum l4proto */
	uint16_t remote_port;
	uint16_t zone;
	uint16_t first_port; /* 0, 0: only the size is known */
	uint16_t last_port;
	bool translated; /* else local: this host's own connections alone */
	bool measured;	 /* failing_share was measured; else it is expected */
	bool reclaims;
	uint32_t used;
	uint32_t closing; /* in TIME_WAIT or CLOSE */
	uint32_t held;	  /* not available */
	uint32_t size;	  /* never 0 */
	uint32_t error;	  /* how many fewer it may be */
	uint32_t more;
	uint32_t client_used; /* 0: not known */
	double ratio;	      /* held / size */
	double new_per_s;
	double failing_share;
	double expected_share; /* the same as it is without a measurement */
	double early_s;	       /* infinite: not foreseeable */
	double likely_s;
	double late_s;
};

struct snap_nat {
	bool valid;
	uint64_t taken_boot_ns;
	uint32_t tracked; /* pools counted, local ones among them */
	uint32_t room;
	uint32_t missed; /* no pool outside the list has more ports in use */
	uint32_t count;
	struct snap_nat_pool pools[SHM_NAT_POOLS]; /* fullest first */
};

/* From a mapped section, under shm_guarded(). *nat is zero, or a whole copy. */
void snap_nat_copy(const struct shm_nat *from, struct snap_nat *nat);

#endif
