// SPDX-License-Identifier: GPL-2.0-or-later
/* A column of a table, a field of JSON: one description for all formats and openapi.json. */
#ifndef CONNTIDE_RENDER_COLUMN_H
#define CONNTIDE_RENDER_COLUMN_H

#include <stddef.h>

struct column {
	const char *name;
	size_t width;	   /* in a table; the last column needs none */
	const char *title; /* heading in a table */
	const char *type;  /* JSON type, for openapi.json */
	const char *means;
};

#endif
