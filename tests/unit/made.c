// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/made.h"

#include <math.h>
#include <string.h>

#include "exporters/advice/patterns.h"
#include "lib/shm/seqlock.h"
#include "lib/stats/ages.h"
#include "tests/unit/fixture_ages.h"
#include "tests/unit/unit.h"

#define NOW_NS UINT64_C(1800000000000000000)
#define HOURS  UINT64_C(7200000000000)

struct made *made_new(void)
{
	struct made *made = calloc(1, sizeof(*made));
	struct snap_live *live;

	assert_non_null(made);
	snapshot_init(&made->snap);
	snap_detail_init(&made->details);
	made->snap.agent = SNAP_AGENT_UP;
	made->snap.age_ns = 0;
	made->snap.taken_real_ns = NOW_NS;
	strcpy(made->snap.netns_name, "host");
	made->snap.rows = made->rows;
	made->details.details = made->rows_detail;
	made->details.minutes = (struct snap_table_log){10, made->minutes, 0};
	made->details.hour = (struct snap_table_log){60, made->hour, 0};
	live = &made->snap.live;
	live->mode = SHM_MODE_FULL;
	live->tick_hz = 250;
	live->quality = SHM_QUALITY_EXACT;
	live->level = SHM_LEVEL_OK;
	live->limit_kind = SHM_LIMIT_MAX;
	live->limit_entries = live->max_entries = live->buckets = 262144;
	live->chain_limit_entries = 25 * live->buckets;
	live->started_boot_ns = 1000000000;
	live->heartbeat_boot_ns = (int64_t)(1000000000 + HOURS);
	for (unsigned int i = 0; i < TIMEOUT_COUNT; i++)
		made->snap.timeouts_s[i] = timeout_info(i)->default_s;
	return made;
}

void made_free(struct made *made)
{
	model_free(&made->model);
	free(made);
}

struct snap_row *made_row(struct made *made, unsigned int l4proto, unsigned int direction,
			  unsigned int port)
{
	struct row_key key = {(uint8_t)l4proto, (uint8_t)direction, (uint16_t)port};
	struct snap_row *row;

	for (size_t i = 0; i < made->snap.row_count; i++)
		if (!memcmp(&made->rows[i].key, &key, sizeof(key)))
			return &made->rows[i];
	assert_true(made->snap.row_count < MADE_ROWS);
	row = &made->rows[made->snap.row_count++];
	*row = (struct snap_row){.key = key,
				 .slot = -1,
				 .new_per_s = (double)NAN,
				 .destroyed_per_s = (double)NAN,
				 .mean_lifetime_s = (double)NAN};
	return row;
}

void made_state(struct snap_row *row, unsigned int state, uint32_t entries)
{
	row->entries += entries - row->states[state];
	row->states[state] = entries;
}

void made_rate(struct snap_row *row, double per_s)
{
	row->new_per_s = row->destroyed_per_s = per_s;
	row->new_entries = (uint64_t)(per_s * 7200);
	row->destroyed_entries =
		row->new_entries > row->entries ? row->new_entries - row->entries : 0;
}

static struct snap_row_detail *detail_of(struct made *made, const struct snap_row *row)
{
	for (size_t i = 0; i < made->details.detail_count; i++)
		if (!memcmp(&made->rows_detail[i].key, &row->key, sizeof(row->key)))
			return &made->rows_detail[i];
	assert_true(made->details.detail_count < MADE_DETAILS);
	made->rows_detail[made->details.detail_count].key = row->key;
	return &made->rows_detail[made->details.detail_count++];
}

static void add_stays(struct snap_stays *stays, uint64_t count, double seconds)
{
	unsigned int bucket = 0;

	while (seconds >= snap_stay_edge_s(bucket))
		bucket++;
	stays->buckets[bucket] += count;
	stays->count += count;
	stays->sum_s += (double)count * seconds;
}

void made_stays(struct made *made, const struct snap_row *row, unsigned int state, uint64_t count,
		double seconds)
{
	add_stays(&detail_of(made, row)->states[state], count, seconds);
}

void made_lives(struct made *made, const struct snap_row *row, uint64_t count, double seconds)
{
	struct snap_row_detail *detail = detail_of(made, row);

	add_stays(&detail->whole, count, seconds);
	detail->ends[SHM_END_CLOSED] += count;
	detail->ended += count;
}

