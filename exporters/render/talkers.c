// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/talkers.h"

#include <arpa/inet.h>
#include <string.h>

#include "exporters/render/port_name.h"
#include "lib/kernel/states.h"

const struct column talkers_columns[] = {
	{"kind", 15, "KIND", "string", "source, destination, service, source64 or destination64"},
	{"address", 40, "ADDRESS", "string",
	 "IPv4 or IPv6 address; of source64, destination64 a /64"},
	{"l4proto", 9, "PROTO", "string", "protocol; of a service only, else empty"},
	{"port", 7, "PORT", "integer", "destination port; of a service only, else 0"},
	{"service", 14, "SERVICE", "string", "name of the port, or empty"},
	{"entries", 10, "ENTRIES", "integer", "entries it holds, as counted"},
	{"error_entries", 7, "FEWER", "integer", "how many fewer it may be; 0: exact"},
	{"more_entries", 7, "MORE", "integer", "how many more it may be; 0: exact"},
	{"share", 8, "SHARE", "number", "entries / all entries of the mirror"},
	{"missed_entries", 0, "MISSED", "integer",
	 "no address of this kind that is not listed holds more"},
};
const size_t talkers_column_count = sizeof(talkers_columns) / sizeof(talkers_columns[0]);

static const char *const kinds[SHM_TALKER_KINDS] = {"source", "destination", "service", "source64",
						    "destination64"};

int talker_kind_by_name(const char *name)
{
	for (int i = 0; i < (int)SHM_TALKER_KINDS; i++)
		if (!strcmp(name, kinds[i]))
			return i;
	return -1;
}

const char *talker_kind_name(enum shm_talker_kind kind)
{
	return kinds[kind];
}

const char *format_address(const struct snap_talker *talker, bool prefix_64,
			   char out[ADDRESS_BYTES])
{
	if (!inet_ntop(talker->ipv6 ? AF_INET6 : AF_INET, talker->address, out, ADDRESS_BYTES - 4))
		strcpy(out, "?");
	if (prefix_64 && talker->ipv6)
		strcat(out, "/64");
	return out;
}

static void render_talker(const struct snapshot *snap, const struct snap_talker *talker,
			  const struct snap_talker_list *list, enum shm_talker_kind kind,
			  const struct services *services, struct rows *rows)
{
	bool service = kind == SHM_TALKER_SERVICE;
	bool prefix = kind == SHM_TALKER_SOURCE_64 || kind == SHM_TALKER_DESTINATION_64;
	double all = (double)snap->live.mirror_entries;
	char address[ADDRESS_BYTES];

	rows_string(rows, talker_kind_name(kind));
	rows_string(rows, format_address(talker, prefix, address));
	if (service)
		rows_protocol(rows, talker->l4proto, talker->port);
	else
		rows_string(rows, "");
	rows_port_of(rows, talker->l4proto, talker->port);
	rows_string(rows, service ? services_name(services, talker->l4proto, talker->port) : "");
	rows_u64(rows, talker->entries);
	rows_u64(rows, talker->error_entries);
	rows_u64(rows, talker->more_entries);
	rows_share(rows, all > 0 ? talker->entries / all : 0);
	rows_u64(rows, list->missed_entries);
}

static bool same_address(const struct snap_talker *talker, bool prefix_64,
			 const uint8_t address[16], bool ipv6)
{
	size_t bytes = prefix_64 ? 8 : ipv6 ? 16 : 4;

	return talker->ipv6 == ipv6 && !memcmp(talker->address, address, bytes);
}

static bool passes(const struct talkers_filter *filter, enum shm_talker_kind kind,
		   const struct snap_talker *talker)
{
	bool prefix = kind == SHM_TALKER_SOURCE_64 || kind == SHM_TALKER_DESTINATION_64;

	if (!filter)
		return true;
	if (kind == SHM_TALKER_SOURCE || kind == SHM_TALKER_SOURCE_64)
		return filter->has_source &&
		       same_address(talker, prefix, filter->source, filter->source_ipv6);
	if (filter->has_destination &&
	    !same_address(talker, prefix, filter->destination, filter->destination_ipv6))
		return false;
	if (kind != SHM_TALKER_SERVICE)
		return filter->has_destination;
	return (filter->has_destination || filter->l4proto >= 0 || filter->port >= 0) &&
	       (filter->l4proto < 0 || filter->l4proto == talker->l4proto) &&
	       (filter->port < 0 || filter->port == talker->port);
}

size_t render_talkers(const struct snapshot *snap, const struct snap_detail *details,
		      const struct talkers_wanted *wanted, const struct services *services,
		      struct text *out)
{
	size_t shown, all = 0;
	struct rows rows;

	rows_begin(&rows, out, wanted->format, talkers_columns, talkers_column_count);
	rows_spare(&rows, "missed_entries more_entries error_entries service share l4proto port");
	for (unsigned int i = 0; i < SHM_TALKER_KINDS; i++) {
		const struct snap_talker_list *list = &details->talkers[i];

		if (wanted->kind >= 0 && (unsigned int)wanted->kind != i)
			continue;
		shown = 0;
		for (uint32_t j = 0; j < list->count && (!wanted->limit || shown < wanted->limit);
		     j++) {
			if (!passes(wanted->filter, (enum shm_talker_kind)i, &list->talkers[j]))
				continue;
			render_talker(snap, &list->talkers[j], list, (enum shm_talker_kind)i,
				      services, &rows);
			shown++;
		}
		all += shown;
	}
	rows_end(&rows);
	return all;
}
