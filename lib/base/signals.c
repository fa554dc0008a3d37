// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/base/signals.h"

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

void signals_hold(sigset_t *ret_signals)
{
	sigemptyset(ret_signals);
	sigaddset(ret_signals, SIGINT);
	sigaddset(ret_signals, SIGTERM);
	sigaddset(ret_signals, SIGHUP);
	sigprocmask(SIG_BLOCK, ret_signals, NULL);
}

int signals_open(void)
{
	sigset_t signals;
	int fd;

	signals_hold(&signals);
	fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int signals_take(int fd)
{
	struct signalfd_siginfo info;

	return read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info) ? (int)info.ssi_signo : 0;
}
