// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/base/num.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int num_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static int take(const char **text, unsigned int base, uint64_t max, uint64_t *ret_value)
{
	const char *at = *text;
	bool fits = true;
	uint64_t value = 0;

	for (; at; at++) {
		int digit = num_hex_digit(*at);

		if (digit < 0 || (unsigned int)digit >= base)
			break;
		/* Skips all digits: "too large" is another error than "not a number". */
		if ((unsigned int)digit > max || value > (max - (unsigned int)digit) / base)
			fits = false;
		else
			value = value * base + (unsigned int)digit;
	}
	if (!at || at == *text)
		return -EINVAL;
	if (!fits)
		return -ERANGE;
	*text = at;
	*ret_value = value;
	return 0;
}

int num_take_u64(const char **text, uint64_t max, uint64_t *ret_value)
{
	return take(text, 10, max, ret_value);
}

int num_take_hex(const char **text, uint64_t max, uint64_t *ret_value)
{
	return take(text, 16, max, ret_value);
}

int num_take_range(const char **text, char between, uint64_t max, uint64_t *ret_first,
		   uint64_t *ret_last)
{
	const char *at = *text;
	uint64_t first, last;
	int err = num_take_u64(&at, max, &first);

	if (!err && *at++ != between)
		err = -EINVAL;
	if (err)
		return err;
	err = num_take_u64(&at, max, &last);
	if (!err && first > last)
		err = -ERANGE;
	if (err)
		return err;
	*text = at;
	*ret_first = first;
	*ret_last = last;
	return 0;
}

int num_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	uint64_t value;
	int err;

	/* Only digits: otherwise it is not a number, however large its beginning. */
	if (!text || !*text || text[strspn(text, "0123456789")])
		return -EINVAL;
	err = num_take_u64(&text, max, &value);
	if (!err && value < min)
		err = -ERANGE;
	if (!err)
		*ret_value = value;
	return err;
}

int num_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret_value)
{
	uint64_t value;
	int err = num_u64(text, min, max, &value);

	if (!err)
		*ret_value = (uint32_t)value;
	return err;
}

/* Bytes of "17" or "2.5" at text; 0: none is there. */
static size_t decimal_bytes(const char *text)
{
	size_t whole = strspn(text, "0123456789"), fraction;

	if (!whole || text[whole] != '.')
		return whole;
	fraction = strspn(text + whole + 1, "0123456789");
	return fraction ? whole + 1 + fraction : 0;
}

int num_double(const char *text, double min, double max, double *ret_value)
{
	size_t bytes = text ? decimal_bytes(text) : 0;
	double value;

	if (!bytes || text[bytes])
		return -EINVAL;
	value = strtod(text, NULL);
	if (!(value >= min && value <= max))
		return -ERANGE;
	*ret_value = value;
	return 0;
}

static const struct unit {
	const char *name;
	uint64_t ns;
} units[] = {
	{"d", UINT64_C(86400000000000)},
	{"h", UINT64_C(3600000000000)},
	{"m", UINT64_C(60000000000)},
	{"s", UINT64_C(1000000000)},
	{"ms", UINT64_C(1000000)},
	{"us", UINT64_C(1000)},
	{"ns", UINT64_C(1)},
};

#define UNITS (sizeof(units) / sizeof(units[0]))

/* The unit at text, none before units[from]; UNITS: none. */
static size_t unit_at(const char *text, size_t from)
{
	size_t bytes = strspn(text, "abcdefghijklmnopqrstuvwxyz");

	while (from < UNITS &&
	       (strlen(units[from].name) != bytes || memcmp(units[from].name, text, bytes) != 0))
		from++;
	return from;
}

/* "1.5h" at *text, added to *sum. */
static int take_part(const char **text, size_t *from, uint64_t *sum)
{
	size_t bytes = decimal_bytes(*text);
	const char *at = *text;
	uint64_t whole, part, weight;

	*from = unit_at(at + bytes, *from);
	if (!bytes || *from == UNITS)
		return -EINVAL;
	weight = units[*from].ns;
	if (num_take_u64(&at, UINT64_MAX / weight, &whole) < 0)
		return -ERANGE;
	part = whole * weight;
	if (*at == '.')
		for (at++; *at >= '0' && *at <= '9'; at++) {
			part += weight / 10 * (uint64_t)(*at - '0');
			weight /= 10;
		}
	if (part < whole * units[*from].ns || *sum + part < *sum)
		return -ERANGE;
	*sum += part;
	*text = at + strlen(units[*from].name);
	++*from;
	return 0;
}

int num_duration_ns(const char *text, uint64_t min_ns, uint64_t max_ns, uint64_t *ret_ns)
{
	uint64_t sum = 0;
	size_t from = 0;
	int err = text && *text ? 0 : -EINVAL;

	if (!err && !strcmp(text, "0"))
		text++;
	while (!err && *text)
		err = take_part(&text, &from, &sum);
	if (!err && (sum < min_ns || sum > max_ns))
		err = -ERANGE;
	if (!err)
		*ret_ns = sum;
	return err;
}
