// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/demo/machine.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define NONE	     UINT32_MAX
#define STEPS_PER_S  10u
#define WHEEL_STEPS  8192u /* longer than any timeout used here, in steps */
#define BUSY_STEPS   150u  /* visitors are more or fewer for so long */
#define EVICT_CHANCE 65u   /* of a hundred new entries in a full table */

enum { SYN_SENT = 1, SYN_RECV, ESTABLISHED, FIN_WAIT, CLOSE_WAIT, LAST_ACK, TIME_WAIT };

/* What comes in or goes out. Per second in calm; the flood has its own, and a request brings its
 * connection to the upstream with it. */
enum kind { REQUEST, UPSTREAM, QUERY, FLOOD, KINDS };

static const double calm_per_s[KINDS] = {[REQUEST] = 36, [QUERY] = 6};
#define FLOOD_PER_S 220.0

struct machine_entry {
	struct ct_key key;
	uint32_t id;
	uint32_t next; /* in its slot of the wheel, or of the free ones */
	uint8_t kind;
	uint8_t stage; /* how far its life has gone */
	bool live;
	bool assured;
};

/* A life: after each stage's steps the next begins. State 0 ends it. The order is that of a
 * recorded nginx and its upstream, and of SYNs that are answered and come to nothing. */
struct stage {
	uint8_t state;
	uint16_t steps;	    /* until the next */
	uint32_t timeout_s; /* as the kernel sets it */
	bool assured;
};

static const struct stage lives[KINDS][7] = {
	[REQUEST] = {{SYN_SENT, 1, 120, false},
		     {SYN_RECV, 1, 60, false},
		     {ESTABLISHED, 3, 432000, true},
		     {FIN_WAIT, 1, 120, true},
		     {LAST_ACK, 1, 30, true},
		     {TIME_WAIT, 1200, 120, true}},
	[UPSTREAM] = {{SYN_SENT, 1, 120, false},
		      {SYN_RECV, 1, 60, false},
		      {ESTABLISHED, 2, 432000, true},
		      {FIN_WAIT, 1, 120, true},
		      {LAST_ACK, 1, 30, true},
		      {TIME_WAIT, 1200, 120, true}},
	[QUERY] = {{1, 1, 30, false}, {2, 300, 30, false}},
	[FLOOD] = {{SYN_SENT, 1, 120, false}, {SYN_RECV, 600, 60, false}},
};

const uint8_t machine_address[4] = {198, 51, 100, 10};
static const uint8_t upstream_address[4] = {198, 51, 100, 20};
static const uint8_t resolver_address[4] = {192, 0, 2, 53};

static uint32_t draw(struct machine *machine, uint32_t below)
{
	machine->random = machine->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)((machine->random >> 33) % below);
}

int machine_init(struct machine *machine, uint64_t seed)
{
	memset(machine, 0, sizeof(*machine));
	machine->random = seed;
	machine->entries = calloc(MACHINE_MAX_ENTRIES, sizeof(*machine->entries));
	machine->wheel = malloc(WHEEL_STEPS * sizeof(*machine->wheel));
	if (!machine->entries || !machine->wheel) {
		machine_free(machine);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < WHEEL_STEPS; i++)
		machine->wheel[i] = NONE;
	for (uint32_t i = 0; i < MACHINE_MAX_ENTRIES; i++)
		machine->entries[i].next = i + 1 < MACHINE_MAX_ENTRIES ? i + 1 : NONE;
	return 0;
}

void machine_free(struct machine *machine)
{
	free(machine->entries);
	free(machine->wheel);
	machine->entries = NULL;
	machine->wheel = NULL;
}

static void tell(struct machine *machine, const struct machine_entry *entry, enum ct_kind kind)
{
	const struct stage *stage = &lives[entry->kind][entry->stage];
	bool udp = entry->kind == QUERY;
	struct ct_event event = {.key = entry->key,
				 .hash = ct_hash(&entry->key),
				 .id = entry->id,
				 .kind = (uint8_t)kind,
				 .has = CT_HAS_STATUS | CT_HAS_TIMEOUT | CT_HAS_REPLY,
				 .timeout_s = kind == CT_DESTROY ? 0 : stage->timeout_s};

	memcpy(event.reply_src, entry->key.dst, sizeof(event.reply_src));
	memcpy(event.reply_dst, entry->key.src, sizeof(event.reply_dst));
	event.reply_sport = entry->key.dport;
	event.reply_dport = entry->key.sport;
	if (stage->state > 1)
		event.status |= CT_STATUS_SEEN_REPLY;
	if (entry->assured)
		event.status |= CT_STATUS_ASSURED;
	if (!udp) {
		event.has |= CT_HAS_PROTO_STATE;
		event.proto_state = stage->state;
	}
	machine->event(machine->arg, &event);
}

