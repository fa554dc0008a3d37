// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An incident file with anything in it: an error or an image whose snapshot and history
 * can be taken and explained, with and without hosts, as JSON and as text; no crash, no
 * endless loop, bounded rows.
 *
 * The first byte of an input chooses: even, the rest is the file as it is; odd, the rest
 * is a body behind a good head, of which eight bytes are changed, and the checksums are
 * made right: what lies behind them is to be reached.
 */
#include <stdlib.h>
#include <string.h>

#include "exporters/advice/incident_view.h"
#include "lib/base/check.h"
#include "lib/incident/incident.h"
#include "lib/shm/layout.h"
#include "lib/shm/snapshot.h"

#define CHANGE_BYTES 10u /* where: 2; what: 8 */

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t file[INCIDENT_FILE_MAX];
static struct snapshot snap;
static struct snap_history history;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	snapshot_init(&snap);
	snap_history_init(&history);
	return shm_reader_install_guard();
}

static size_t with_head(const uint8_t *data, size_t size)
{
	struct incident_head head = {.version_major = SHM_VERSION_MAJOR,
				     .version_minor = SHM_VERSION_MINOR,
				     .top_row = ROW_INVALID,
				     .top_cell = CELL_INVALID};
	size_t at;

	incident_id_make(UINT64_C(1764000000000000000), 1, head.id);
	/* Anywhere behind the first of the checksums. */
	at = 16u + (data[0] | (size_t)data[1] << 8) % (sizeof(head) - 16u - 7u);
	if (data[0] || data[1])
		memcpy((uint8_t *)&head + at, data + 2, 8);
	data += CHANGE_BYTES;
	size -= CHANGE_BYTES;
	if (size > sizeof(file) - sizeof(head))
		size = sizeof(file) - sizeof(head);
	memcpy(file + sizeof(head), data, size);
	incident_seal(&head, data, size);
	memcpy(file, &head, sizeof(head));
	return sizeof(head) + size;
}

static void look_at(struct incident_image *image)
{
	const struct incident_head *head = &image->head;

	BUG_ON(head->stage >= INCIDENT_STAGES || !incident_id_good(head->id));
	if (incident_snapshot(image, &snap) == 0)
		BUG_ON(snap.row_count > INCIDENT_ROWS);
	if (snapshot_take_history(&image->reader, false, &history) == 0)
		BUG_ON(history.sample_count > SHM_HISTORY_SECONDS);
	if (snapshot_take_history(&image->reader, true, &history) == 0)
		BUG_ON(history.sample_count > SHM_HISTORY_MINUTES);
}

static void explain(struct incident_image *image, bool hosts, bool as_text)
{
	const struct incident_item item = {
		.last = image->head, .worst = image->head, .stages = 1u << image->head.stage};
	struct incident_view view = {.item = &item,
				     .boot_id = image->head.boot_id,
				     .shown = &image->head,
				     .problem = ""};
	struct text out;

	text_init(&out);
	incident_view_incident(&view, image, hosts, as_text, &out);
	BUG_ON(!out.failed && !out.bytes);
	text_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct incident_image image;
	char id[INCIDENT_ID_BYTES], name[INCIDENT_NAME_BYTES];
	unsigned int stage;
	uint8_t *copy;

	if (size == 0)
		return 0;
	if (data[0] % 2 && size > CHANGE_BYTES) {
		size = with_head(data + 1, size - 1);
		data = file;
	} else {
		data++;
		size--;
	}
	/* Of exactly this size: a byte too far is seen. */
	copy = malloc(size + 1);
	BUG_ON(!copy);
	memcpy(copy, data, size);
	if (incident_image_open(&image, copy, size) == 0) {
		look_at(&image);
		explain(&image, size & 1, size & 2);
		incident_image_close(&image);
	}
	free(copy);
	memcpy(name, data, size < sizeof(name) ? size : sizeof(name) - 1);
	name[size < sizeof(name) ? size : sizeof(name) - 1] = '\0';
	if (incident_name_parse(name, id, &stage))
		BUG_ON(stage >= INCIDENT_STAGES);
	return 0;
}
