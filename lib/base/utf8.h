// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
 * Pure; reads nothing past the NUL that ends the text.
 */
#ifndef CONNTIDE_BASE_UTF8_H
#define CONNTIDE_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the sequence at `text`, 1 to 4; 0: invalid, or the NUL. */
size_t utf8_bytes(const char *text);

bool utf8_valid(const char *text);

#endif
