// SPDX-License-Identifier: GPL-2.0-or-later
/* One remedy: what advice.h promises, with the commands of remedies.h. Plain data. */
#ifndef CONNTIDE_ADVICE_ADVICE_ITEM_H
#define CONNTIDE_ADVICE_ADVICE_ITEM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "exporters/advice/whatif.h"
#include "exporters/advice/why.h"

#define ADVICE_COMMANDS 48u
/* Longer than this nothing of now lasts, or it does for good. */
#define LASTS_MOST_S 3600.0

/* Which families an item's commands are for: those that hold entries here. */
#define FAMILY_IPV4  1u
#define FAMILY_IPV6  2u
#define FAMILIES_ALL (FAMILY_IPV4 | FAMILY_IPV6)

/* Who understands a command. */
enum tool {
	TOOL_NFT,
	TOOL_IPTABLES,
	TOOL_SYSCTL,
	TOOL_NGINX,
	TOOL_HAPROXY,
	TOOL_SQUID,
	TOOL_SHELL,
	TOOL_UNDO,
	TOOL_UNDO_IPTABLES, /* of what was done with iptables in place of nft */
	TOOL_COUNT
};

struct command_line {
	enum tool tool;
	char text[200];
};

/* RELIEF: helps at once where a table is nearly full, and for a time. */
enum merit {
	MERIT_RELIEF,
	MERIT_LOSS,
	MERIT_CAUSE,
	MERIT_TIMEOUT,
	MERIT_NOTRACK,
	MERIT_SIZE,
	MERIT_NONE
};

struct advice_item {
	char id[48]; /* "keepalive-tcp-8080": stable for the same remedy of the same port */
	char title[96];
	char reason[320];
	enum merit merit;
	const struct pattern_info *pattern; /* NULL: none */
	enum confidence confidence;	    /* of the pattern */
	double saves_entries;		    /* counted, now; NaN: cannot be counted */
	double saves_ratio;
	struct savings counted;
	double settles_fewer_entries;	/* once it is in full force; NaN: the forecast cannot say */
	double settles_at_entries_then; /* NaN: the forecast cannot say */
	double lasts_s; /* of what helps at once: for how long at the present rate; NaN: no such */
	double memory_bytes_delta; /* of kernel memory; with a larger limit: when it is full */
	double weight;		   /* the order */
	struct command_line commands[ADVICE_COMMANDS];
	uint32_t command_count;
	uint32_t families;		  /* FAMILY_* */
	const struct snap_talker *source; /* SOURCE in the commands, of the finding; or NULL */
	uint32_t warnings;		  /* WARN() bits */
	char whatif[192];		  /* "keepalive=tcp/8080", or "" */
};

/* Does it enlarge something? That costs memory, and saves no entry. */
static inline bool item_enlarges(const struct advice_item *item)
{
	return item->merit == MERIT_SIZE || item->merit == MERIT_LOSS ||
	       !strncmp(item->whatif, "max=", 4);
}

#define ADVICE_ITEMS 24u

struct advice {
	const struct why *why;
	struct advice_item items[ADVICE_ITEMS]; /* best first */
	uint32_t count;
};

#endif