struct snap_row *made_short(struct made *made, unsigned int direction, unsigned int port,
			    double per_s, double open_s, double lag_s)
{
	struct snap_row *row = made_row(made, L4_TCP, direction, port);
	double wait_s = made->snap.timeouts_s[TIMEOUT_TCP_TIME_WAIT] + lag_s;

	made_state(row, ST_TCP_ESTABLISHED, (uint32_t)(per_s * open_s));
	made_state(row, ST_TCP_TIME_WAIT, (uint32_t)(per_s * wait_s));
	made_rate(row, per_s);
	made_stays(made, row, ST_TCP_ESTABLISHED, 1000, open_s);
	made_stays(made, row, ST_TCP_TIME_WAIT, 1000, wait_s);
	made_lives(made, row, 1000, open_s + wait_s);
	return row;
}

void made_talker(struct made *made, enum shm_talker_kind kind, uint32_t address, uint32_t entries,
		 unsigned int l4proto, unsigned int port)
{
	struct snap_talker_list *list = &made->details.talkers[kind];
	struct snap_talker *talker = &list->talkers[list->count];

	assert_true(list->count < SHM_TALKERS);
	made->details.talkers_valid = true;
	list->count++;
	list->tracked++;
	talker->address[0] = 10;
	talker->address[1] = (uint8_t)(address >> 16);
	talker->address[2] = (uint8_t)(address >> 8);
	talker->address[3] = (uint8_t)address;
	talker->entries = entries;
	talker->l4proto = (uint8_t)l4proto;
	talker->port = (uint16_t)port;
}

static void fill_frame(const struct made *made, double interval_s, struct snap_frame *frame)
{
	memset(frame, 0, sizeof(*frame));
	frame->max_entries = (uint32_t)made->snap.live.max_entries;
	frame->sources = made->details.talkers[SHM_TALKER_SOURCE].tracked;
	for (size_t i = 0; i < made->snap.row_count; i++) {
		const struct snap_row *row = &made->rows[i];
		double moved = row->new_per_s > 0 ? row->new_per_s * interval_s : 0;

		frame->count_entries += row->entries;
		frame->new_entries += (uint32_t)moved;
		if (frame->row_count < SHM_FRAME_ROWS && row->entries)
			frame->rows[frame->row_count++] = (struct snap_frame_row){
				row->key, row->entries, (uint32_t)moved, (uint32_t)moved};
		for (unsigned int s = 0; s < STATE_SLOTS_MAX; s++)
			if (row->states[s] && frame->cell_count < SHM_FRAME_CELLS)
				frame->cells[frame->cell_count++] = (struct snap_frame_cell){
					row->key, (uint8_t)s, row->states[s]};
	}
}

static void make_frames(struct made *made, struct snap_table_log *frames, size_t count)
{
	assert_true(count <= SHM_FRAMES);
	frames->count = count;
	for (size_t i = 0; i < count; i++) {
		fill_frame(made, frames->interval_s, &frames->frames[i]);
		frames->frames[i].real_ns =
			NOW_NS - (uint64_t)((double)(count - 1 - i) * frames->interval_s * 1e9);
	}
}

void made_frames(struct made *made, size_t count)
{
	make_frames(made, &made->details.minutes, count);
}

void made_hour(struct made *made, size_t count)
{
	make_frames(made, &made->details.hour, count);
}

static void vary(struct made *made, const struct row_key *key, size_t shift)
{
	static const double times[6] = {1, 1.2, 0.8, 1, 1.2, 0.8};

	for (size_t i = 0; i < made->details.minutes.count; i++)
		for (uint32_t j = 0; j < made->minutes[i].row_count; j++) {
			struct snap_frame_row *row = &made->minutes[i].rows[j];

			if (!key || !memcmp(&row->key, key, sizeof(*key)))
				row->new_entries =
					(uint32_t)lround(row->new_entries * times[(i + shift) % 6]);
		}
}

void made_vary(struct made *made)
{
	vary(made, NULL, 0);
}

void made_vary_row(struct made *made, const struct row_key *key)
{
	vary(made, key, 1);
}

static struct snap_frame_row *frame_row(struct made *made, const struct row_key *key, size_t frame)
{
	for (uint32_t j = 0; j < made->minutes[frame].row_count; j++)
		if (!memcmp(&made->minutes[frame].rows[j].key, key, sizeof(*key)))
			return &made->minutes[frame].rows[j];
	fail_msg("no such row in frame %zu", frame);
	return NULL;
}

void made_move(struct made *made, const struct row_key *key, size_t frame, uint32_t new_entries)
{
	frame_row(made, key, frame)->new_entries -= new_entries;
	frame_row(made, key, frame + 1)->new_entries += new_entries;
}

void made_facts(struct made *made, const struct snap_row *row, const uint32_t parts[5])
{
	fixture_ages_facts(&made->age_sets[0], row_of(row->key), parts);
}

