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

static int services_add(struct services *services, size_t *room, const struct servent *entry)
{
	int l4proto = l4proto_by_name(entry->s_proto);
	struct service *to;

	if (l4proto < 0 || !l4proto_info((unsigned int)l4proto)->has_ports ||
	    strlen(entry->s_name) >= sizeof(to->name))
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
	to->port = ntohs((uint16_t)entry->s_port);
	strcpy(to->name, entry->s_name);
	return 0;
}

struct services *services_load(void)
{
	struct services *services = calloc(1, sizeof(*services));
	struct servent *entry;
	size_t room = 0;

	if (!services)
		return NULL;
	setservent(1);
	while ((entry = getservent()))
		if (services_add(services, &room, entry) < 0)
			break;
	endservent();
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
