// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/advice/warnings.h"

static const char *const texts[WARN_COUNT] = {
	[WARN_NAT] = "Flows that are translated must be tracked: do not do this for a port behind "
		     "NAT, DNAT or masquerading (Docker, Kubernetes services).",
	[WARN_NAT_LATER] =
		"None of the port's entries is translated now; take this back before NAT, "
		"DNAT or masquerading (Docker, Kubernetes services) is set up for it.",
	[WARN_BOTH_DIRECTIONS] = "Both directions must be left out, requests and replies; with one "
				 "alone the other arrives as INVALID or makes entries of its own.",
	[WARN_STATEFUL_RULES] =
		"Rules that accept ESTABLISHED or NEW no longer match these packets: "
		"accept the port, or state UNTRACKED, first.",
	[WARN_NOT_RETROACTIVE] = "Entries that are there keep their deadline: a shorter timeout "
				 "holds from the next packet of a flow on.",
	[WARN_REBOOT] = "Gone after a reboot unless it is written to a file, as shown.",
	[WARN_BOOT_ORDER] = "At boot sysctl files are read before the module may be loaded: name "
			    "nf_conntrack in /etc/modules-load.d as well.",
	[WARN_KUBE_PROXY] = "On a Kubernetes node kube-proxy writes this sysctl at each start: set "
			    "it in kube-proxy's configuration (conntrack section) instead.",
	[WARN_HASH_SMALL] =
		"With that many buckets chains are too long before the limit is reached "
		"and the kernel refuses entries: raise nf_conntrack_buckets, too.",
	[WARN_INITIAL_NETNS] = "It is one setting for all network namespaces and can be written in "
			       "the initial one only; each namespace may hold that many.",
	[WARN_UNLIMITED] =
		"max=0 means no limit: the table then grows until memory or the chains end "
		"it.",
	[WARN_SHRINK] = "Lowering the limit removes nothing: it refuses newcomers.",
	[WARN_REHASH] =
		"While the table is rehashed all packets that need it wait; do it in a quiet "
		"moment.",
	[WARN_IDLE_CUT] =
		"A flow that pauses for longer than the timeout loses its entry; behind NAT "
		"or stateful rules that breaks it unless keepalives come more often.",
	[WARN_LATE_SEGMENTS] =
		"Segments that come late, after the entry has gone, count as INVALID.",
	[WARN_LATE_ANSWERS] =
		"An answer that is still on its way finds no entry: rules that accept "
		"ESTABLISHED drop it, and NAT does not translate it.",
	[WARN_CUTS_OFF] = "It cuts off all that this source has open, also what is wanted: look "
			  "who it is first.",
	[WARN_AT_MOST] =
		"How long idle entries last is not known: what is shown for them is an upper "
		"bound, reached only after the old timeout has passed.",
	[WARN_UNSEEN_TIMEOUT] =
		"No state of an entry tells that this timeout holds it, so what the "
		"change would do cannot be computed: nothing is counted for it.",
	[WARN_POLICY] =
		"Flows under a timeout policy (nft ct timeout, iptables CT --timeout) do not "
		"follow the sysctl, and the kernel does not tell which those are.",
	[WARN_NOTHING_THERE] =
		"A port that is named holds no entries and gets none: the change does "
		"nothing for it.",
	[WARN_KEEPALIVE_LEG] = "keepalive is for connections this host opens (outbound, loopback): "
			       "the port has none of them.",
	[WARN_TOO_SMALL] = "It settles above that limit: the table would be full.",
	[WARN_GUESS] = "Too few ends were seen yet of what this changes: it is computed from the "
		       "kernel's timeouts, not measured.",
	[WARN_NO_RATES] =
		"Rates are not known yet, for the agent has just started: what is there now "
		"stands for what will be.",
	[WARN_STALE] = "The agent does not run: these are old numbers.",
};

const char *warning_text(enum warning warning)
{
	return texts[warning];
}
