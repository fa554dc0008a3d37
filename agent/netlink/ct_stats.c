// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/netlink/ct_stats.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libmnl/libmnl.h>

#include "lib/base/num.h"

static const struct {
	uint16_t attr;
	const char *column; /* of /proc/net/stat/nf_conntrack */
	uint16_t subsys;    /* 0: NFNL_SUBSYS_CTNETLINK */
} stats_table[CT_STATS] = {
	[CT_STAT_FOUND] = {CTA_STATS_FOUND, "found", 0},
	[CT_STAT_INVALID] = {CTA_STATS_INVALID, "invalid", 0},
	[CT_STAT_INSERT_FAILED] = {CTA_STATS_INSERT_FAILED, "insert_failed", 0},
	[CT_STAT_DROP] = {CTA_STATS_DROP, "drop", 0},
	[CT_STAT_EARLY_DROP] = {CTA_STATS_EARLY_DROP, "early_drop", 0},
	[CT_STAT_ERROR] = {CTA_STATS_ERROR, "icmp_error", 0},
	[CT_STAT_SEARCH_RESTART] = {CTA_STATS_SEARCH_RESTART, "search_restart", 0},
	[CT_STAT_CLASH_RESOLVE] = {CTA_STATS_CLASH_RESOLVE, "clashres", 0},
	[CT_STAT_CHAINTOOLONG] = {CTA_STATS_CHAIN_TOOLONG, "chainlength", 0},
	[CT_STAT_INSERT] = {CTA_STATS_INSERT, "insert", 0},
	[CT_STAT_EXPECT_CREATE] = {CTA_STATS_EXP_CREATE, "expect_create",
				   NFNL_SUBSYS_CTNETLINK_EXP},
	[CT_STAT_EXPECT_DELETE] = {CTA_STATS_EXP_DELETE, "expect_delete",
				   NFNL_SUBSYS_CTNETLINK_EXP},
};

/* More CPUs than any machine has: a bound on what a message can make us allocate. */
#define CPU_MAX 16384u

void ct_counters_init(struct ct_counters *counters)
{
	memset(counters, 0, sizeof(*counters));
}

void ct_counters_free(struct ct_counters *counters)
{
	free(counters->last);
	ct_counters_init(counters);
}

static uint32_t *row_of_cpu(struct ct_counters *counters, uint32_t cpu)
{
	if (cpu >= CPU_MAX)
		return NULL;
	if (cpu >= counters->cpu_room) {
		uint32_t room = (cpu + 64u) / 64u * 64u;
		uint32_t *last = realloc(counters->last, (size_t)room * CT_STATS * sizeof(*last));

		if (!last)
			return NULL;
		memset(last + (size_t)counters->cpu_room * CT_STATS, 0,
		       (size_t)(room - counters->cpu_room) * CT_STATS * sizeof(*last));
		counters->last = last;
		counters->cpu_room = room;
	}
	return counters->last + (size_t)cpu * CT_STATS;
}

static void advance(struct ct_counters *counters, uint32_t *row, unsigned int stat, uint32_t value)
{
	counters->values[stat] += (uint32_t)(value - row[stat]);
	row[stat] = value;
	counters->expectations_told |= stat == CT_STAT_EXPECT_CREATE;
}

int64_t ct_expectations(const struct ct_counters *counters)
{
	/* Each CPU's counter wraps, and they are not read at once. */
	int32_t count = (int32_t)(uint32_t)(counters->values[CT_STAT_EXPECT_CREATE] -
					    counters->values[CT_STAT_EXPECT_DELETE]);

	return !counters->expectations_told ? -1 : count > 0 ? count : 0;
}

struct attr_pick {
	uint32_t values[64];
	uint64_t has;
};

static int pick_u32(const struct nlattr *attr, void *arg)
{
	struct attr_pick *pick = arg;
	uint16_t type = mnl_attr_get_type(attr);

	if (type < 64 && mnl_attr_get_payload_len(attr) == sizeof(uint32_t)) {
		pick->values[type] = ntohl(mnl_attr_get_u32(attr));
		pick->has |= UINT64_C(1) << type;
	}
	return MNL_CB_OK;
}

static int parse(const void *nlmsg, size_t len, uint16_t type, struct attr_pick *pick,
		 uint16_t *ret_res_id)
{
	const struct nlmsghdr *nlh = nlmsg;
	const struct nfgenmsg *nfg;

	/* libmnl walks to the aligned end. */
	if (len < sizeof(*nlh) || nlh->nlmsg_len > len ||
	    ((size_t)nlh->nlmsg_len + 3u) / 4u * 4u > len)
		return -EBADMSG;
	if (nlh->nlmsg_type != type)
		return -ENOMSG;
	if (nlh->nlmsg_len < NLMSG_LENGTH(sizeof(*nfg)))
		return -EBADMSG;
	nfg = mnl_nlmsg_get_payload(nlh);
	*ret_res_id = ntohs(nfg->res_id);
	memset(pick, 0, sizeof(*pick));
	return mnl_attr_parse(nlh, sizeof(*nfg), pick_u32, pick) < 0 ? -EBADMSG : 0;
}

#define MESSAGE(subsys, type) (uint16_t)((subsys) << 8 | (type))

