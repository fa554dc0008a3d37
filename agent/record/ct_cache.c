// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/record/ct_cache.h"

#include <errno.h>
#include <string.h>

#include "lib/base/sparse.h"

static size_t entries_bytes(const struct ct_cache *cache)
{
	return ((size_t)cache->limit_entries + 1) * sizeof(struct ct_cache_entry);
}

static size_t heads_bytes(const struct ct_cache *cache)
{
	return ((size_t)cache->bucket_mask + 1) * sizeof(uint32_t);
}

int ct_cache_create(struct ct_cache *cache, uint32_t limit_entries)
{
	memset(cache, 0, sizeof(*cache));
	cache->limit_entries =
		limit_entries < CT_CACHE_LIMIT_MAX ? limit_entries : CT_CACHE_LIMIT_MAX;
	cache->used = 1;
	while (cache->bucket_mask < cache->limit_entries)
		cache->bucket_mask = cache->bucket_mask << 1 | 1;
	cache->entries = sparse_alloc(entries_bytes(cache));
	cache->heads = sparse_alloc(heads_bytes(cache));
	return cache->entries && cache->heads ? 0 : -ENOMEM;
}

void ct_cache_destroy(struct ct_cache *cache)
{
	sparse_free(cache->entries, entries_bytes(cache));
	sparse_free(cache->heads, heads_bytes(cache));
	memset(cache, 0, sizeof(*cache));
}

static uint32_t *head_of(const struct ct_cache *cache, const struct ct_event *event)
{
	return &cache->heads[event->hash & cache->bucket_mask];
}

static bool same_key(const struct ct_event *a, const struct ct_event *b)
{
	return a->hash == b->hash && memcmp(&a->key, &b->key, sizeof(a->key)) == 0;
}

static struct ct_cache_entry *find(const struct ct_cache *cache, const struct ct_event *event)
{
	for (uint32_t at = *head_of(cache, event); at; at = cache->entries[at].next)
		if (same_key(&cache->entries[at].event, event))
			return &cache->entries[at];
	return NULL;
}

/* A new live entry, not filled in. NULL: at the limit. */
static struct ct_cache_entry *add(struct ct_cache *cache, const struct ct_event *event)
{
	uint32_t *head = head_of(cache, event);
	uint32_t at = cache->free_head;

	if (at) {
		cache->free_head = cache->entries[at].next;
	} else if (cache->used > cache->limit_entries) {
		cache->refused++;
		return NULL;
	} else {
		at = cache->used++;
	}
	cache->entries[at] = (struct ct_cache_entry){.next = *head};
	*head = at;
	cache->live++;
	return &cache->entries[at];
}

/* Moves it from its chain to the free list. */
static void release(struct ct_cache *cache, struct ct_cache_entry *entry)
{
	uint32_t *link = head_of(cache, &entry->event);
	uint32_t at = (uint32_t)(entry - cache->entries);

	while (*link != at)
		link = &cache->entries[*link].next;
	*link = entry->next;
	entry->next = cache->free_head;
	entry->event = (struct ct_event){0};
	entry->buried = true;
	entry->by_event = false;
	cache->free_head = at;
}

static void put(struct ct_cache_entry *entry, const struct ct_event *event, uint64_t now_ns)
{
	entry->event = *event;
	entry->at_ns = now_ns;
}

static void revive(struct ct_cache *cache, struct ct_cache_entry *entry)
{
	cache->live += entry->buried;
	entry->buried = false;
}

/* --- the dump ------------------------------------------------------------------- */

void ct_cache_dump_begin(struct ct_cache *cache)
{
	memset(cache->heads, 0, heads_bytes(cache));
	cache->used = 1;
	cache->free_head = 0;
	cache->live = 0;
	cache->refused = 0;
	cache->dump_running = true;
}

static void take_state(struct ct_event *to, const struct ct_event *from)
{
	if (to->has & CT_HAS_PROTO_STATE || !(from->has & CT_HAS_PROTO_STATE))
		return;
	to->proto_state = from->proto_state;
	to->has |= CT_HAS_PROTO_STATE;
}

void ct_cache_record(struct ct_cache *cache, const struct ct_event *record, uint64_t now_ns)
{
	struct ct_cache_entry *entry;

	if (record->status & CT_STATUS_DYING)
		return;
	entry = find(cache, record);
	if (!entry) {
		entry = add(cache, record);
		if (entry)
			put(entry, record, now_ns);
	} else if (!entry->by_event) {
		put(entry, record, now_ns);
	} else if (!entry->buried && entry->event.id == record->id) {
		take_state(&entry->event, record);
	}
}

void ct_cache_dump_end(struct ct_cache *cache)
{
	cache->dump_running = false;
	for (uint32_t at = 1; at < cache->used; at++)
		if (cache->entries[at].buried && cache->entries[at].by_event)
			release(cache, &cache->entries[at]);
}

/* --- events ----------------------------------------------------------------------- */

static void destroy(struct ct_cache *cache, struct ct_cache_entry *entry, struct ct_event *event)
{
	if (entry && !entry->buried) {
		/* A late message of an earlier entry with this tuple. */
		if (entry->event.id != event->id)
			return;
		take_state(event, &entry->event);
		cache->live--;
		entry->buried = true;
		if (!cache->dump_running) {
			release(cache, entry);
			return;
		}
	} else if (!entry && cache->dump_running) {
		entry = add(cache, event);
		if (!entry)
			return;
		cache->live--;
		entry->buried = true;
	}
	if (entry) {
		entry->event = *event;
		entry->by_event = true;
	}
}

static bool overtaken(const struct ct_cache_entry *entry, const struct ct_event *event)
{
	const uint32_t never_lost = CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED;

	return entry->event.status & ~event->status & never_lost;
}

bool ct_cache_event(struct ct_cache *cache, struct ct_event *event, uint64_t now_ns)
{
	struct ct_cache_entry *entry = find(cache, event);
	bool known = entry && !entry->buried && entry->event.id == event->id;

	if (event->kind == CT_DESTROY) {
		destroy(cache, entry, event);
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
		entry = add(cache, event);
	if (!entry)
		return true;
	revive(cache, entry);
	put(entry, event, now_ns);
	entry->by_event = true;
	return true;
}

const struct ct_cache_entry *ct_cache_next(const struct ct_cache *cache, uint32_t *cursor)
{
	while (++*cursor < cache->used)
		if (!cache->entries[*cursor].buried)
			return &cache->entries[*cursor];
	return NULL;
}
