// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Agent and exporter in the foreground: for newcomers and containers. Options
 * that begin with --web. or --compat. go to the exporter, --runtime-dir, --state-dir
 * and --log.* to both, all others to the agent.
 */
#include <errno.h>
#include <limits.h>
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
#include "exporters/render/table.h"
#include "lib/base/clock.h"
#include "lib/health/health.h"
#include "lib/shm/reader.h"

#define ARGS_MAX	 64
#define STOP_NS		 (5 * NS_PER_S)
#define SETTLE_NS	 (300 * NS_PER_MS)
#define LATE_NS		 (10 * NS_PER_S)
#define POLL_INTERVAL_NS (100 * NS_PER_MS)

struct program {
	const char *name;
	char path[PATH_MAX];
	char *args[ARGS_MAX + 1];
	int arg_count;
	pid_t pid; /* 0: does not run */
	int wait_status;
};

struct run {
	struct program agent;
	struct program exporter;
	const char *runtime_dir;
	const char *listen;
	sigset_t signals;
	uint64_t started_ns;
	uint64_t old_instance; /* of a table left by an earlier agent */
	bool told;
	bool told_late;
};

static int add_arg(struct program *program, char *arg)
{
	if (program->arg_count == ARGS_MAX) {
		fprintf(stderr, "conntide: too many options\n");
		return CLI_USAGE;
	}
	program->args[program->arg_count++] = arg;
	program->args[program->arg_count] = NULL;
	return 0;
}

static bool starts_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

/* Deals one option, and its value if that is the next word, to whom it is for. */
static int deal(struct run *run, int argc, char **argv, int *at)
{
	char *arg = argv[*at];
	bool both = starts_with(arg, "--runtime-dir") || starts_with(arg, "--state-dir") ||
		    starts_with(arg, "--log.");
	bool exporter = both || starts_with(arg, "--web.") || starts_with(arg, "--compat.");
	bool agent = both || !exporter;
	char *value = strchr(arg, '=') || *at + 1 >= argc || argv[*at + 1][0] == '-'
			      ? NULL
			      : argv[*at + 1];
	const char *given = strchr(arg, '=') ? strchr(arg, '=') + 1 : value;
	int err = 0;

	if (starts_with(arg, "--runtime-dir") && given)
		run->runtime_dir = given;
	if (starts_with(arg, "--web.listen-address") && given)
		run->listen = given;
	if (agent)
		err = add_arg(&run->agent, arg);
	if (!err && exporter)
		err = add_arg(&run->exporter, arg);
	if (!value)
		return err;
	++*at;
	if (!err && agent)
		err = add_arg(&run->agent, value);
	if (!err && exporter)
		err = add_arg(&run->exporter, value);
	return err;
}

static int start(struct run *run, struct program *program)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0) {
		fprintf(stderr, "conntide: fork: %s\n", strerror(errno));
		return CLI_ERROR;
	}
	if (pid == 0) {
		/* Should we be killed outright, nobody is left to stop them. */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() != parent)
			_exit(CLI_ERROR);
		sigprocmask(SIG_UNBLOCK, &run->signals, NULL);
		execvp(program->path, program->args);
		program_complain(program->name);
		_exit(CLI_ERROR);
	}
	program->pid = pid;
	return 0;
}

static void reap(struct program *program)
{
	if (program->pid && waitpid(program->pid, &program->wait_status, WNOHANG) == program->pid)
		program->pid = 0;
}

static void stop(struct run *run, struct program *program)
{
	uint64_t deadline = clock_boot_ns() + STOP_NS;
	struct timespec interval = {.tv_nsec = POLL_INTERVAL_NS};

	if (program->pid)
		kill(program->pid, SIGTERM);
	while (program->pid && clock_boot_ns() < deadline) {
		reap(program);
		if (program->pid)
			sigtimedwait(&run->signals, NULL, &interval);
	}
	if (program->pid) {
		fprintf(stderr, "conntide: %s does not stop; killed\n", program->name);
		kill(program->pid, SIGKILL);
		waitpid(program->pid, &program->wait_status, 0);
		program->pid = 0;
	}
}

