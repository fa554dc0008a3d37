// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/port_name.h"

#include <stdio.h>

#include "lib/kernel/states.h"

const char *port_name(unsigned int l4proto, uint16_t port, char out[PORT_NAME_BYTES])
{
	const struct l4proto_info *info = l4proto_info(l4proto);

	if (l4proto == L4_OTHER)
		snprintf(out, PORT_NAME_BYTES, "protocol %u", port);
	else if (info && info->has_ports)
		snprintf(out, PORT_NAME_BYTES, "%s/%u", info->name, port);
	else
		snprintf(out, PORT_NAME_BYTES, "%s", info ? info->name : "?");
	return out;
}

void rows_protocol(struct rows *rows, unsigned int l4proto, uint16_t port)
{
	const struct l4proto_info *info = l4proto_info(l4proto);
	char number[8];

	if (l4proto == L4_OTHER && rows->format == ROWS_TEXT) {
		snprintf(number, sizeof(number), "%u", port);
		rows_string(rows, number);
		return;
	}
	rows_string(rows, info ? info->name : "unknown");
}

void rows_port_of(struct rows *rows, unsigned int l4proto, uint16_t port)
{
	rows_port(rows, l4proto == L4_OTHER && rows->format == ROWS_TEXT ? 0 : port);
}
