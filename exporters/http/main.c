// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "exporters/http/routes/app.h"
#include "exporters/http/serve.h"
#include "exporters/http/toolkit/listen.h"
#include "lib/base/build_info.h"
#include "lib/base/log.h"
#include "lib/base/num.h"
#include "lib/base/options.h"
#include "lib/base/sandbox.h"
#include "lib/base/service.h"

#define RUNTIME_DIR	     "/run/conntide"
#define STATE_DIR	     "/var/lib/conntide"
#define CONNECTIONS_DEFAULT  512u
#define REQUESTS_DEFAULT     40u
#define FDS_FOR_OTHER_THINGS 64u
#define REPLY_MMAP_BYTES     (256 * 1024)

enum option_id {
	OPT_LISTEN = 256,
	OPT_PATH,
	OPT_CONFIG,
	OPT_SOCKET,
	OPT_REQUESTS,
	OPT_CONNECTIONS,
	OPT_NO_EXPORTER_METRICS,
	OPT_SHOW_HOSTS,
	OPT_MAX_SERIES,
	OPT_COMPAT,
	OPT_RUNTIME_DIR,
	OPT_NETNS,
	OPT_STATE_DIR,
	OPT_LOG_LEVEL,
	OPT_LOG_FORMAT,
	OPT_NO_SECCOMP,
	OPT_VERSION,
	OPT_HELP
};

static const struct {
	enum option_id id;
	const char *name;
	const char *argument;
	const char *help;
} option_table[] = {
	{OPT_LISTEN, "web.listen-address", "ADDRESS",
	 "where to listen; may be repeated: :10371 (the default), 127.0.0.1:10371,\n"
	 "[::1]:10371, unix:/run/conntide/http.sock"},
	{OPT_SOCKET, "web.systemd-socket", NULL, "listen on the sockets systemd passes, only"},
	{OPT_PATH, "web.telemetry-path", "PATH", "where the metrics are (/metrics)"},
	{OPT_CONFIG, "web.config.file", "FILE",
	 "TLS, users and headers, as for all Prometheus exporters; read again\n"
	 "when it changes and on SIGHUP"},
	{OPT_SHOW_HOSTS, "web.show-hosts", "WHO",
	 "who sees addresses of hosts besides authenticated clients and unix sockets:\n"
	 "none (the default), loopback (not where a proxy runs on this machine), all"},
	{OPT_REQUESTS, "web.max-requests", "N", "replies under way at once, 0: any number (40)"},
	{OPT_CONNECTIONS, "web.max-connections", "N",
	 "open connections; beyond that the idlest one goes (512)"},
	{OPT_NO_EXPORTER_METRICS, "web.disable-exporter-metrics", NULL,
	 "leave out process_* and conntide_http_*"},
	{OPT_MAX_SERIES, "web.max-series", "N",
	 "series in a scrape at most; further ports are summed up (400)"},
	{OPT_COMPAT, "compat.node-exporter-metrics", NULL,
	 "also node_nf_conntrack_*; not beside a node_exporter that has them"},
	{OPT_RUNTIME_DIR, "runtime-dir", "DIR",
	 "where the agent keeps its tables (" RUNTIME_DIR ")"},
	{OPT_NETNS, "netns", "NAME", "which table: DIR/NAME.table (host)"},
	{OPT_STATE_DIR, "state-dir", "DIR", "where the agent keeps incidents (" STATE_DIR ")"},
	{OPT_LOG_LEVEL, "log.level", "LEVEL", "error, warn, info or debug (info)"},
	{OPT_LOG_FORMAT, "log.format", "FORMAT", "logfmt or json (logfmt)"},
	{OPT_NO_SECCOMP, "no-seccomp", NULL, "no system call filter: for debuggers"},
	{OPT_VERSION, "version", NULL, "version"},
	{OPT_HELP, "help", NULL, "this text"},
};

#define OPTION_COUNT (sizeof(option_table) / sizeof(option_table[0]))

/* System calls needed for serving, by glibc, libmicrohttpd, GnuTLS, zlib and this program. */
static const char *const allowed[] = {
	/* clang-format off */
	"accept4", "brk", "clock_gettime", "clock_nanosleep", "close", "epoll_create1",
	"epoll_ctl", "epoll_pwait", "epoll_wait", "eventfd2", "exit", "exit_group", "fcntl",
	"fstat", "fstatfs", "futex", "getdents64", "getpeername", "getpid", "getrandom", "getrlimit",
	"getrusage", "getsockname", "getsockopt", "gettid", "gettimeofday", "ioctl", "lseek",
	"madvise", "membarrier", "mmap", "mprotect", "mremap", "munmap", "nanosleep",
	"newfstatat", "open", "openat", "pipe2", "poll", "ppoll", "pread64", "prlimit64", "read",
	"readv", "recvfrom", "recvmsg", "restart_syscall", "rt_sigaction", "rt_sigprocmask",
	"rseq", "rt_sigreturn", "sched_yield", "sendfile", "sendmsg", "sendto", "set_robust_list", "setsockopt", "shutdown",
	"sigaltstack", "signalfd4", "stat", "statx", "tgkill", "time", "uname", "unlink",
	"unlinkat", "write", "writev",
	/* clang-format on */
};