static void tell_end(const struct program *program)
{
	int status = program->wait_status;

	if (WIFSIGNALED(status))
		fprintf(stderr, "conntide: %s was killed by signal %d (%s); stopping\n",
			program->name, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		fprintf(stderr,
			"conntide: %s ended with status %d, see its message above; "
			"stopping\n",
			program->name, WEXITSTATUS(status));
}

static void print_url(const char *listen)
{
	const char *port = strrchr(listen, ':');

	if (starts_with(listen, "unix:"))
		printf("conntide: serving on %s\n", listen);
	else if (listen[0] == ':' || starts_with(listen, "0.0.0.0:") ||
		 starts_with(listen, "[::]:"))
		printf("conntide: http://localhost%s/  (metrics: http://localhost%s/metrics)\n",
		       port, port);
	else
		printf("conntide: http://%s/  (metrics: http://%s/metrics)\n", listen, listen);
}

/* -1 while there is no table. */
static int look(const struct run *run, struct snapshot *snap)
{
	struct shm_reader reader;
	int err = shm_reader_init(&reader, run->runtime_dir, "host");

	snapshot_init(snap);
	if (!err)
		err = shm_reader_refresh(&reader);
	if (!err)
		err = snapshot_take(&reader, clock_boot_ns(), clock_real_ns(), snap);
	shm_reader_close(&reader);
	return err ? -1 : 0;
}

static void tell_status(struct run *run)
{
	uint64_t waited = clock_boot_ns() - run->started_ns;
	struct snapshot snap;

	if (run->told || waited < SETTLE_NS)
		return;
	if (look(run, &snap) == 0 && snap.instance_id != run->old_instance &&
	    snap.agent == SNAP_AGENT_UP) {
		struct text line;

		text_init(&line);
		table_line(&snap, &line);
		print_url(run->listen);
		if (!text_failed(&line))
			printf("%s", line.data);
		fflush(stdout);
		text_free(&line);
		run->told = true;
	} else if (waited > LATE_NS && !run->told_late) {
		fprintf(stderr, "conntide: the agent still reads the table for the first time\n");
		run->told_late = true;
	}
	snapshot_free(&snap);
}

static int supervise(struct run *run)
{
	for (;;) {
		struct timespec interval = {.tv_nsec = POLL_INTERVAL_NS};
		struct timespec *timeout = run->told ? NULL : &interval;
		int sig = timeout ? sigtimedwait(&run->signals, NULL, timeout)
				  : sigwaitinfo(&run->signals, NULL);

		if (sig == SIGINT || sig == SIGTERM || sig == SIGHUP)
			return CLI_OK;
		reap(&run->agent);
		reap(&run->exporter);
		if (!run->agent.pid || !run->exporter.pid) {
			tell_end(run->agent.pid ? &run->exporter : &run->agent);
			return CLI_ERROR;
		}
		tell_status(run);
	}
}

static void run_help(void)
{
	printf("usage: conntide run [--runtime-dir DIR] [--web.listen-address ADDRESS]...\n"
	       "                    [OPTIONS]\n\n"
	       "Starts conntide-agent and conntide-exporter and stops both on Ctrl-C.\n"
	       "Options that begin with --web. or --compat. go to the exporter, --runtime-dir,\n"
	       "--state-dir and --log.* to both, all others to the agent: conntide-agent --help "
	       "and\n"
	       "conntide-exporter --help list them.\n");
}

int cmd_run(struct cli *cli)
{
	static struct run run = {.agent = {.name = "conntide-agent"},
				 .exporter = {.name = "conntide-exporter"},
				 .listen = CLI_LISTEN_DEFAULT};
	static char runtime_dir_option[] = "--runtime-dir";
	struct snapshot old;
	int status;

	run.runtime_dir = cli->runtime_dir;
	program_find(run.agent.name, run.agent.path);
	program_find(run.exporter.name, run.exporter.path);
	status = add_arg(&run.agent, run.agent.path);
	if (!status)
		status = add_arg(&run.exporter, run.exporter.path);
	/* Given before the command: both need it all the same. */
	for (int i = 0; i < 2 && !status && strcmp(cli->runtime_dir, CLI_RUNTIME_DIR) != 0; i++) {
		struct program *program = i ? &run.exporter : &run.agent;

		status = add_arg(program, runtime_dir_option);
		if (!status)
			status = add_arg(program, (char *)(uintptr_t)cli->runtime_dir);
	}
	for (int i = 0; i < cli->argc && !status; i++) {
		if (!strcmp(cli->argv[i], "--help") || !strcmp(cli->argv[i], "-h")) {
			run_help();
			return CLI_OK;
		}
		status = deal(&run, cli->argc, cli->argv, &i);
	}
	if (status)
		return status;
	shm_reader_install_guard();
	if (look(&run, &old) == 0)
		run.old_instance = old.instance_id;
	snapshot_free(&old);
	sigemptyset(&run.signals);
	sigaddset(&run.signals, SIGINT);
	sigaddset(&run.signals, SIGTERM);
	sigaddset(&run.signals, SIGHUP);
	sigaddset(&run.signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &run.signals, NULL);
	run.started_ns = clock_boot_ns();
	status = start(&run, &run.agent);
	if (!status)
		status = start(&run, &run.exporter);
	if (!status)
		status = supervise(&run);
	stop(&run, &run.exporter);
	stop(&run, &run.agent);
	return status;
}