void made_idle(struct made *made, const struct snap_row *row, unsigned int state, uint32_t told,
	       uint32_t refreshed, uint32_t idle_s)
{
	made->idle.cell = cell_of(row->key, state);
	made->idle.told = told;
	made->idle.refreshed = refreshed;
	made->idle.idle_s = idle_s;
}

void made_idle_too(struct made *made, uint32_t told, uint32_t idle_s)
{
	made->idle.told_too = told;
	made->idle.idle_too_s = idle_s;
}

void made_idle_age(struct made *made, uint32_t age_s)
{
	made->idle.age_s = age_s;
}

void made_timeout(struct made *made, const struct snap_row *row, unsigned int state,
		  uint32_t timeout_s)
{
	made->own.cell = cell_of(row->key, state);
	made->own.timeout_s = timeout_s;
}

static void tell_timeout(struct made *made)
{
	struct shm_ages *ages = &made->age_sets[0].ages;

	for (uint32_t i = 0; i < peek_u32(&ages->cells_made); i++)
		if (made->own.timeout_s && peek_u32(&ages->cell[i].cell) == made->own.cell)
			poke_u32(&ages->cell[i].timeout_s, made->own.timeout_s);
}

static void tell_idle(struct made *made)
{
	struct shm_ages *ages = &made->age_sets[0].ages;

	for (uint32_t i = 0; i < peek_u32(&ages->cells_made); i++) {
		struct shm_ages_cell *cell = &ages->cell[i];

		if (!made->idle.told || peek_u32(&cell->cell) != made->idle.cell)
			continue;
		/* None refreshed: they are from before the agent, which cannot tell their age. */
		for (unsigned int k = 0; k < SHM_AGE_BUCKETS; k++)
			if (!made->idle.refreshed || made->idle.age_s)
				poke_u32(&cell->age[k], 0);
		if (made->idle.age_s)
			poke_u32(&cell->age[age_bucket(made->idle.age_s)],
				 peek_u32(&cell->entries));
		poke_u32(&cell->told, made->idle.told + made->idle.told_too);
		poke_u32(&cell->refreshed, made->idle.refreshed);
		for (unsigned int k = 0; k < SHM_AGE_BUCKETS; k++)
			poke_u32(&cell->idle[k], 0);
		poke_u32(&cell->idle[age_bucket(made->idle.idle_too_s)], made->idle.told_too);
		poke_u32(&cell->idle[age_bucket(made->idle.idle_s)], made->idle.told);
	}
}

/* As if all had come evenly, and nothing had refreshed them. */
/* What is open is no older than it was seen to be; what waits comes from the timeout. */
static double span_s(const struct made *made, const struct snap_row *row, unsigned int state)
{
	int timeout = timeout_of_state(row->key.l4proto, state);

	for (size_t i = 0; state == ST_TCP_ESTABLISHED && i < made->details.detail_count; i++) {
		const struct snap_row_detail *detail = &made->rows_detail[i];

		if (!memcmp(&detail->key, &row->key, sizeof(row->key)) &&
		    detail->states[state].count)
			return detail->states[state].sum_s / (double)detail->states[state].count;
	}
	return timeout < 0 ? 600 : made->snap.timeouts_s[timeout];
}

static void make_ages(struct made *made)
{
	for (size_t i = 0; i < made->snap.row_count; i++) {
		const struct snap_row *row = &made->rows[i];

		for (unsigned int state = 0; state < STATE_SLOTS_MAX; state++) {
			if (row->states[state])
				fixture_ages_cell(&made->age_sets[0], cell_of(row->key, state),
						  row->states[state],
						  fixture_ages_span_s(span_s(made, row, state)));
		}
	}
	tell_idle(made);
	tell_timeout(made);
	poke_u64(&made->age_sets[0].real_ns, NOW_NS);
	snap_ages_copy(made->age_sets, made->ages);
	made->details.ages = made->ages;
}

void made_look(struct made *made)
{
	int64_t sum = 0;

	for (size_t i = 0; i < made->snap.row_count; i++)
		sum += made->rows[i].entries;
	made->snap.live.mirror_entries = sum;
	if (!made->snap.live.count_entries)
		made->snap.live.count_entries = sum;
	make_ages(made);
	model_free(&made->model);
	assert_int_equal(model_build(&made->snap, &made->details, &made->model), 0);
	why_look(&made->snap, &made->details, &made->model, &made->why);
}

void made_advice(struct made *made)
{
	made_look(made);
	assert_int_equal(advice_make(&made->why, &made->advice), 0);
}

