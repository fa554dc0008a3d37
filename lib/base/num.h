// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Numbers and durations from text, each way of writing them parsed once.
 *
 * Strict: anything unusual is refused. No blanks, no sign, no
 * hexadecimal or octal prefix, no exponent, no NaN or infinity, nothing after the number.
 * Decimal point '.', whatever the locale (the programs never call setlocale(3)).
 *
 * All return 0, -EINVAL when it is not a number, -ERANGE when it is outside min..max (both
 * inclusive); *ret is written on success only. `text` may be NULL: -EINVAL.
 *
 * clamp_*: the nearest value that fits, where refusing is no longer possible.
 */
#ifndef CONNTIDE_BASE_NUM_H
#define CONNTIDE_BASE_NUM_H

#include <stdint.h>

int num_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value);
int num_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret_value);

/* Digits, and a fraction if there is one: 0, 17, 2.5; not ".5", "5.", "1e3". */
int num_double(const char *text, double min, double max, double *ret_value);

/*
 * 1m30s, 500ms, 1.5h, 1d: numbers with the units d, h, m, s, ms, us, ns, from the larger to
 * the smaller, each once; 0 needs no unit. Exact to the nanosecond; finer fractions are cut.
 */
int num_duration_ns(const char *text, uint64_t min_ns, uint64_t max_ns, uint64_t *ret_ns);

/*
 * The digits at *text, which is moved past them: for numbers inside a longer text. At most `max`;
 * errors as above, and then *text stays. num_take_hex() takes 0-9, a-f and A-F.
 */
int num_take_u64(const char **text, uint64_t max, uint64_t *ret_value);
int num_take_hex(const char **text, uint64_t max, uint64_t *ret_value);

/*
 * Two such numbers with one `between` them: 1024-65535. -ERANGE, too, when the second is smaller
 * than the first. On errors nothing is written and *text stays; what follows is not looked at.
 */
int num_take_range(const char **text, char between, uint64_t max, uint64_t *ret_first,
		   uint64_t *ret_last);

/* 0 to 15, or -1. */
int num_hex_digit(char c);

static inline uint32_t clamp_u32(int64_t value)
{
	if (value < 0)
		return 0;
	return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static inline uint32_t clamp_u64_to_u32(uint64_t value)
{
	return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* a - b without wrapping. */
static inline uint64_t clamp_sub_u64(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

#endif