struct settings {
	struct server_options server;
	struct app_options app;
	struct listeners listeners;
	const char *runtime_dir;
	const char *netns;
	const char *listen[LISTEN_MAX];
	size_t listen_count;
	bool systemd_socket;
	bool seccomp;
};

static void help(void)
{
	printf("usage: conntide-exporter [OPTIONS]\n\n"
	       "Serves what conntide-agent publishes: metrics for Prometheus, JSON, a page.\n\n");
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const char *at = option_table[i].help;

		printf("  --%s%s%s\n", option_table[i].name, option_table[i].argument ? " " : "",
		       option_table[i].argument ? option_table[i].argument : "");
		while (at) {
			printf("        %.*s\n", (int)strcspn(at, "\n"), at);
			at = strchr(at, '\n');
			at = at ? at + 1 : NULL;
		}
	}
}

static _Noreturn void usage(const char *why, const char *what)
{
	char message[OPTION_MESSAGE_BYTES];

	fputs(option_message(message, "conntide-exporter", why, what), stderr);
	exit(2);
}

static size_t number(const char *text, size_t least, size_t most)
{
	uint64_t value;

	if (num_u64(text, least, most, &value) < 0)
		usage("not a number that fits:", text);
	return value;
}

static enum show_hosts show_hosts(const char *value)
{
	static const char *const names[] = {"none", "loopback", "all"};

	for (unsigned int i = 0; i < 3; i++)
		if (!strcmp(value, names[i]))
			return (enum show_hosts)i;
	usage("not none, loopback or all:", value);
}

static void take_web_option(struct settings *settings, enum option_id id, const char *value)
{
	switch (id) {
	case OPT_LISTEN:
		if (settings->listen_count == LISTEN_MAX)
			usage("too many addresses, the last is", value);
		settings->listen[settings->listen_count++] = value;
		break;
	case OPT_PATH:
		if (value[0] != '/' || strchr(value, '{') || !strcmp(value, "/"))
			usage("not a path for metrics:", value);
		settings->app.telemetry_path = value;
		break;
	case OPT_CONFIG:
		settings->server.config_path = value[0] ? value : NULL;
		break;
	case OPT_SOCKET:
		settings->systemd_socket = true;
		break;
	case OPT_REQUESTS:
		settings->server.max_requests = number(value, 0, 100000);
		break;
	case OPT_CONNECTIONS:
		settings->server.max_connections = number(value, 8, 100000);
		break;
	case OPT_NO_EXPORTER_METRICS:
		settings->app.exporter_metrics = false;
		break;
	case OPT_SHOW_HOSTS:
		settings->app.show_hosts = show_hosts(value);
		break;
	case OPT_MAX_SERIES:
		settings->app.series_limit = (uint32_t)number(value, 0, 1000000);
		break;
	default:
		break;
	}
}

static void take_option(struct settings *settings, enum option_id id, const char *value)
{
	switch (id) {
	case OPT_COMPAT:
		settings->app.compat_node_exporter = true;
		break;
	case OPT_RUNTIME_DIR:
		settings->runtime_dir = value;
		break;
	case OPT_NETNS:
		if (!shm_name_is_good(value))
			usage("not the name of a table:", value);
		settings->netns = value;
		break;
	case OPT_STATE_DIR:
		settings->app.state_dir = value;
		break;
	case OPT_LOG_LEVEL:
		if (log_set_level(value) < 0)
			usage("no such level:", value);
		break;
	case OPT_LOG_FORMAT:
		if (log_set_format(value) < 0)
			usage("no such format:", value);
		break;
	case OPT_NO_SECCOMP:
		settings->seccomp = false;
		break;
	case OPT_VERSION:
		printf("conntide-exporter %s (%s)\n", build_version, build_revision);
		exit(0);
	case OPT_HELP:
		help();
		exit(0);
	default:
		take_web_option(settings, id, value);
	}
}