const struct finding *made_finding(const struct made *made, const char *id)
{
	for (uint32_t i = 0; i < made->why.finding_count; i++)
		if (!strcmp(pattern_info(made->why.findings[i].pattern)->id, id))
			return &made->why.findings[i];
	return NULL;
}

const struct advice_item *made_item(const struct made *made, const char *id)
{
	for (uint32_t i = 0; i < made->advice.count; i++)
		if (!strcmp(made->advice.items[i].id, id))
			return &made->advice.items[i];
	return NULL;
}

double made_figure(const struct finding *finding, const char *name)
{
	for (uint32_t i = 0; i < finding->figure_count; i++)
		if (!strcmp(finding->figures[i].name, name))
			return finding->figures[i].value;
	return (double)NAN;
}

void made_whatif(const struct made *made, const char *words, struct whatif_result *result)
{
	struct whatif whatif = {.count = 0};
	char copy[256], why[WHATIF_WHY_BYTES], key[WHATIF_KEY_BYTES];
	char *save = NULL;

	snprintf(copy, sizeof(copy), "%s", words);
	for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		char *value = strchr(word, '=');

		assert_non_null(value);
		*value++ = '\0';
		if (whatif_add(&whatif, word, value, why))
			fail_msg("%s=%s: %s", word, value, why);
	}
	assert_int_equal(whatif_check(&whatif, key, why), 0);
	assert_int_equal(whatif_run(&whatif, &made->model, result), 0);
}

double made_then(const struct made *made, const char *words)
{
	struct whatif_result result;
	double then;

	made_whatif(made, words, &result);
	then = result.steady_then;
	whatif_free(&result);
	return then;
}

struct made *made_nginx(double up_per_s)
{
	struct made *made = made_new();

	made_short(made, DIR_INBOUND, 80, 25, 0.1, 30);
	if (up_per_s > 0)
		made_short(made, DIR_OUTBOUND, 8080, up_per_s, 0.1, 30);
	made_frames(made, 30);
	made_vary(made);
	return made;
}

/* A server and its gateway in ordinary use: some of everything. */
struct made *made_healthy(void)
{
	struct made *made = made_new();
	struct snap_row *row;

	row = made_short(made, DIR_INBOUND, 443, 12, 20, 30); /* 240 open, 1800 waiting */
	made_state(row, ST_TCP_SYN_RECV, 12);
	made_state(row, ST_TCP_CLOSE_WAIT, 30);
	made_short(made, DIR_INBOUND, 80, 6, 1, 30);
	made_short(made, DIR_OUTBOUND, 5432, 0.5, 600, 30);
	made_short(made, DIR_OUTBOUND, 443, 3, 5, 30);
	row = made_row(made, L4_UDP, DIR_OUTBOUND, 53);
	made_state(row, ST_GENERIC_REPLIED, 500);
	made_state(row, ST_GENERIC_UNREPLIED, 20);
	made_rate(row, 10);
	row = made_row(made, L4_UDP, DIR_FORWARDED, 443);
	made_state(row, ST_GENERIC_ASSURED, 900);
	made_rate(row, 5);
	row = made_row(made, L4_TCP, DIR_FORWARDED, 443);
	made_state(row, ST_TCP_ESTABLISHED, 1500);
	made_state(row, ST_TCP_TIME_WAIT, 800);
	made_state(row, ST_TCP_SYN_SENT, 25);
	made_rate(row, 8);
	row = made_row(made, L4_ICMP, DIR_INBOUND, 0);
	made_state(row, ST_GENERIC_REPLIED, 40);
	for (unsigned int i = 0; i < 30; i++)
		made_talker(made, SHM_TALKER_SOURCE, 100 + i, 200, 0, 0);
	made_frames(made, 60);
	made_hour(made, 90);
	return made;
}

void made_assert_named(struct made *made, const char *id, enum confidence confidence)
{
	const struct finding *finding;

	made_look(made);
	finding = made_finding(made, id);
	if (!finding)
		fail_msg("%s is not named", id);
	if (finding->confidence != confidence)
		fail_msg("%s: %s", id, confidence_name(finding->confidence));
	assert_true(finding->summary[0] != '\0');
	assert_true(finding->figure_count > 0);
	if (confidence != CONFIDENCE_SURE)
		assert_non_null(finding->unsure);
}

void made_assert_none(struct made *made)
{
	made_look(made);
	for (uint32_t i = 0; i < made->why.finding_count; i++)
		fail_msg("%s: %s", pattern_info(made->why.findings[i].pattern)->id,
			 made->why.findings[i].summary);
	assert_false(made->why.urgent);
}
