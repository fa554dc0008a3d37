// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A tuple as people write it: a protocol, and two ends like 10.0.0.5:51344, 192.0.2.9:443 or
 * [2001:db8::1]:443; of icmp and icmpv6 the echo id in place of the source's port, and none
 * for the destination. Pure.
 */
#ifndef CONNTIDE_AGENT_FLOW_TUPLE_H
#define CONNTIDE_AGENT_FLOW_TUPLE_H

#include "lib/event/event.h"

#define TUPLE_END_BYTES 64u

/* Fills *key but for the zone. NULL, or what is wrong with which of the three. */
const char *tuple_parse(const char *const words[3], struct ct_key *key, const char **ret_wrong);

/* "10.0.0.5:51344", "[2001:db8::1]:443"; without `with_port` the address alone. */
const char *tuple_end(uint8_t family, const uint8_t address[16], uint16_t port, bool with_port,
		      char out[TUPLE_END_BYTES]);

/* "10.0.0.5". */
const char *tuple_address(uint8_t family, const uint8_t address[16], char out[TUPLE_END_BYTES]);

#endif