int ct_counters_message(struct ct_counters *counters, const void *nlmsg, size_t len)
{
	struct attr_pick pick;
	uint16_t cpu, subsys = 0;
	uint32_t *row;
	int err = parse(nlmsg, len, MESSAGE(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET_STATS_CPU),
			&pick, &cpu);

	/* The kernel answers in the name of the other subsystem (ctnetlink_exp_stat_fill_info). */
	if (err == -ENOMSG) {
		subsys = NFNL_SUBSYS_CTNETLINK_EXP;
		err = parse(nlmsg, len,
			    MESSAGE(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_EXP_GET_STATS_CPU), &pick,
			    &cpu);
	}
	if (err == -ENOMSG)
		err = parse(nlmsg, len, MESSAGE(subsys, IPCTNL_MSG_EXP_GET_STATS_CPU), &pick, &cpu);
	if (err)
		return err;
	row = row_of_cpu(counters, cpu);
	if (!row)
		return -ENOMEM;
	for (unsigned int i = 0; i < CT_STATS; i++)
		if (stats_table[i].subsys == subsys && pick.has >> stats_table[i].attr & 1u)
			advance(counters, row, i, pick.values[stats_table[i].attr]);
	return 0;
}

int ct_limits_message(struct ct_limits *limits, const void *nlmsg, size_t len)
{
	struct attr_pick pick;
	uint16_t unused;
	int err = parse(nlmsg, len, MESSAGE(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET_STATS), &pick,
			&unused);

	if (err)
		return err;
	if (pick.has >> CTA_STATS_GLOBAL_ENTRIES & 1u)
		limits->count_entries = pick.values[CTA_STATS_GLOBAL_ENTRIES];
	if (pick.has >> CTA_STATS_GLOBAL_MAX_ENTRIES & 1u)
		limits->max_entries = pick.values[CTA_STATS_GLOBAL_MAX_ENTRIES];
	return 0;
}

#define COLUMNS_MAX 32u

static const char *skip_blanks(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

/* Which of our statistics each column holds: CT_STATS for none. */
static unsigned int read_heading(const char **at, uint8_t columns[COLUMNS_MAX])
{
	unsigned int n = 0;

	for (*at = skip_blanks(*at); **at && **at != '\n'; *at = skip_blanks(*at)) {
		size_t len = strcspn(*at, " \t\n");

		if (n == COLUMNS_MAX)
			return 0;
		columns[n] = CT_STATS;
		for (unsigned int i = 0; i < CT_STATS; i++)
			if (strlen(stats_table[i].column) == len &&
			    strncmp(*at, stats_table[i].column, len) == 0)
				columns[n] = (uint8_t)i;
		n++;
		*at += len;
	}
	return n;
}

int ct_counters_text(struct ct_counters *counters, const char *text)
{
	uint8_t columns[COLUMNS_MAX];
	unsigned int n = read_heading(&text, columns);

	if (n == 0)
		return -EBADMSG;
	for (uint32_t cpu = 0; *text == '\n' && text[1]; cpu++) {
		uint32_t *row = row_of_cpu(counters, cpu);

		if (!row)
			return -ENOMEM;
		text++;
		for (unsigned int i = 0; i < n; i++) {
			uint64_t value;

			text = skip_blanks(text);
			if (num_take_hex(&text, UINT64_MAX, &value) < 0)
				return -EBADMSG;
			if (columns[i] < CT_STATS)
				advance(counters, row, columns[i], (uint32_t)value);
		}
		text = skip_blanks(text);
	}
	return 0;
}

static int open_proc(const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC);
}

bool ct_proc_other_namespace(void)
{
	struct stat st;

	return stat("/proc/sys/net/netfilter/nf_conntrack_buckets", &st) == 0 &&
	       !(st.st_mode & S_IWUSR) && access("/proc/sys/net/nf_conntrack_max", F_OK) < 0;
}

void ct_proc_open(struct ct_proc *proc)
{
	proc->count_fd = open_proc("/proc/sys/net/netfilter/nf_conntrack_count");
	proc->max_fd = open_proc("/proc/sys/net/netfilter/nf_conntrack_max");
	proc->buckets_fd = open_proc("/proc/sys/net/netfilter/nf_conntrack_buckets");
	proc->events_fd = open_proc("/proc/sys/net/netfilter/nf_conntrack_events");
	proc->stat_fd = open_proc("/proc/net/stat/nf_conntrack");
}

void ct_proc_close(struct ct_proc *proc)
{
	int *fds[] = {&proc->count_fd, &proc->max_fd, &proc->buckets_fd, &proc->events_fd,
		      &proc->stat_fd};

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

int ct_sysctl_read(int fd, uint64_t max, uint64_t *ret_value)
{
	char text[32];
	ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return n < 0 && fd >= 0 ? -errno : -ENODATA;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return num_u64(text, 0, max, ret_value);
}

/* The sysctls are unsigned, but old kernels accept a negative one: -1, as for any unreadable value.
 */
static int64_t read_number(int fd)
{
	uint64_t value;

	return ct_sysctl_read(fd, UINT32_MAX, &value) < 0 ? -1 : (int64_t)value;
}

static int64_t known(int64_t value, int64_t otherwise)
{
	return value >= 0 ? value : otherwise;
}

void ct_proc_read(const struct ct_proc *proc, const struct ct_limits *told,
		  struct ct_limits *ret_limits)
{
	ret_limits->count_entries = known(read_number(proc->count_fd), told->count_entries);
	ret_limits->max_entries = known(read_number(proc->max_fd), told->max_entries);
	ret_limits->buckets = known(read_number(proc->buckets_fd), told->buckets);
	ret_limits->events_mode = known(read_number(proc->events_fd), told->events_mode);
}

int ct_proc_read_stats(const struct ct_proc *proc, char *out, size_t bytes)
{
	size_t n = 0;
	ssize_t got;

	if (proc->stat_fd < 0)
		return -ENOENT;
	do {
		got = pread(proc->stat_fd, out + n, bytes - 1 - n, (off_t)n);
		if (got < 0)
			return -errno;
		n += (size_t)got;
	} while (got > 0 && n < bytes - 1);
	out[n] = '\0';
	return got > 0 ? -EMSGSIZE : 0;
}
