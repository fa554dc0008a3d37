// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Text for a terminal of a certain width: lines that are too long are broken between words and
 * go on indented: as far as the line was, behind its label ("level       OK: ..."), or four
 * columns. A word that is wider than the line stays whole. Pure.
 */
#ifndef CONNTIDE_RENDER_WRAP_H
#define CONNTIDE_RENDER_WRAP_H

#include "exporters/render/text.h"

/* `keep`: lines indented by so many columns or more are commands to copy, and stay whole; 0: no
 * line is. */
void text_wrap(const struct text *from, size_t width, size_t keep, struct text *out);

#endif