static void parse_options(struct settings *settings, int argc, char **argv)
{
	struct option longs[OPTION_COUNT + 1] = {{0}};
	int id;

	for (size_t i = 0; i < OPTION_COUNT; i++)
		longs[i] =
			(struct option){option_table[i].name,
					option_table[i].argument ? required_argument : no_argument,
					NULL, (int)option_table[i].id};
	opterr = 0;
	while ((id = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
		if (id == ':')
			usage("missing value after", argv[optind - 1]);
		if (id == '?')
			usage("unknown option", argv[optind - 1]);
		take_option(settings, id == 'h' ? OPT_HELP : (enum option_id)id, optarg);
	}
	if (optind < argc)
		usage("unexpected argument", argv[optind]);
}

/* Each connection needs a descriptor: fewer connections where descriptors are fewer. */
static void fit_descriptors(struct settings *settings)
{
	size_t *connections = &settings->server.max_connections;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = 2 * *connections + FDS_FOR_OTHER_THINGS + 128;
	if (limit.rlim_cur > limit.rlim_max)
		limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 2 * *connections + FDS_FOR_OTHER_THINGS + 128) {
		size_t room = limit.rlim_cur > 2 * (FDS_FOR_OTHER_THINGS + 128)
				      ? (limit.rlim_cur - FDS_FOR_OTHER_THINGS - 128) / 2
				      : 8;

		log_warn("http", "only %zu connections: the limit of open files is %zu", room,
			 (size_t)limit.rlim_cur);
		*connections = room;
	}
}

static int open_listeners(struct settings *settings)
{
	struct listeners *listeners = &settings->listeners;
	int err = 0;

	if (settings->systemd_socket) {
		err = listen_add_passed(listeners);
		if (err == -ENOENT)
			log_error("http", "systemd passed no socket; enable "
					  "conntide-exporter.socket or drop --web.systemd-socket");
		else if (err)
			log_error("http", "%s", listeners->why);
		return err;
	}
	if (settings->listen_count == 0)
		settings->listen[settings->listen_count++] = ":" LISTEN_DEFAULT_PORT;
	for (size_t i = 0; i < settings->listen_count && !err; i++) {
		err = listen_add(listeners, settings->listen[i]);
		if (err)
			log_error("http", "%s", listeners->why);
	}
	return err;
}

/* Nothing is read from the network before this. */
static int give_up_privilege(const struct settings *settings, struct server *server)
{
	static const char *const users[] = {"conntide", "nobody", NULL};
	const char *user = NULL;
	int err = 0;

	if (geteuid() == 0)
		err = sandbox_become(users, &user);
	else if (sandbox_has_capabilities()) /* a service manager may forbid capset(2) */
		err = sandbox_drop_capabilities();
	if (err) {
		log_error("sandbox", "cannot give up privilege%s%s: %s", user ? " as " : "",
			  user ? user : "", strerror(-err));
		return err;
	}
	if (user)
		log_info("sandbox", "running as %s, without capabilities", user);
	/* New threads inherit the privileges left so far; the filter is for all threads. */
	err = server_start_threads(server);
	if (!err)
		err = sandbox_no_new_privileges();
	if (!err && settings->seccomp)
		err = sandbox_allow_only(allowed, sizeof(allowed) / sizeof(allowed[0]));
	if (err == -EINVAL) {
		log_warn("sandbox", "this kernel has no system call filter");
		err = 0;
	}
	if (err)
		log_error("sandbox", "%s", strerror(-err));
	return err;
}

static int serve(struct settings *settings, struct app *app)
{
	struct server *server = server_start(&settings->server, app, &settings->listeners);
	int err;

	if (!server)
		return -EIO;
	err = give_up_privilege(settings, server);
	for (size_t i = 0; i < settings->listeners.count && !err; i++)
		log_info("http", "listening on %s", settings->listeners.list[i].name);
	if (!err)
		err = server_run(server);
	server_stop(server);
	return err;
}

int main(int argc, char **argv)
{
	static struct app app;
	static struct settings settings = {.server = {.max_connections = CONNECTIONS_DEFAULT,
						      .max_requests = REQUESTS_DEFAULT},
					   .app = {.telemetry_path = "/metrics",
						   .exporter_metrics = true,
						   .series_limit = SERIES_LIMIT_DEFAULT,
						   .state_dir = STATE_DIR},
					   .runtime_dir = RUNTIME_DIR,
					   .netns = "host",
					   .seccomp = true};
	int err;

	/* Memory of large replies goes back to the system once they are sent, instead of staying
	 * in a heap that a small allocation at its top keeps large. */
	mallopt(M_MMAP_THRESHOLD, REPLY_MMAP_BYTES);
	log_init("conntide-exporter");
	parse_options(&settings, argc, argv);
	signal(SIGPIPE, SIG_IGN);
	service_open();
	fit_descriptors(&settings);
	err = shm_reader_install_guard();
	if (!err)
		err = source_init(&app.source, settings.runtime_dir, settings.netns);
	if (err) {
		log_error("table", "%s/%s: %s", settings.runtime_dir, settings.netns,
			  strerror(-err));
		return 1;
	}
	app.options = settings.app;
	app.services = services_load();
	err = open_listeners(&settings);
	if (!err)
		err = serve(&settings, &app);
	listen_close(&settings.listeners);
	source_close(&app.source);
	services_free(app.services);
	return err ? 1 : 0;
}
