// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/record/ct_cache.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static void *sparse(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static size_t entries_bytes(const struct roster *roster)
{
	return ((size_t)roster->limit_entries + 1) * sizeof(struct roster_entry);
}

static size_t heads_bytes(const struct roster *roster)
{
	return ((size_t)roster->bucket_mask + 1) * sizeof(uint32_t);
}

int roster_create(struct roster *roster, uint32_t limit_entries)
{
	memset(roster, 0, sizeof(*roster));
	roster->limit_entries = limit_entries < ROSTER_LIMIT_MAX ? limit_entries : ROSTER_LIMIT_MAX;
	roster->used = 1;
	while (roster->bucket_mask < roster->limit_entries)
		roster->bucket_mask = roster->bucket_mask << 1 | 1;
	roster->entries = sparse(entries_bytes(roster));
	roster->heads = sparse(heads_bytes(roster));
	return roster->entries && roster->heads ? 0 : -ENOMEM;
}

void roster_destroy(struct roster *roster)
{
	if (roster->entries)
		munmap(roster->entries, entries_bytes(roster));
	if (roster->heads)
		munmap(roster->heads, heads_bytes(roster));
	memset(roster, 0, sizeof(*roster));
}

static uint32_t *head_of(const struct roster *roster, const struct ct_event *event)
{
	return &roster->heads[event->hash & roster->bucket_mask];
}

static bool same_key(const struct ct_event *a, const struct ct_event *b)
{
	return a->hash == b->hash && memcmp(&a->key, &b->key, sizeof(a->key)) == 0;
}

static struct roster_entry *find(const struct roster *roster, const struct ct_event *event)
{
	for (uint32_t at = *head_of(roster, event); at; at = roster->entries[at].next)
		if (same_key(&roster->entries[at].event, event))
			return &roster->entries[at];
	return NULL;
}

/* A live entry, not filled in. NULL: no room. */
static struct roster_entry *add(struct roster *roster, const struct ct_event *event)
{
	uint32_t *head = head_of(roster, event);
	uint32_t at = roster->free_head;

	if (at) {
		roster->free_head = roster->entries[at].next;
	} else if (roster->used > roster->limit_entries) {
		roster->refused++;
		return NULL;
	} else {
		at = roster->used++;
	}
	roster->entries[at] = (struct roster_entry){.next = *head};
	*head = at;
	roster->live++;
	return &roster->entries[at];
}

/* Out of its chain and into the list of free ones; it is not live any more. */
static void release(struct roster *roster, struct roster_entry *entry)
{
	uint32_t *link = head_of(roster, &entry->event);
	uint32_t at = (uint32_t)(entry - roster->entries);

	while (*link != at)
		link = &roster->entries[*link].next;
	*link = entry->next;
	entry->next = roster->free_head;
	entry->event = (struct ct_event){0};
	entry->buried = true;
	entry->by_event = false;
	roster->free_head = at;
}

static void put(struct roster_entry *entry, const struct ct_event *event, uint64_t now_ns)
{
	entry->event = *event;
	entry->at_ns = now_ns;
}

static void revive(struct roster *roster, struct roster_entry *entry)
{
	roster->live += entry->buried;
	entry->buried = false;
}

/* --- the dump ------------------------------------------------------------------- */

void roster_dump_begin(struct roster *roster)
{
	memset(roster->heads, 0, heads_bytes(roster));
	roster->used = 1;
	roster->free_head = 0;
	roster->live = 0;
	roster->refused = 0;
	roster->dump_running = true;
}

static void take_state(struct ct_event *to, const struct ct_event *from)
{
	if (to->has & CT_HAS_PROTO_STATE || !(from->has & CT_HAS_PROTO_STATE))
		return;
	to->proto_state = from->proto_state;
	to->has |= CT_HAS_PROTO_STATE;
}

void roster_record(struct roster *roster, const struct ct_event *record, uint64_t now_ns)
{
	struct roster_entry *entry;

	if (record->status & CT_STATUS_DYING)
		return;
	entry = find(roster, record);
	if (!entry) {
		entry = add(roster, record);
		if (entry)
			put(entry, record, now_ns);
	} else if (!entry->by_event) {
		put(entry, record, now_ns);
	} else if (!entry->buried && entry->event.id == record->id) {
		take_state(&entry->event, record);
	}
}

void roster_dump_end(struct roster *roster)
{
	roster->dump_running = false;
	for (uint32_t at = 1; at < roster->used; at++)
		if (roster->entries[at].buried && roster->entries[at].by_event)
			release(roster, &roster->entries[at]);
}

/* --- events ----------------------------------------------------------------------- */

static void destroy(struct roster *roster, struct roster_entry *entry, struct ct_event *event)
{
	if (entry && !entry->buried) {
		/* A late message of the life before this one ends nothing. */
		if (entry->event.id != event->id)
			return;
		take_state(event, &entry->event);
		roster->live--;
		entry->buried = true;
		if (!roster->dump_running) {
			release(roster, entry);
			return;
		}
	} else if (!entry && roster->dump_running) {
		entry = add(roster, event);
		if (!entry)
			return;
		roster->live--;
		entry->buried = true;
	}
	if (entry) {
		entry->event = *event;
		entry->by_event = true;
	}
}

static bool overtaken(const struct roster_entry *entry, const struct ct_event *event)
{
	const uint32_t never_lost = CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED;

	return entry->event.status & ~event->status & never_lost;
}

bool roster_event(struct roster *roster, struct ct_event *event, uint64_t now_ns)
{
	struct roster_entry *entry = find(roster, event);
	bool known = entry && !entry->buried && entry->event.id == event->id;

	if (event->kind == CT_DESTROY) {
		destroy(roster, entry, event);
		return true;
	}
	if (event->status & CT_STATUS_DYING)
		return false;
	if (event->kind == CT_UPDATE && known) {
		if (overtaken(entry, event))
			return false;
		take_state(event, &entry->event);
	}
	if (!entry)
		entry = add(roster, event);
	if (!entry)
		return true;
	revive(roster, entry);
	put(entry, event, now_ns);
	entry->by_event = true;
	return true;
}

const struct roster_entry *roster_next(const struct roster *roster, uint32_t *cursor)
{
	while (++*cursor < roster->used)
		if (!roster->entries[*cursor].buried)
			return &roster->entries[*cursor];
	return NULL;
}
