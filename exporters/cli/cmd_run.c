// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Agent and exporter in the foreground: for newcomers and containers. Options
 * that begin with --web. or --compat. go to the exporter, --runtime-dir,
 * --netns, --state-dir and --log.* to both, all others to the agent.
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
#include "lib/base/options.h"
#include "lib/base/signals.h"
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
	const char *netns;
	const char *listen;
	const char *show_hosts;
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

static bool is_for_both(const char *arg)
{
	static const char *const names[] = {"runtime-dir", "netns", "state-dir"};
	const char *value;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (option_is(arg, names[i], &value))
			return true;
	return starts_with(arg, "--log.");
}

/* What we look at ourselves. */
static void note(struct run *run, const char *arg, const char *next)
{
	const char *value;
	const char **to = option_is(arg, "runtime-dir", &value)		 ? &run->runtime_dir
			  : option_is(arg, "netns", &value)		 ? &run->netns
			  : option_is(arg, "web.listen-address", &value) ? &run->listen
			  : option_is(arg, "web.show-hosts", &value)	 ? &run->show_hosts
									 : NULL;

	if (to && (value || next))
		*to = value ? value : next;
}

/* Deals one option, and its value if that is the next word, to whom it is for. */
static int deal(struct run *run, int argc, char **argv, int *at)
{
	char *arg = argv[*at];
	bool both = is_for_both(arg);
	bool exporter = both || starts_with(arg, "--web.") || starts_with(arg, "--compat.");
	bool agent = both || !exporter;
	char *next = strchr(arg, '=') || *at + 1 >= argc || argv[*at + 1][0] == '-' ? NULL
										    : argv[*at + 1];
	int err = option_hint(arg)[0] ? cli_usage("unknown option", arg) : 0;

	note(run, arg, next);
	for (char *word = arg; word && !err; word = word == arg ? next : NULL) {
		if (agent)
			err = add_arg(&run->agent, word);
		if (!err && exporter)
			err = add_arg(&run->exporter, word);
	}
	if (next)
		++*at;
	return err;
}

/* Given before the command: both need it all the same. */
static int pass_on(struct run *run, const char *option, const char *value)
{
	const char *const words[] = {option, value};
	int err = 0;

	for (size_t i = 0; i < 2 && !err; i++) {
		char *word = (char *)(uintptr_t)words[i];

		err = add_arg(&run->agent, word);
		if (!err)
			err = add_arg(&run->exporter, word);
	}
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
		/* If this process is killed, nothing is left to stop them. */
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

static void print_who_sees_hosts(const struct run *run)
{
	if (!strcmp(run->show_hosts, "loopback"))
		printf("conntide: addresses of hosts are shown to clients on this machine "
		       "(--web.show-hosts=none: to nobody)\n");
}

/* -1 while there is no table. */
static int look(const struct run *run, struct snapshot *snap)
{
	struct shm_reader reader;
	int err = shm_reader_init(&reader, run->runtime_dir, run->netns);

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
		print_who_sees_hosts(run);
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
	printf("usage: conntide run [--runtime-dir DIR] [--netns NAME]\n"
	       "                    [--web.listen-address ADDRESS]... [OPTIONS]\n\n"
	       "Starts conntide-agent and conntide-exporter and stops both on Ctrl-C.\n"
	       "Options that begin with --web. or --compat. go to the exporter, --runtime-dir,\n"
	       "--netns, --state-dir and --log.* to both, all others to the agent:\n"
	       "conntide-agent --help and conntide-exporter --help list them.\n");
}

/* Who is started, and with what. 0, or the exit status after a message. */
static int arguments(struct run *run, const struct cli *cli)
{
	static char show_hosts[] = "--web.show-hosts=loopback";
	int status;

	run->runtime_dir = cli->runtime_dir;
	run->netns = cli->netns;
	program_find(run->agent.name, run->agent.path);
	program_find(run->exporter.name, run->exporter.path);
	status = add_arg(&run->agent, run->agent.path);
	if (!status)
		status = add_arg(&run->exporter, run->exporter.path);
	/* First, so that one the user gives is the last, and counts. */
	if (!status)
		status = add_arg(&run->exporter, show_hosts);
	if (!status && strcmp(cli->runtime_dir, CLI_RUNTIME_DIR) != 0)
		status = pass_on(run, "--runtime-dir", cli->runtime_dir);
	if (!status && strcmp(cli->netns, CLI_NETNS) != 0)
		status = pass_on(run, "--netns", cli->netns);
	for (int i = 0; i < cli->argc && !status; i++)
		status = deal(run, cli->argc, cli->argv, &i);
	return status ? status : cli_check_netns(run->netns);
}

static void block_signals(sigset_t *signals)
{
	signals_hold(signals);
	sigaddset(signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, signals, NULL);
}

int cmd_run(struct cli *cli)
{
	static struct run run = {.agent = {.name = "conntide-agent"},
				 .exporter = {.name = "conntide-exporter"},
				 .listen = CLI_LISTEN_DEFAULT,
				 .show_hosts = "loopback"};
	struct snapshot old;
	int status;

	for (int i = 0; i < cli->argc; i++)
		if (!strcmp(cli->argv[i], "--help") || !strcmp(cli->argv[i], "-h")) {
			run_help();
			return CLI_OK;
		}
	status = arguments(&run, cli);
	if (status)
		return status;
	shm_reader_install_guard();
	if (look(&run, &old) == 0)
		run.old_instance = old.instance_id;
	snapshot_free(&old);
	block_signals(&run.signals);
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