static void wait_for_next(struct machine *machine, uint32_t index)
{
	struct machine_entry *entry = &machine->entries[index];
	uint32_t slot = (uint32_t)(machine->step + lives[entry->kind][entry->stage].steps);

	slot %= WHEEL_STEPS;
	entry->next = machine->wheel[slot];
	machine->wheel[slot] = index;
}

static void give_back(struct machine *machine, uint32_t index)
{
	machine->entries[index].live = false;
	machine->entries[index].next = machine->free;
	machine->free = index;
	machine->count--;
}

static void name_entry(struct machine *machine, struct machine_entry *entry, enum kind kind)
{
	struct ct_key *key = &entry->key;
	uint8_t client[4] = {203, 0, 113, (uint8_t)(1 + draw(machine, 120))};
	uint8_t forged[4] = {(uint8_t)(11 + draw(machine, 90)), (uint8_t)draw(machine, 256),
			     (uint8_t)draw(machine, 256), (uint8_t)(1 + draw(machine, 254))};
	bool out = kind == UPSTREAM || kind == QUERY;

	memset(key, 0, sizeof(*key));
	key->family = AF_INET;
	key->l4num = kind == QUERY ? IPPROTO_UDP : IPPROTO_TCP;
	/* In turn, so that no two entries have one tuple. */
	key->sport = (uint16_t)(32768 + machine->next_id % 28000);
	key->dport = kind == UPSTREAM ? 8080 : kind == QUERY ? 53 : 443;
	memcpy(key->src, out ? machine_address : kind == FLOOD ? forged : client, 4);
	memcpy(key->dst,
	       kind == UPSTREAM ? upstream_address
	       : kind == QUERY	? resolver_address
				: machine_address,
	       4);
}

static void begin(struct machine *machine, uint32_t index, enum kind kind)
{
	struct machine_entry *entry = &machine->entries[index];

	name_entry(machine, entry, kind);
	entry->kind = (uint8_t)kind;
	entry->stage = 0;
	entry->live = true;
	entry->assured = false;
	entry->id = ++machine->next_id;
	tell(machine, entry, CT_NEW);
}

static void add(struct machine *machine, enum kind kind)
{
	uint32_t index = machine->free;
	bool finds = draw(machine, 100) < EVICT_CHANCE;

	if (index != NONE) {
		machine->free = machine->entries[index].next;
		machine->count++;
		begin(machine, index, kind);
		wait_for_next(machine, index);
		return;
	}
	/* In its place comes the new one, which keeps the other's slot of the wheel: that is when
	 * its life goes on. */
	for (unsigned int tries = finds ? 0 : 64; tries < 64; tries++) {
		index = draw(machine, MACHINE_MAX_ENTRIES);
		if (machine->entries[index].assured)
			continue;
		tell(machine, &machine->entries[index], CT_DESTROY);
		machine->evicted++;
		begin(machine, index, kind);
		return;
	}
	machine->dropped++;
}

static void go_on(struct machine *machine, uint32_t index)
{
	struct machine_entry *entry = &machine->entries[index];
	const struct stage *next = &lives[entry->kind][entry->stage + 1];

	if (!next->state) {
		tell(machine, entry, CT_DESTROY);
		give_back(machine, index);
		return;
	}
	entry->stage++;
	entry->assured = next->assured;
	tell(machine, entry, CT_UPDATE);
	wait_for_next(machine, index);
}

void machine_step(struct machine *machine, bool calm)
{
	uint32_t slot = (uint32_t)(++machine->step % WHEEL_STEPS);
	uint32_t index = machine->wheel[slot];
	uint64_t second = (machine->step - machine->origin) / STEPS_PER_S % MACHINE_LOOP_S;
	bool flood = !calm && second >= MACHINE_FLOOD_FROM_S && second < MACHINE_FLOOD_TO_S;

	machine->wheel[slot] = NONE;
	if (machine->step % BUSY_STEPS == 0)
		machine->busy = (int32_t)draw(machine, 21) - 10;
	while (index != NONE) {
		uint32_t next = machine->entries[index].next;

		go_on(machine, index);
		index = next;
	}
	for (unsigned int kind = 0; kind < KINDS; kind++) {
		double per_s = kind == FLOOD ? flood ? FLOOD_PER_S : 0 : calm_per_s[kind];

		machine->owed[kind] += per_s / STEPS_PER_S * (0.7 + draw(machine, 61) / 100.0) *
				       (kind == REQUEST ? 1 + 0.02 * (double)machine->busy : 1);
		for (; machine->owed[kind] >= 1; machine->owed[kind]--) {
			add(machine, (enum kind)kind);
			if (kind == REQUEST)
				add(machine, UPSTREAM);
		}
	}
}
