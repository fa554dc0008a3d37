// SPDX-License-Identifier: GPL-2.0-or-later
/* The only user of zlib. */
#ifndef CONNTIDE_HTTP_TOOLKIT_GZIP_H
#define CONNTIDE_HTTP_TOOLKIT_GZIP_H

#include "exporters/render/text.h"

/* Replaces the text by itself compressed. False, and the text as it was, when it
 * would not get smaller or memory runs out. */
bool gzip_text(struct text *text);

#endif
