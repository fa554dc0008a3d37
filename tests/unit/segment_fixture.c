// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Plays the agent: writes a segment from a description, and keeps it alive.
 *
 *	segment-fixture FILE [--beat] < description
 *
 * Commands, one a line; each is answered with "ok" once it has taken effect:
 *	live FIELD VALUE		a scalar of metrics.def
 *	cell L4PROTO DIRECTION PORT STATE ENTRIES
 *	row L4PROTO DIRECTION PORT NEW DESTROYED TIMED TIMED_MS
 *	facts L4PROTO DIRECTION PORT SRC_NAT DST_NAT HELPER IPV6 ZONED	entries of that row
 *	fill N				N rows tcp/forwarded, one entry each, from port 1 up
 *	slot INDEX L4PROTO DIRECTION PORT GENERATION BASE_NEW BASE_DESTROYED
 *	noslot INDEX
 *	other L4PROTO DIRECTION NEW DESTROYED
 *	lifetime L4PROTO BUCKET N SUM_MS
 *	sample seconds|minutes COUNT MIRROR MAX NEW DESTROYED DROPS [SECONDS AGO]
 *	forecast, outlook, chance, reason, past, hang-forecast: see fixture_forecast.h
 *	timeout, stays, ends, talker, tracked, frame...: see fixture_detail.h
 *	incident DIRECTORY ID STAGE SECONDS ENTRIES LIMIT DROPS
 *					of what the segment holds now; began at SECONDS
 *	stopped | boot-id-of-another | age SECONDS
 *	host NAME			of the machine
 *	watched SECONDS			the agent started so long before its heartbeat
 *	publish				rename into place (at first)
 *	quit
 * With --beat the heartbeat follows the clock until "silent" is read.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/incident/incident_pack.h"
#include "lib/kernel/states.h"
#include "lib/health/level.h"
#include "lib/mirror/trust.h"
#include "lib/shm/layout.h"
#include "lib/shm/reader.h"
#include "lib/shm/seqlock.h"
#include "lib/kernel/timeouts.h"
#include "tests/unit/fixture_ages.h"
#include "tests/unit/fixture_forecast.h"
#include "tests/unit/fixture_detail.h"

static struct shm_header *header;
static char *base;
static bool beating;
static int64_t watched_ns;

static void *section(enum shm_section_id id)
{
	return base + header->sections[id].offset_bytes;
}

static struct fixture_detail details(void)
{
	return (struct fixture_detail){
		section(SHM_SECTION_TIMEOUTS),
		section(SHM_SECTION_DETAILS),
		section(SHM_SECTION_TALKERS),
		section(SHM_SECTION_NAT),
		section(SHM_SECTION_ZONE_CELLS),
		{section(SHM_SECTION_FRAMES_SHORT), section(SHM_SECTION_FRAMES_LONG)}};
}

