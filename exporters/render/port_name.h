// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What people read for the protocol and port of a row: "tcp/443"; "gre", which has no ports; and of
 * a protocol without a name here its number, "protocol 50", which the segment, JSON and the words
 * of what-if keep in place of a port. Pure.
 */
#ifndef CONNTIDE_RENDER_PORT_NAME_H
#define CONNTIDE_RENDER_PORT_NAME_H

#include <stdint.h>

#include "exporters/render/rows.h"

#define PORT_NAME_BYTES 24u

const char *port_name(unsigned int l4proto, uint16_t port, char out[PORT_NAME_BYTES]);

/* The two fields of a row of a table. Where people read it "tcp" and 443, "gre" and "-", "50" and
 * "-"; for programs both as they are. */
void rows_protocol(struct rows *rows, unsigned int l4proto, uint16_t port);
void rows_port_of(struct rows *rows, unsigned int l4proto, uint16_t port);

#endif
