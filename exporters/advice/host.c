// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/host.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "exporters/advice/model.h"
#include "lib/base/num.h"

/* The agent's own, without entries: programs, forecast, segment, and a queue of events. */
#define AGENT_BYTES	  ((int64_t)24 << 20)
#define AGENT_ENTRY_BYTES 40.0
#define QUEUE_BYTES	  ((int64_t)64 << 20)
/* Kubernetes' defaults, as kube-proxy documents them. */
#define KUBE_PER_CORE	   32768
#define KUBE_MIN	   131072
#define KUBE_ESTABLISHED_S 86400
#define KUBE_CLOSE_WAIT_S  3600
/* Insertions begin to fail at a mean chain of 50, two chains an entry. */
#define CHAIN_ENTRIES 25
#define GOOD_LOAD     4

#define VERSION(a, b, c) ((a)*1000000u + (b)*1000u + (c))

void host_facts_init(struct host_facts *facts)
{
	memset(facts, 0, sizeof(*facts));
	facts->events = facts->count = facts->max = facts->buckets = -1;
	facts->established_s = facts->close_wait_s = facts->available_bytes = -1;
	facts->kube_proxy = (struct host_kube_proxy){false, -1, -1, -1, -1};
}

__attribute__((format(printf, 3, 4))) static void say(struct host_item *item, enum host_word word,
						      const char *format, ...)
{
	va_list args;

	item->word = word;
	va_start(args, format);
	vsnprintf(item->text, sizeof(item->text), format, args);
	va_end(args);
}

/* --- kernel ---------------------------------------------------------------------------- */

static bool take_dotted(const char *text, uint32_t *ret_release, unsigned int *ret_parts)
{
	uint64_t part;
	uint32_t release = 0;

	*ret_parts = 0;
	for (uint32_t unit = 1000000; unit; unit /= 1000) {
		if (num_take_u64(&text, 999, &part) < 0)
			break;
		release += (uint32_t)part * unit;
		++*ret_parts;
		if (*text != '.')
			break;
		text++;
	}
	*ret_release = release;
	return *ret_parts >= 2;
}

uint32_t host_kernel_release(const char *release, const char *version, bool *ret_exact)
{
	const char *debian = strstr(version, "Debian ");
	unsigned int parts;
	uint32_t found;

	*ret_exact =
		debian && take_dotted(debian + strlen("Debian "), &found, &parts) && parts == 3;
	if (*ret_exact)
		return found;
	if (!take_dotted(release, &found, &parts))
		return 0;
	/* "6.1.140", "6.18.5+": what nobody renamed. Others count patches in a way of their own. */
	*ret_exact = parts == 3 && !strchr(release, '-');
	return found;
}

/* What a kernel does that an operator has to know; the first of them that fits is said. */
static const struct {
	uint32_t from;
	uint32_t before; /* in this series the fault is gone */
	enum host_word word;
	const char *text;
} known[] = {
	{0, VERSION(5, 3, 0), HOST_WARNING,
	 "ids of entries repeat: what is told apart by them may be wrong; 5.3 or later"},
	{VERSION(5, 15, 0), VERSION(6, 1, 20), HOST_WARNING,
	 "refuses entries at chains of 8 to 31, far below the limit; 6.1.20 or later"},
	{VERSION(6, 1, 0), VERSION(6, 1, 153), HOST_WARNING,
	 "a dump may leave an entry that is never freed; 6.1.153 or later"},
	{VERSION(6, 12, 0), VERSION(6, 12, 43), HOST_WARNING,
	 "a dump may leave an entry that is never freed; 6.12.43 or later"},
	{0, VERSION(5, 19, 0), HOST_NOTE,
	 "entries older than the agent speak, too: events are always on"},
	{VERSION(5, 19, 0), VERSION(6, 5, 0), HOST_NOTE,
	 "NAT does not take back ports in TIME_WAIT: pools run out early (6.5 does)"},
};

static void judge_kernel(const struct host_facts *facts, struct host_item *item)
{
	bool exact;
	uint32_t release = host_kernel_release(facts->release, facts->version, &exact);

	if (!release) {
		say(item, HOST_NOTE, "%.40s: of this release nothing is known", facts->release);
		return;
	}
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		/* Faults are mended in stable releases, which this name does not tell. */
		bool hidden = !exact && known[i].before % 1000;

		if (release < known[i].from || release >= known[i].before)
			continue;
		say(item, hidden ? HOST_NOTE : known[i].word, "%.40s: %s%s", facts->release,
		    hidden ? "unless its maker mended it: " : "", known[i].text);
		return;
	}
	say(item, HOST_OK, "%.40s: all that conntide asks of it", facts->release);
}

/* --- what must be there ---------------------------------------------------------------- */

