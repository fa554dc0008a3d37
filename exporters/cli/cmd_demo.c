// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A table that fills and empties, played by conntide-demo into a directory of its own, with the
 * page and, on a terminal, top. Needs no root and no traffic; leaves nothing behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exporters/cli/cli.h"
#include "exporters/cli/program.h"
#include "exporters/cli/top/top.h"
#include "lib/base/clock.h"
#include "lib/base/options.h"

#define LISTEN	    "127.0.0.1:10371"
#define ARGS_MAX    32
#define START_NS    (20 * NS_PER_S)
#define LOG_SHOWN   2048
#define NOBODY	    65534u
#define INTERVAL_DS 10u

struct demo {
	char directory[64];
	char state_dir[80];
	char log[80]; /* of both programs: top has the terminal */
	const char *listen;
	sigset_t signals;
	pid_t player;
	pid_t exporter; /* 0: could not start; top does without */
};

/* Of root they need nothing. 0 or -1. */
static int become_nobody(void)
{
	if (geteuid() != 0)
		return 0;
	return setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0 ? -1 : 0;
}

static pid_t start(const struct demo *demo, char *const args[])
{
	char path[PATH_MAX];
	pid_t parent = getpid(), pid = fork();
	int log;

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	log = open(demo->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (getppid() != parent || become_nobody() < 0 || log < 0 || dup2(log, STDERR_FILENO) < 0 ||
	    dup2(log, STDOUT_FILENO) < 0)
		_exit(CLI_ERROR);
	sigprocmask(SIG_UNBLOCK, &demo->signals, NULL);
	program_find(args[0], path);
	execvp(path, args);
	program_complain(args[0]);
	_exit(CLI_ERROR);
}

static void stop(pid_t pid)
{
	if (pid > 0 && kill(pid, SIGTERM) == 0)
		waitpid(pid, NULL, 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void show_log(const struct demo *demo)
{
	char text[LOG_SHOWN];
	FILE *file = fopen(demo->log, "re");
	size_t bytes = file ? fread(text, 1, sizeof(text), file) : 0;

	if (file)
		fclose(file);
	fwrite(text, 1, bytes, stderr);
}

static pid_t start_exporter(struct demo *demo, const struct cli *cli)
{
	static char program[] = "conntide-exporter", runtime[] = "--runtime-dir",
		    state[] = "--state-dir", hosts[] = "--web.show-hosts=loopback",
		    listen[] = "--web.listen-address=" LISTEN;
	char *args[ARGS_MAX] = {program, runtime, demo->directory, state, demo->state_dir, hosts};
	int count = 6;

	demo->listen = NULL;
	for (int i = 0; i < cli->argc && count < ARGS_MAX - 2; i++) {
		const char *value;

		if (option_is(cli->argv[i], "web.listen-address", &value))
			demo->listen = value ? value : i + 1 < cli->argc ? cli->argv[i + 1] : NULL;
		if (!strcmp(cli->argv[i], "--at"))
			i++;
		else
			args[count++] = cli->argv[i];
	}
	if (!demo->listen) {
		args[count++] = listen;
		demo->listen = LISTEN;
	}
	return start(demo, args);
}

/* Until there is a table. 0, or the exit status after a message. */
static int wait_for_table(struct demo *demo, const struct cli *cli)
{
	const struct timespec pause = {.tv_nsec = 50 * (long)NS_PER_MS};
	uint64_t end_ns = clock_boot_ns() + START_NS;
	char why[CLI_WHY_BYTES];
	int err;

	do {
		struct snapshot snap;
		int sig = sigtimedwait(&demo->signals, NULL, &pause);

		if (sig == SIGINT || sig == SIGTERM || sig == SIGHUP)
			return CLI_ERROR;
		err = cli_look(cli, &snap, why);
		if (!err)
			snapshot_free(&snap);
		if (waitpid(demo->player, NULL, WNOHANG) == demo->player) {
			demo->player = 0;
			show_log(demo);
			fprintf(stderr, "conntide: conntide-demo ended; see above\n");
			return CLI_ERROR;
		}
	} while (err && clock_boot_ns() < end_ns);
	if (err)
		fprintf(stderr, "conntide: conntide-demo does not start: %s\n", why);
	return err ? CLI_ERROR : CLI_OK;
}

static int show(struct demo *demo, const struct cli *cli)
{
	const struct top_options options = {.runtime_dir = cli->runtime_dir,
					    .netns = CLI_NETNS,
					    .state_dir = demo->state_dir,
					    .interval_ds = INTERVAL_DS};
	int sig;

	if (waitpid(demo->exporter, NULL, WNOHANG) == demo->exporter) {
		demo->exporter = 0;
		show_log(demo);
		fprintf(stderr, "conntide: no page, see above; --web.listen-address :8080 "
				"serves it elsewhere\n");
	} else {
		printf("conntide: the page is at http://%s%s/\n",
		       demo->listen[0] == ':' ? "localhost" : "", demo->listen);
	}
	printf("conntide: other commands see it with --runtime-dir %s\n", demo->directory);
	fflush(stdout);
	if (isatty(STDOUT_FILENO) && isatty(STDIN_FILENO)) {
		sigprocmask(SIG_UNBLOCK, &demo->signals, NULL);
		return top_run(&options) ? CLI_ERROR : CLI_OK;
	}
	do {
		sig = sigwaitinfo(&demo->signals, NULL);
	} while (sig != SIGINT && sig != SIGTERM && sig != SIGHUP);
	return CLI_OK;
}

static void demo_help(void)
{
	printf("usage: conntide demo [--at SECONDS] [OPTIONS OF EXPORTER]\n\n"
	       "Plays a table into a directory of its own: a proxy without upstream keepalive,\n"
	       "and every six minutes a SYN flood that fills it, a minute after the start.\n"
	       "--at: where in these six minutes it begins. On a terminal it shows top; the\n"
	       "page is at http://" LISTEN "/ (--web.listen-address: elsewhere).\n"
	       "Needs no root, makes no traffic, and leaves nothing behind.\n");
}

int cmd_demo(struct cli *cli)
{
	static char program[] = "conntide-demo", runtime[] = "--runtime-dir";
	struct demo demo = {.directory = "/dev/shm/conntide-demo-XXXXXX"};
	static char at[] = "--at";
	char *args[] = {program, runtime, demo.directory, NULL, NULL, NULL};
	int status;

	for (int i = 0; i < cli->argc; i++)
		if (!strcmp(cli->argv[i], "--help") || !strcmp(cli->argv[i], "-h")) {
			demo_help();
			return CLI_OK;
		}
	if (!mkdtemp(demo.directory)) {
		strcpy(demo.directory, "/tmp/conntide-demo-XXXXXX");
		if (!mkdtemp(demo.directory)) {
			fprintf(stderr, "conntide: %s: %s\n", demo.directory, strerror(errno));
			return CLI_ERROR;
		}
	}
	snprintf(demo.state_dir, sizeof(demo.state_dir), "%s/state", demo.directory);
	snprintf(demo.log, sizeof(demo.log), "%s/log", demo.directory);
	if (geteuid() == 0 && chown(demo.directory, NOBODY, NOBODY) < 0)
		fprintf(stderr, "conntide: %s: %s\n", demo.directory, strerror(errno));
	sigemptyset(&demo.signals);
	sigaddset(&demo.signals, SIGINT);
	sigaddset(&demo.signals, SIGTERM);
	sigaddset(&demo.signals, SIGHUP);
	sigaddset(&demo.signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &demo.signals, NULL);
	for (int i = 0; i + 1 < cli->argc; i++) {
		if (strcmp(cli->argv[i], "--at") != 0)
			continue;
		args[3] = at;
		args[4] = cli->argv[i + 1];
	}
	cli->runtime_dir = demo.directory;
	cli->netns = CLI_NETNS;
	demo.player = start(&demo, args);
	demo.exporter = start_exporter(&demo, cli);
	status = wait_for_table(&demo, cli);
	if (!status)
		status = show(&demo, cli);
	stop(demo.exporter);
	stop(demo.player);
	nftw(demo.directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return status;
}