static void die(const char *what)
{
	fprintf(stderr, "segment-fixture: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void map_new(const char *path, uint64_t offset, uint64_t bytes)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || fchmod(fd, 0644) < 0 || ftruncate(fd, (off_t)bytes) < 0 ||
	    mmap(base + offset, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
		    MAP_FAILED)
		die(path);
	close(fd);
}

static void create(const char *path, const char *hosts_path)
{
	struct shm_section sections[SHM_SECTION_COUNT];
	uint64_t total = shm_layout(sections);
	struct fixture_detail told;
	struct shm_slots *slots;
	struct shm_reader reader;
	struct shm_hosts_header *hosts;

	base = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		die("mmap");
	map_new(path, 0, shm_hosts_offset());
	map_new(hosts_path, shm_hosts_offset(), total - shm_hosts_offset());
	header = (struct shm_header *)base;
	hosts = (void *)(base + shm_hosts_offset());
	header->magic = SHM_MAGIC;
	header->version_major = SHM_VERSION_MAJOR;
	header->version_minor = SHM_VERSION_MINOR;
	header->header_bytes = sizeof(*header);
	header->total_bytes = total;
	header->section_count = SHM_SECTION_COUNT;
	memcpy(header->sections, sections, sizeof(sections));
	if (shm_reader_init(&reader, "/", "x") == 0)
		memcpy(header->boot_id, reader.boot_id, sizeof(header->boot_id));
	header->instance_id = clock_boot_ns();
	header->hosts_offset_bytes = shm_hosts_offset();
	*hosts = (struct shm_hosts_header){.magic = SHM_MAGIC,
					   .version_major = SHM_VERSION_MAJOR,
					   .version_minor = SHM_VERSION_MINOR,
					   .header_bytes = sizeof(*hosts),
					   .total_bytes = total - shm_hosts_offset(),
					   .instance_id = header->instance_id};
	header->created_real_ns = clock_real_ns();
	header->created_boot_ns = clock_boot_ns();
	header->agent_pid = (uint32_t)getpid();
	strcpy(header->agent_version, "fixture");
	strcpy(header->netns_name, "host");
	slots = section(SHM_SECTION_SLOTS);
	for (unsigned int i = 0; i < SHM_SLOT_COUNT; i++)
		poke_u32(&slots->slot[i].row, ROW_INVALID);
	((struct shm_history *)section(SHM_SECTION_SECONDS))->interval_ns = NS_PER_S;
	((struct shm_history *)section(SHM_SECTION_MINUTES))->interval_ns = 60 * NS_PER_S;
	told = details();
	detail_init(&told);
	publish_u64(&header->ready, SHM_MAGIC);
}

static void set_live(const char *name, int64_t value)
{
	struct shm_live *live = section(SHM_SECTION_LIVE);

	seq_write_begin(&live->seq);
#define SET(field)                                                                                 \
	if (!strcmp(name, #field))                                                                 \
		atomic_store_explicit(&live->field, value, memory_order_relaxed);
#define FIELD(field, means)				SET(field)
#define VALUE(field, family, label, label_value, scale) SET(field)
#include "lib/shm/metrics.def"
#undef FIELD
#undef VALUE
	seq_write_end(&live->seq);
}

static int64_t live_of(const char *name)
{
	struct shm_live *live = section(SHM_SECTION_LIVE);
	int64_t value = 0;

#define GET(field)                                                                                 \
	if (!strcmp(name, #field))                                                                 \
		value = atomic_load_explicit(&live->field, memory_order_relaxed);
#define FIELD(field, means)				GET(field)
#define VALUE(field, family, label, label_value, scale) GET(field)
#include "lib/shm/metrics.def"
#undef FIELD
#undef VALUE
	return value;
}

/* What the agent works out: limit, level, quality. Whoever sets them by hand has his way. */
static bool level_told, quality_told, hung;

static void work_out_level(void)
{
	const struct shm_forecast *forecast = section(SHM_SECTION_FORECAST);
	int64_t max = live_of("max_entries"), chain = live_of("chain_limit_entries");
	bool chain_first = chain > 0 && (max <= 0 || chain < max);
	bool assumed = live_of("assumed_max_entries") > 0 && !chain_first;
	struct level level;
	struct level_input in = {
		.now_ns = NS_PER_S,
		.now_real_ns = clock_real_ns(),
		.count_entries = live_of("count_entries"),
		.limit_entries = chain_first ? chain : max,
		.forecast_alarm = peek_u32(&forecast->alarm) != 0,
		.forecast_filling = peek_u32(&forecast->verdict) == SHM_VERDICT_FILLING,
		.forecast_full_ms = peek_u64(&forecast->full_likely_ms),
	};

	level_init(&level);
	level_second(&level, &in);
	set_live("limit_entries", in.limit_entries > 0 ? in.limit_entries : 0);
	set_live("limit_kind", chain_first ? SHM_LIMIT_CHAIN
			       : assumed   ? SHM_LIMIT_ASSUMED
			       : max > 0   ? SHM_LIMIT_MAX
					   : SHM_LIMIT_NONE);
	if (level_told)
		return;
	set_live("level", level.level);
	set_live("level_reason", level.reason);
	set_live("level_value", level.value);
	set_live("level_since_real_ns", (int64_t)level.since_real_ns);
}

static void work_out_quality(void)
{
	enum shm_quality_reason reason;
	int64_t doubts = live_of("doubts");

	if (quality_told)
		return;
	set_live("quality", trust_quality((uint32_t)doubts, -1, &reason));
	set_live("quality_reason", reason);
}

static void tell_live(const char *name, int64_t value)
{
	level_told |= !strcmp(name, "level");
	quality_told |= !strcmp(name, "quality");
	set_live(name, value);
}

static void beat(uint64_t age_ns)
{
	set_live("heartbeat_boot_ns", (int64_t)(clock_boot_ns() - age_ns));
	if (watched_ns)
		set_live("started_boot_ns", (int64_t)(clock_boot_ns() - age_ns) - watched_ns);
	set_live("heartbeat_real_ns", (int64_t)(clock_real_ns() - age_ns));
	forecast_beat(section(SHM_SECTION_FORECAST), clock_boot_ns() - age_ns,
		      clock_real_ns() - age_ns);
}

static uint32_t touch(const char *l4proto, const char *direction, unsigned int port)
{
	struct row_key key = {(uint8_t)l4proto_by_name(l4proto),
			      (uint8_t)direction_by_name(direction), (uint16_t)port};
	_Atomic uint64_t *map = section(SHM_SECTION_ROWMAP);
	uint32_t row = row_of(key);

	if (row == ROW_INVALID) {
		fprintf(stderr, "segment-fixture: no row %s %s %u\n", l4proto, direction, port);
		exit(1);
	}
	poke_u64(&map[row / 64], peek_u64(&map[row / 64]) | UINT64_C(1) << row % 64);
	return row;
}

static void set_cell(const char *l4proto, const char *direction, unsigned int port,
		     const char *state, unsigned int entries)
{
	_Atomic uint32_t *cells = section(SHM_SECTION_CELLS);
	uint32_t row = touch(l4proto, direction, port);
	int index = state_by_name((unsigned int)l4proto_by_name(l4proto), state);
	uint32_t timeout_s = 600;
	int timeout;

	if (index < 0) {
		fprintf(stderr, "segment-fixture: no state %s\n", state);
		exit(1);
	}
	poke_u32(&cells[row_first_cell(row) + (uint32_t)index], entries);
	timeout = timeout_of_state((unsigned int)l4proto_by_name(l4proto), (unsigned int)index);
	if (timeout >= 0)
		timeout_s = peek_u32((_Atomic uint32_t *)section(SHM_SECTION_TIMEOUTS) + timeout);
	if (timeout >= 0 && !timeout_s)
		timeout_s = timeout_info((unsigned int)timeout)->default_s;
	fixture_ages_cell(section(SHM_SECTION_AGES), row_first_cell(row) + (uint32_t)index, entries,
			  fixture_ages_span_s(timeout_s));
}

static void set_slot(unsigned int index, uint32_t row, uint32_t generation, uint64_t base_new,
		     uint64_t base_destroyed)
{
	struct shm_slots *slots = section(SHM_SECTION_SLOTS);
	struct shm_slot *slot = &slots->slot[index % SHM_SLOT_COUNT];

	seq_write_begin(&slots->seq);
	poke_u32(&slot->row, row);
	poke_u32(&slot->generation, generation);
	poke_u64(&slot->base_new_entries, base_new);
	poke_u64(&slot->base_destroyed_entries, base_destroyed);
	seq_write_end(&slots->seq);
}

static void add_sample(bool minutes, const unsigned int n[7])
{
	struct shm_history *history = section(minutes ? SHM_SECTION_MINUTES : SHM_SECTION_SECONDS);
	uint64_t head = peek_u64(&history->head);
	struct shm_sample *to =
		&history->samples[head % (minutes ? SHM_HISTORY_MINUTES : SHM_HISTORY_SECONDS)];

	poke_u64(&to->real_ns, clock_real_ns() - n[6] * NS_PER_S);
	poke_u32(&to->count_entries, n[0]);
	poke_u32(&to->mirror_entries, n[1]);
	poke_u32(&to->max_entries, n[2]);
	poke_u32(&to->new_entries, n[3]);
	poke_u32(&to->destroyed_entries, n[4]);
	poke_u32(&to->drops, n[5]);
	for (unsigned int i = 0; i < SHM_TOP_PORTS; i++)
		poke_u32(&to->top[i].row, ROW_INVALID);
	poke_u32(&to->top[0].row, touch("tcp", "inbound", 443));
	poke_u32(&to->top[0].entries, n[1]);
	publish_u64(&history->head, head + 1);
}

static void set_row(const char *l4proto, const char *direction, unsigned int port,
		    const unsigned long long n[4])
{
	struct shm_row *row = section(SHM_SECTION_ROWS);

	row += touch(l4proto, direction, port);
	poke_u64(&row->new_entries, n[0]);
	poke_u64(&row->destroyed_entries, n[1]);
	poke_u64(&row->timed_entries, n[2]);
	poke_u64(&row->timed_ms, n[3]);
}

static void put_file(const char *dir, const struct incident_head *head, const void *data,
		     size_t bytes)
{
	char name[INCIDENT_NAME_BYTES], path[400];
	FILE *file;

	incident_file_name(head->id, head->stage, name);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "w");
	if (!file || fwrite(data, 1, bytes, file) != bytes || fclose(file) != 0)
		die(path);
}

static void keep_incident(const char *dir, const char *id, const char *stage,
			  unsigned long long seconds, const unsigned int n[3])
{
	static uint8_t data[INCIDENT_FILE_MAX];
	struct incident_head head = {.began_real_ns = seconds * NS_PER_S,
				     .taken_boot_ns = clock_boot_ns(),
				     .entries = n[0],
				     .limit_entries = n[1],
				     .limit_kind = 1,
				     .peak_entries = n[0],
				     .peak_fill_ppm =
					     n[1] ? (uint32_t)(1000000ull * n[0] / n[1]) : 0,
				     .peak_real_ns = seconds * NS_PER_S,
				     .drops = n[2]};
	struct shm_reader from = {.base = base};
	int which = incident_stage_by_name(stage);
	size_t bytes;

	if (which < 0 || !incident_id_good(id)) {
		fprintf(stderr, "segment-fixture: no stage %s or id %s\n", stage, id);
		exit(1);
	}
	for (unsigned int i = 0; i < SHM_SECTION_COUNT; i++)
		from.sections[i] = header->sections[i].offset_bytes;
	head.stage = (uint16_t)which;
	strcpy(head.id, id);
	for (int i = 0; i <= which; i++)
		head.stage_real_ns[i] = (seconds + (unsigned int)i) * NS_PER_S;
	head.taken_real_ns = head.stage_real_ns[which];
	if (incident_pack(&from, &head, data, &bytes) < 0)
		die("incident");
	put_file(dir, &head, data, bytes);
}

static bool rows_command(const char *line)
{
	char l4proto[16], direction[16], state[24];
	unsigned int a, b, facts[5];
	unsigned long long n[4];

	if (sscanf(line, "cell %15s %15s %u %23s %u", l4proto, direction, &a, state, &b) == 5)
		set_cell(l4proto, direction, a, state, b);
	else if (sscanf(line, "row %15s %15s %u %llu %llu %llu %llu", l4proto, direction, &a, &n[0],
			&n[1], &n[2], &n[3]) == 7)
		set_row(l4proto, direction, a, n);
	else if (sscanf(line, "slot %u %15s %15s %u %llu %llu %llu", &b, l4proto, direction, &a,
			&n[0], &n[1], &n[2]) == 7)
		set_slot(b, touch(l4proto, direction, a), (uint32_t)n[0], n[1], n[2]);
	else if (sscanf(line, "facts %15s %15s %u %u %u %u %u %u", l4proto, direction, &a,
			&facts[0], &facts[1], &facts[2], &facts[3], &facts[4]) == 8)
		fixture_ages_facts(section(SHM_SECTION_AGES), touch(l4proto, direction, a), facts);
	else if (sscanf(line, "noslot %u", &a) == 1)
		set_slot(a, ROW_INVALID, 0, 0, 0);
	else if (sscanf(line, "fill %u", &a) == 1)
		for (unsigned int port = 1; port <= a; port++)
			set_cell("tcp", "forwarded", port, "TIME_WAIT", 1);
	else
		return false;
	return true;
}

static bool other_command(const char *line)
{
	char name[32], direction[16], dir[200], id[40];
	long long value;
	unsigned int a, n[7] = {0};
	unsigned long long from, to;

	if (sscanf(line, "host %31s", name) == 1) {
		strcpy(header->host_name, name);
	} else if (sscanf(line, "live %31s %lld", name, &value) == 2) {
		tell_live(name, value);
	} else if (sscanf(line, "other %31s %15s %llu %llu", name, direction, &from, &to) == 4) {
		struct shm_slots *slots = section(SHM_SECTION_SLOTS);
		struct shm_other *other =
			&slots->other[l4proto_by_name(name)][direction_by_name(direction)];

		poke_u64(&other->new_entries, from);
		poke_u64(&other->destroyed_entries, to);
	} else if (sscanf(line, "lifetime %31s %u %llu %llu", name, &a, &from, &to) == 4) {
		struct shm_lifetime *lifetime = section(SHM_SECTION_LIFETIMES);

		lifetime += l4proto_by_name(name);
		poke_u64(&lifetime->buckets[a % SHM_LIFETIME_BUCKETS], from);
		poke_u64(&lifetime->sum_ms, to);
	} else if (sscanf(line, "sample %31s %u %u %u %u %u %u %u", name, &n[0], &n[1], &n[2],
			  &n[3], &n[4], &n[5], &n[6]) >= 7) {
		add_sample(!strcmp(name, "minutes"), n);
	} else if (sscanf(line, "watched %llu", &from) == 1) {
		watched_ns = (int64_t)(from * NS_PER_S);
		beat(0);
	} else if (sscanf(line, "incident %199s %39s %31s %llu %u %u %u", dir, id, name, &from,
			  &n[0], &n[1], &n[2]) == 7) {
		if (strlen(id) < INCIDENT_ID_BYTES)
			keep_incident(dir, id, name, from, n);
	} else if (sscanf(line, "age %llu", &from) == 1) {
		beating = false;
		beat(from * NS_PER_S);
	} else {
		return false;
	}
	return true;
}

static void command(const char *line)
{
	struct fixture_detail told = details();

	if (rows_command(line) || other_command(line) ||
	    forecast_command(line, section(SHM_SECTION_FORECAST), section(SHM_SECTION_PASTS)) ||
	    detail_command(line, &told) || line[0] == '#' || !line[0])
		return;
	if (!strcmp(line, "stopped")) {
		publish_u64(&header->stopped, clock_real_ns());
	} else if (!strcmp(line, "boot-id-of-another")) {
		header->boot_id[0] ^= 1;
	} else if (!strcmp(line, "silent")) {
		beating = false;
	} else if (!strcmp(line, "beat")) {
		beating = true;
	} else if (!strcmp(line, "hang")) {
		/* A writer that died inside a write. */
		seq_write_begin(&((struct shm_live *)section(SHM_SECTION_LIVE))->seq);
		beating = false;
		hung = true;
	} else if (!strcmp(line, "quit")) {
		exit(0);
	} else {
		fprintf(stderr, "segment-fixture: what is \"%s\"?\n", line);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	char temporary[512], hosts[512], hosts_temporary[520], line[256];
	bool published = false;

	if (argc < 2)
		return 2;
	snprintf(temporary, sizeof(temporary), "%s.new", argv[1]);
	snprintf(hosts, sizeof(hosts), "%.*s" SHM_HOSTS_SUFFIX,
		 (int)(strlen(argv[1]) - strlen(SHM_FILE_SUFFIX)), argv[1]);
	snprintf(hosts_temporary, sizeof(hosts_temporary), "%s.new", hosts);
	create(temporary, hosts_temporary);
	beating = argc > 2;
	set_live("mode", SHM_MODE_FULL);
	setvbuf(stdin, NULL, _IONBF, 0);
	for (;;) {
		struct pollfd pfd = {.fd = 0, .events = POLLIN};

		if (beating)
			beat(0);
		if (poll(&pfd, 1, 100) == 0)
			continue;
		if (!fgets(line, sizeof(line), stdin))
			break;
		line[strcspn(line, "\n")] = '\0';
		if (!strcmp(line, "publish")) {
			if (rename(hosts_temporary, hosts) < 0 || rename(temporary, argv[1]) < 0)
				die(argv[1]);
			published = true;
		} else {
			command(line);
		}
		if (!hung) {
			work_out_quality();
			work_out_level();
		}
		printf("ok\n");
		fflush(stdout);
	}
	if (!published && (rename(hosts_temporary, hosts) < 0 || rename(temporary, argv[1]) < 0))
		die(argv[1]);
	return 0;
}