static void judge_module(const struct host_facts *facts, struct host_item *item)
{
	if (facts->agent_up || facts->ctnetlink)
		say(item, HOST_OK, "nf_conntrack and nf_conntrack_netlink are loaded%s",
		    facts->count == 0 ? "; 0 entries: does a rule use ct or NAT?" : "");
	else if (facts->conntrack)
		say(item, HOST_OK,
		    "nf_conntrack is loaded; nf_conntrack_netlink is loaded when the "
		    "agent starts, or built in");
	else
		say(item, HOST_NOTE,
		    "nf_conntrack is not loaded: nothing is tracked until a rule asks for it; the "
		    "agent loads it");
}

static void judge_rights(const struct host_facts *facts, struct host_item *item)
{
	if (facts->agent_up)
		say(item, HOST_OK, "the agent runs; this command and the exporter need none");
	else if (facts->net_admin)
		say(item, HOST_OK, "CAP_NET_ADMIN, for the agent; the exporter needs none");
	else if (facts->may_have)
		say(item, HOST_NOTE,
		    "none here: start the agent as root or by systemd, which give CAP_NET_ADMIN");
	else {
		say(item, HOST_CRITICAL,
		    "no CAP_NET_ADMIN, nor any way to it: the container must be given it");
		snprintf(item->change, sizeof(item->change),
			 "podman run --cap-drop all --cap-add net_admin --network host ...");
	}
}

static void judge_events(const struct host_facts *facts, struct host_item *item)
{
	if (facts->events == 0) {
		say(item, HOST_CRITICAL,
		    "nf_conntrack_events is 0: the kernel tells nobody, and only dumps are left");
		snprintf(item->change, sizeof(item->change),
			 "sysctl -w net.netfilter.nf_conntrack_events=2");
	} else if (facts->events == 1) {
		say(item, HOST_OK, "nf_conntrack_events is 1: always on");
	} else if (facts->events == 2) {
		say(item, HOST_OK,
		    "nf_conntrack_events is 2: on while the agent listens; older entries are "
		    "silent");
	} else {
		say(item, HOST_NOTE, "nf_conntrack_events cannot be read%s",
		    facts->conntrack ? "" : " before nf_conntrack is loaded");
	}
}

static uint64_t next_power_of_two(uint64_t value)
{
	uint64_t power = 1024;

	while (power < value && power < UINT64_C(1) << 32)
		power *= 2;
	return power;
}

static void judge_hash(const struct host_facts *facts, struct host_item *item)
{
	int64_t max = facts->max, buckets = facts->buckets;

	if (buckets <= 0 || max < 0) {
		say(item, HOST_NOTE, "sizes cannot be read%s",
		    facts->conntrack ? "" : " before nf_conntrack is loaded");
		return;
	}
	if (max == 0) {
		say(item, HOST_NOTE, "no limit: chains refuse entries from about %" PRId64 " on",
		    CHAIN_ENTRIES * buckets);
		return;
	}
	if (max <= GOOD_LOAD * buckets) {
		say(item, HOST_OK, "%" PRId64 " entries at most, %" PRId64 " buckets", max,
		    buckets);
		return;
	}
	say(item, max > CHAIN_ENTRIES * buckets ? HOST_CRITICAL : HOST_WARNING,
	    "%" PRId64 " entries at most, only %" PRId64 " buckets: %s", max, buckets,
	    max > CHAIN_ENTRIES * buckets ? "chains refuse entries before the limit"
					  : "long chains cost time");
	if (facts->place != HOST_PLACE_OTHER)
		snprintf(item->change, sizeof(item->change),
			 "sysctl -w net.netfilter.nf_conntrack_buckets=%" PRIu64,
			 next_power_of_two((uint64_t)max / GOOD_LOAD));
}

static void judge_netns(const struct host_facts *facts, struct host_item *item)
{
	switch (facts->place) {
	case HOST_PLACE_INIT:
		say(item, HOST_OK, "the host's own");
		return;
	case HOST_PLACE_OTHER:
		say(item, HOST_WARNING,
		    "NOT the host's: this is the table of a container or namespace, and the "
		    "limit is set on the host");
		snprintf(item->change, sizeof(item->change),
			 "podman run --network host ...  (Kubernetes: hostNetwork: true)");
		return;
	default:
		say(item, HOST_NOTE, "cannot tell whether it is the host's");
	}
}

/* --- others ---------------------------------------------------------------------------- */

