// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/write.h"

void write_row(struct json *json, const struct row_key *key, const struct services *services)
{
	const struct l4proto_info *info = l4proto_info(key->l4proto);

	json_string(json, "l4proto", info->name);
	json_string(json, "direction", direction_name(key->direction));
	json_number(json, "port", key->port);
	json_string(json, "service", services_name(services, key->l4proto, key->port));
}

void write_warnings(struct json *json, uint32_t warnings)
{
	json_open_array(json, "warnings");
	for (unsigned int i = 0; i < WARN_COUNT; i++)
		if (warnings & UINT32_C(1) << i)
			json_string(json, NULL, warning_text((enum warning)i));
	json_close(json);
}
