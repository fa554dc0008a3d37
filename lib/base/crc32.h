// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * CRC-32 as in IEEE 802.3 (reflected, polynomial 0xedb88320): detects a truncated or damaged
 * file, not a forged one. Pure.
 *
 * crc32_bytes(0, data, bytes) is the sum of one piece; given the sum of what came
 * before, that of both together.
 */
#ifndef CONNTIDE_BASE_CRC32_H
#define CONNTIDE_BASE_CRC32_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32_bytes(uint32_t before, const void *data, size_t bytes);

#endif
