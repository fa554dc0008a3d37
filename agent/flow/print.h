// SPDX-License-Identifier: GPL-2.0-or-later
/* One entry, for people and as JSON. */
#ifndef CONNTIDE_AGENT_FLOW_PRINT_H
#define CONNTIDE_AGENT_FLOW_PRINT_H

#include <stdio.h>

#include "agent/flow/lookup.h"

void flow_print(const struct looked_up *flow, FILE *out);
void flow_print_json(const struct looked_up *flow, FILE *out);

#endif
