// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The forecast as a document (JSON) or as text for people, and past forecasts as rows. Pure.
 *
 * Unknown values are null, and unknown lists empty: while the agent has not watched long enough,
 * while it does not see all changes, and for events beyond the hour. The numbers of a silent
 * agent are its last ones: the caller must say so.
 */
#ifndef CONNTIDE_RENDER_FORECAST_H
#define CONNTIDE_RENDER_FORECAST_H

#include "exporters/render/rows.h"
#include "exporters/render/services.h"
#include "exporters/render/text.h"
#include "lib/shm/snapshot.h"

/* Fields of the document, for openapi.json; and of a past forecast at one horizon. */
extern const struct column forecast_columns[];
extern const size_t forecast_column_count;
extern const struct column_part forecast_parts[];
extern const struct column pasts_columns[];
extern const size_t pasts_column_count;

/* ROWS_JSON: one object. ROWS_TEXT: the verdict first, then why. */
void render_forecast_json(const struct snapshot *snap, struct text *out);
void render_forecast_text(const struct snapshot *snap, const struct services *services,
			  struct text *out);

/* A row for each past forecast and horizon, oldest first; horizon_s 0: all of them;
 * the last `limit` rows (0: all). */
void render_pasts(const struct snap_pasts *pasts, uint32_t horizon_s, size_t limit,
		  enum rows_format format, struct text *out);

#endif