static void judge_listeners(const struct host_facts *facts, struct host_item *item)
{
	char names[160] = "";
	int64_t drops = 0;
	size_t at = 0;

	if (!facts->listener_count) {
		say(item, HOST_OK, "no other program receives conntrack events here");
		return;
	}
	for (uint32_t i = 0; i < facts->listener_count && i < HOST_LISTENERS_MAX; i++) {
		const struct host_listener *one = &facts->listeners[i];

		drops += one->drops;
		if (at < sizeof(names))
			at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%s (%d)",
					       i ? ", " : "", *one->name ? one->name : "unseen",
					       (int)one->pid);
	}
	say(item, drops ? HOST_WARNING : HOST_NOTE,
	    "%.60s%s receive%s events, too: each costs every new connection%s", names,
	    at > 60 ? "..." : "", facts->listener_count == 1 ? "s" : "",
	    drops ? ", and some overran" : "");
}

static void judge_kube_proxy(const struct host_facts *facts, struct host_item *item)
{
	const struct host_kube_proxy *kube = &facts->kube_proxy;
	int64_t per_core = kube->max_per_core >= 0 ? kube->max_per_core : KUBE_PER_CORE;
	int64_t min = kube->min >= 0 ? kube->min : KUBE_MIN;
	int64_t sets = per_core * facts->cores > min ? per_core * facts->cores : min;

	if (!kube->runs) {
		bool like = facts->established_s == KUBE_ESTABLISHED_S &&
			    facts->close_wait_s == KUBE_CLOSE_WAIT_S;

		if (like)
			say(item, HOST_NOTE,
			    "not seen, but the timeouts are its: it may set nf_conntrack_max, too");
		return;
	}
	if (per_core == 0) {
		say(item, HOST_OK, "leaves nf_conntrack_max alone");
		return;
	}
	say(item, facts->max > 0 && facts->max != sets ? HOST_WARNING : HOST_NOTE,
	    "sets nf_conntrack_max to %" PRId64 " when it starts%s", sets,
	    facts->max > 0 && facts->max != sets ? ": what is set now is undone then"
						 : "; change its configuration, not the sysctl");
	snprintf(item->change, sizeof(item->change),
		 "kube-proxy: conntrack.maxPerCore: 0  (then sysctl.d holds)");
}

/* --- cost ------------------------------------------------------------------------------ */

static int64_t host_bytes(const struct host_facts *facts, int64_t entries)
{
	double kernel = (double)entries * ENTRY_BYTES;

	if (facts->buckets > 0)
		kernel += (double)facts->buckets * BUCKET_BYTES;
	return (int64_t)kernel;
}

static int64_t agent_bytes(int64_t entries)
{
	return AGENT_BYTES + (int64_t)((double)entries * AGENT_ENTRY_BYTES);
}

static long long mib(int64_t bytes)
{
	return (long long)((bytes + (1 << 19)) >> 20);
}

static void judge_memory(const struct host_facts *facts, struct host_item *item)
{
	int64_t now = facts->count > 0 ? facts->count : 0, full = facts->max;
	int64_t more;

	if (full <= 0) {
		say(item, HOST_OK,
		    "about %lld MiB now by the agent, %lld by the kernel; no limit is known",
		    mib(agent_bytes(now)), mib(host_bytes(facts, now)));
		return;
	}
	more = agent_bytes(full) + host_bytes(facts, full) - host_bytes(facts, now) + QUEUE_BYTES;
	say(item,
	    facts->available_bytes >= 0 && more > facts->available_bytes ? HOST_WARNING : HOST_OK,
	    "MiB: agent %lld now, %lld full; kernel %lld now, %lld full; queue up to %lld%s",
	    mib(agent_bytes(now)), mib(agent_bytes(full)), mib(host_bytes(facts, now)),
	    mib(host_bytes(facts, full)), mib(QUEUE_BYTES),
	    facts->available_bytes >= 0 && more > facts->available_bytes
		    ? ": MORE than is available"
		    : "");
}

void host_judge(const struct host_facts *facts, struct host_report *report)
{
	static void (*const judges[])(const struct host_facts *, struct host_item *) = {
		[HOST_ITEM_KERNEL] = judge_kernel,	 [HOST_ITEM_MODULE] = judge_module,
		[HOST_ITEM_RIGHTS] = judge_rights,	 [HOST_ITEM_EVENTS] = judge_events,
		[HOST_ITEM_HASH] = judge_hash,		 [HOST_ITEM_NETNS] = judge_netns,
		[HOST_ITEM_LISTENERS] = judge_listeners, [HOST_ITEM_KUBE_PROXY] = judge_kube_proxy,
		[HOST_ITEM_MEMORY] = judge_memory,
	};

	memset(report, 0, sizeof(*report));
	for (size_t i = 0; i < HOST_ITEM_COUNT; i++) {
		judges[i](facts, &report->items[i]);
		if (report->items[i].word > report->word)
			report->word = report->items[i].word;
	}
}

int host_exit_status(const struct host_report *report)
{
	return report->word == HOST_CRITICAL ? 2 : report->word == HOST_WARNING ? 1 : 0;
}
