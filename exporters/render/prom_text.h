// SPDX-License-Identifier: GPL-2.0-or-later
/* Metric families in the two text formats of Prometheus. Pure. */
#ifndef CONNTIDE_RENDER_PROM_TEXT_H
#define CONNTIDE_RENDER_PROM_TEXT_H

#include "exporters/render/families.h"
#include "exporters/render/text.h"

enum prom_format { PROM_TEXT_004, PROM_OPENMETRICS_1 };

/* `families` sorted. OpenMetrics: family names without _total, UNIT, # EOF. */
void prom_text(const struct families *families, enum prom_format format, struct text *out);

#endif
