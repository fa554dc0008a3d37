// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/render/services.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "lib/kernel/states.h"

struct service {
	uint16_t port;
	uint8_t l4proto;
	char name[29]; /* longer ones are left out */
};

struct services {
	struct service *list; /* sorted */
	size_t count;
};

static int service_compare(const void *left, const void *right)
{
	const struct service *a = left;
	const struct service *b = right;

	if (a->l4proto != b->l4proto)
		return a->l4proto < b->l4proto ? -1 : 1;
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	return 0;
}

static int services_add(struct services *services, size_t *room, unsigned int l4proto,
			uint16_t port, const char *name)
{
	struct service *to;

	if (strlen(name) >= sizeof(to->name))
		return 0;
	if (services->count == *room) {
		*room = *room ? 2 * *room : 512;
		to = realloc(services->list, *room * sizeof(*to));
		if (!to)
			return -1;
		services->list = to;
	}
	to = &services->list[services->count++];
	to->l4proto = (uint8_t)l4proto;
	to->port = port;
	strcpy(to->name, name);
	return 0;
}

static int add_ports(struct services *services, size_t *room)
{
	struct servent *entry;
	int err = 0;

	setservent(1);
	while (!err && (entry = getservent())) {
		int l4proto = l4proto_by_name(entry->s_proto);

		if (l4proto >= 0 && l4proto != L4_OTHER &&
		    l4proto_info((unsigned int)l4proto)->has_ports)
			err = services_add(services, room, (unsigned int)l4proto,
					   ntohs((uint16_t)entry->s_port), entry->s_name);
	}
	endservent();
	return err;
}

/* Of protocols without a name here their number stands for the port. */
static int add_protocols(struct services *services, size_t *room)
{
	struct protoent *entry;
	int err = 0;

	setprotoent(1);
	while (!err && (entry = getprotoent()))
		if (entry->p_proto > 0 && entry->p_proto <= 255)
			err = services_add(services, room, L4_OTHER, (uint16_t)entry->p_proto,
					   entry->p_name);
	endprotoent();
	return err;
}

struct services *services_load(void)
{
	struct services *services = calloc(1, sizeof(*services));
	size_t room = 0;

	if (!services)
		return NULL;
	if (!add_ports(services, &room))
		add_protocols(services, &room);
	/* The first name in the file is the usual one: a stable sort would keep it
	 * first, and so does a merge sort, which glibc's qsort is. */
	if (services->count)
		qsort(services->list, services->count, sizeof(*services->list), service_compare);
	return services;
}

void services_free(struct services *services)
{
	if (services)
		free(services->list);
	free(services);
}

const char *services_name(const struct services *services, unsigned int l4proto, uint16_t port)
{
	size_t low = 0;
	size_t high = services ? services->count : 0;
	struct service key = {.port = port, .l4proto = (uint8_t)l4proto};

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (service_compare(&services->list[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (services && low < services->count && !service_compare(&services->list[low], &key))
		return services->list[low].name;
	return "";
}
