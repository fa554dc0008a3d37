// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/mirror/age.h"

#include "lib/shm/layout_ages.h"

uint16_t flow_age_pack(uint32_t ticks)
{
	unsigned int shift = 0;

	while (ticks >> shift >= 4096u)
		shift++;
	/* Normalised: the mantissa's leading 1 (bit 11) is implied once shift > 0. */
	if (ticks < 2048u)
		return (uint16_t)ticks;
	return (uint16_t)((shift + 1u) << 11 | ((ticks >> shift) & 2047u));
}

uint32_t flow_age_unpack(uint16_t age)
{
	unsigned int exponent = age >> 11;
	uint32_t mantissa = age & 2047u;

	return exponent == 0 ? mantissa : (mantissa | 2048u) << (exponent - 1u);
}

/* 2^(1/4), 2^(2/4) and 2^(3/4), in 1/1024. */
static const uint32_t quarters[] = {1024, 1218, 1448, 1722};

unsigned int age_bucket(uint32_t seconds)
{
	unsigned int octave, quarter = 3;
	uint64_t scaled = (uint64_t)seconds << 10;

	if (seconds == 0)
		return 0;
	octave = 31u - (unsigned int)__builtin_clz(seconds);
	while (quarter > 0 && scaled < (uint64_t)quarters[quarter] << octave)
		quarter--;
	quarter += octave * 4u + 1u;
	return quarter < SHM_AGE_BUCKETS ? quarter : SHM_AGE_BUCKETS - 1u;
}
