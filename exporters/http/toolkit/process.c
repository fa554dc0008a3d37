// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/toolkit/process.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/clock.h"

struct self {
	unsigned long long start_ticks;
	unsigned long vsize_bytes;
	long rss_pages;
};

static bool read_self(struct self *self)
{
	char text[1024];
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	const char *at;

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* The name stands in parentheses and may hold anything, also parentheses. */
	at = strrchr(text, ')');
	return at && sscanf(at + 1,
			    " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
			    "%*d %*d %*d %llu %lu %ld",
			    &self->start_ticks, &self->vsize_bytes, &self->rss_pages) == 3;
}

/*
 * Counted by poll(2), which marks closed ones: a process that gave up root may
 * not list its own /proc/self/fd.
 */
static unsigned int count_fds(rlim_t limit)
{
	enum { BATCH = 1024 };
	struct pollfd pfds[BATCH];
	unsigned int open_fds = 0;
	unsigned int empty_batches = 0;

	/* Descriptors are given out from the bottom: two empty batches are the end. */
	for (rlim_t first = 0; first < limit && empty_batches < 2; first += BATCH) {
		nfds_t n = limit - first < BATCH ? (nfds_t)(limit - first) : BATCH;
		unsigned int before = open_fds;

		for (nfds_t i = 0; i < n; i++)
			pfds[i] = (struct pollfd){.fd = (int)(first + i)};
		if (poll(pfds, n, 0) < 0)
			break;
		for (nfds_t i = 0; i < n; i++)
			open_fds += !(pfds[i].revents & POLLNVAL);
		empty_batches = open_fds == before ? empty_batches + 1 : 0;
	}
	return open_fds;
}

void process_families(struct families *families)
{
	struct rlimit files = {0, 0}, space = {0, 0};
	static double start_s; /* found once: the two clocks are never read at one moment */
	struct self self;

	getrlimit(RLIMIT_NOFILE, &files);
	getrlimit(RLIMIT_AS, &space);
	families_add_double(families, FAMILY_PROCESS_CPU, "", (double)clock_cpu_ns() / 1e9);
	families_add_u64(families, FAMILY_PROCESS_OPEN_FDS, "", count_fds(files.rlim_cur));
	families_add_u64(families, FAMILY_PROCESS_MAX_FDS, "", files.rlim_cur);
	families_add_double(families, FAMILY_PROCESS_VSIZE_MAX, "",
			    space.rlim_cur == RLIM_INFINITY ? -1 : (double)space.rlim_cur);
	if (!read_self(&self))
		return;
	if (start_s <= 0)
		start_s = (double)clock_real_ns() / 1e9 - (double)clock_boot_ns() / 1e9 +
			  (double)self.start_ticks / (double)sysconf(_SC_CLK_TCK);
	families_add_u64(families, FAMILY_PROCESS_VSIZE, "", self.vsize_bytes);
	families_add_u64(families, FAMILY_PROCESS_RSS, "",
			 (uint64_t)self.rss_pages * (uint64_t)sysconf(_SC_PAGESIZE));
	families_add_double(families, FAMILY_PROCESS_START, "", start_s);
}
