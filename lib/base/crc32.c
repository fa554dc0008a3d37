// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/base/crc32.h"

/* One entry for each value of four bits: a megabyte takes some milliseconds. */
static const uint32_t nibbles[16] = {
	0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
	0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
	0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

uint32_t crc32_bytes(uint32_t before, const void *data, size_t bytes)
{
	const uint8_t *at = data;
	uint32_t crc = ~before;

	for (; bytes > 0; bytes--, at++) {
		crc ^= *at;
		crc = crc >> 4 ^ nibbles[crc & 15u];
		crc = crc >> 4 ^ nibbles[crc & 15u];
	}
	return ~crc;
}
