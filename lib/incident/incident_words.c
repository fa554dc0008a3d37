// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/incident/incident.h"

static const struct {
	const char *name;
	const char *help;
} stages[INCIDENT_STAGES] = {
	[INCIDENT_HIGH] = {"high", "passed 80 % of the limit, or a NAT pool 85 % of its ports"},
	[INCIDENT_CRITICAL] = {"critical",
			       "passed 95 % of the limit, or a NAT pool 94 % of its ports"},
	[INCIDENT_DROPS] = {"drops",
			    "packets or entries were dropped, or connections found no port"},
	[INCIDENT_RECOVERED] =
		{"recovered",
		 "fell below 75 % (a NAT pool below 83 %) and nothing was lost for 30 s"},
};

const char *incident_stage_name(unsigned int stage)
{
	return stage < INCIDENT_STAGES ? stages[stage].name : NULL;
}

const char *incident_stage_help(unsigned int stage)
{
	return stage < INCIDENT_STAGES ? stages[stage].help : NULL;
}

int incident_stage_by_name(const char *name)
{
	for (unsigned int i = 0; i < INCIDENT_STAGES; i++)
		if (!strcmp(name, stages[i].name))
			return (int)i;
	return -1;
}

int incident_worst(const uint64_t stage_real_ns[INCIDENT_STAGES])
{
	for (int stage = INCIDENT_DROPS; stage >= 0; stage--)
		if (stage_real_ns[stage])
			return stage;
	return -1;
}

/* D a digit, X a small hexadecimal one, anything else itself. */
#define ID_FORM "DDDDDDDDTDDDDDDZ-XXXXXXXX"

void incident_id_make(uint64_t began_real_ns, uint32_t random, char out[INCIDENT_ID_BYTES])
{
	time_t seconds = (time_t)(began_real_ns / 1000000000u);
	struct tm tm;
	size_t n = 0;

	/* After the year 9999 the format has no room, and no time is shown. */
	if (seconds < INT64_C(253402300800) && gmtime_r(&seconds, &tm))
		n = strftime(out, INCIDENT_ID_BYTES, "%Y%m%dT%H%M%SZ", &tm);
	if (n != strlen("DDDDDDDDTDDDDDDZ"))
		strcpy(out, "00000000T000000Z");
	snprintf(out + strlen(out), INCIDENT_ID_BYTES - strlen(out), "-%08x", random);
}

bool incident_id_good(const char *id)
{
	const char *form = ID_FORM;

	for (; *form; form++, id++) {
		bool fits = *form == 'D' ? *id >= '0' && *id <= '9'
			    : *form == 'X'
				    ? (*id >= '0' && *id <= '9') || (*id >= 'a' && *id <= 'f')
				    : *id == *form;

		if (!fits)
			return false;
	}
	return *id == '\0';
}

void incident_file_name(const char *id, enum incident_stage stage, char out[INCIDENT_NAME_BYTES])
{
	snprintf(out, INCIDENT_NAME_BYTES, "%.*s.%s" INCIDENT_SUFFIX, (int)strlen(ID_FORM), id,
		 stages[stage].name);
}

bool incident_name_parse(const char *name, char ret_id[INCIDENT_ID_BYTES], unsigned int *ret_stage)
{
	size_t id_bytes = strlen(ID_FORM), bytes = strlen(name);
	char again[INCIDENT_NAME_BYTES];

	if (bytes <= id_bytes || bytes >= INCIDENT_NAME_BYTES)
		return false;
	memcpy(ret_id, name, id_bytes);
	ret_id[id_bytes] = '\0';
	for (unsigned int i = 0; i < INCIDENT_STAGES && incident_id_good(ret_id); i++) {
		incident_file_name(ret_id, (enum incident_stage)i, again);
		if (!strcmp(name, again)) {
			*ret_stage = i;
			return true;
		}
	}
	return false;
}

const char *incident_explain(int error)
{
	switch (error) {
	case -EMSGSIZE:
		return "the file is cut short or too long";
	case -EBADMSG:
		return "this is not an incident";
	case -EPROTO:
		return "written by an agent of another version: only the summary can be shown";
	case -EILSEQ:
		return "the file is damaged: its checksum is wrong";
	case -EINVAL:
		return "the file holds what cannot be";
	case -ELOOP:
		return "this is a symbolic link, which is refused";
	default:
		return strerror(-error);
	}
}
