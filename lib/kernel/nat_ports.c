// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/kernel/nat_ports.h"

#include <math.h>
#include <stdio.h>

/* As tried one after the other, and in all. */
#define TRIES_ALL_PORTS 128u
#define TRIES		248.0
#define SIZE_CLUSTERED	4096u

struct nat_port_range nat_port_range(enum nat_port_class class)
{
	static const struct nat_port_range ranges[NAT_PORTS_CLASSES] = {
		[NAT_PORTS_LOW] = {1, 511},
		[NAT_PORTS_PRIVILEGED] = {600, 1023},
		[NAT_PORTS_USER] = {1024, 65535},
		[NAT_PORTS_ID] = {0, 65535},
	};

	return (unsigned int)class < NAT_PORTS_CLASSES ? ranges[class] : ranges[NAT_PORTS_GIVEN];
}

bool nat_reclaims_closing(const char *release)
{
	unsigned int major, minor;

	if (sscanf(release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > 6 || (major == 6 && minor >= 5);
}

/* --- how many fail ----------------------------------------------------------------- */

static const struct {
	double fill;
	double failing;
} measured[] = {
	{0.0, 0.0},    {0.70, 0.0005}, {0.90, 0.005}, {0.94, 0.04}, {0.96, 0.10},
	{0.976, 0.18}, {0.982, 0.37},  {0.993, 0.55}, {1.0, 1.0},
};

#define MEASURED (sizeof(measured) / sizeof(measured[0]))

static double interpolate(double fill)
{
	unsigned int i = 1;

	while (i < MEASURED - 1u && measured[i].fill < fill)
		i++;
	return measured[i - 1u].failing + (measured[i].failing - measured[i - 1u].failing) *
						  (fill - measured[i - 1u].fill) /
						  (measured[i].fill - measured[i - 1u].fill);
}

double nat_failing_share(uint32_t held, uint32_t size)
{
	double fill = size ? (double)held / size : 1.0;

	if (fill >= 1.0)
		return 1.0;
	if (size <= TRIES_ALL_PORTS)
		return 0.0;
	return size <= SIZE_CLUSTERED ? pow(fill, TRIES) : interpolate(fill);
}
