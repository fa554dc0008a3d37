// SPDX-License-Identifier: GPL-2.0-or-later
/* process_* metrics of the exporter itself; works without /proc, too, in part. */
#ifndef CONNTIDE_HTTP_TOOLKIT_PROCESS_H
#define CONNTIDE_HTTP_TOOLKIT_PROCESS_H

#include "exporters/render/families.h"

#define PROCESS_SAMPLES 7u

void process_families(struct families *families);

#endif
