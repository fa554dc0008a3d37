// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/incident/incident.h"

#include <errno.h>
#include <string.h>

#include "lib/base/crc32.h"
#include "lib/base/sparse.h"
#include "lib/shm/layout.h"
#include "lib/shm/seqlock.h"
#include "lib/shm/snapshot.h"

/* Existing files do not change: another layout needs another INCIDENT_FORMAT. */
#define AT(field, offset)                                                                          \
	_Static_assert(offsetof(struct incident_head, field) == (offset), #field " moved")
AT(body_crc32, 12);
AT(format, 16);
AT(head_bytes, 24);
AT(boot_id, 32);
AT(instance_id, 48);
AT(agent_pid, 80);
AT(began_real_ns, 88);
AT(stage_real_ns, 112);
AT(peak_real_ns, 144);
AT(base_drops, 168);
AT(top_row, 216);
AT(id, 248);
AT(netns_name, 280);
AT(agent_version, 344);
AT(_reserved, 376);
_Static_assert(sizeof(struct incident_head) == 512, "the head has a fixed size");
_Static_assert(sizeof(struct incident_piece) == 16, "no holes");

#define CHECKED_FROM offsetof(struct incident_head, body_crc32)

static uint32_t head_crc(const struct incident_head *head)
{
	return crc32_bytes(0, (const char *)head + CHECKED_FROM, sizeof(*head) - CHECKED_FROM);
}

void incident_seal(struct incident_head *head, const void *body, size_t body_bytes)
{
	head->magic = INCIDENT_MAGIC;
	head->format = INCIDENT_FORMAT;
	head->head_bytes = sizeof(*head);
	head->body_bytes = (uint32_t)body_bytes;
	head->body_crc32 = crc32_bytes(0, body, body_bytes);
	head->head_crc32 = head_crc(head);
}

/* Names go to terminals, JSON and HTML. */
static bool is_text(const char *text, size_t room)
{
	size_t i = 0;

	for (; i < room && text[i]; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			return false;
	return i < room;
}

static bool fields_fit(const struct incident_head *head)
{
	return head->stage < INCIDENT_STAGES && is_text(head->id, sizeof(head->id)) &&
	       incident_id_good(head->id) && is_text(head->netns_name, sizeof(head->netns_name)) &&
	       is_text(head->agent_version, sizeof(head->agent_version)) &&
	       (head->limit_kind < SHM_LIMIT_COUNT || head->limit_kind == INCIDENT_LIMIT_NAT) &&
	       head->rows_kept <= INCIDENT_ROWS &&
	       (head->top_row == ROW_INVALID || head->top_row < ROW_COUNT) &&
	       (head->top_cell == CELL_INVALID || cell_row(head->top_cell) == head->top_row);
}

int incident_check_head(const void *data, size_t bytes, uint64_t file_bytes,
			struct incident_head *ret_head)
{
	struct incident_head head;

	if (bytes < sizeof(head) || file_bytes > INCIDENT_FILE_MAX)
		return -EMSGSIZE;
	memcpy(&head, data, sizeof(head));
	if (head.magic != INCIDENT_MAGIC)
		return -EBADMSG;
	if (head.format != INCIDENT_FORMAT)
		return -EPROTO;
	if (head.head_crc32 != head_crc(&head))
		return -EILSEQ;
	if (head.head_bytes != sizeof(head) ||
	    file_bytes != sizeof(head) + (uint64_t)head.body_bytes)
		return -EMSGSIZE;
	if (!fields_fit(&head))
		return -EINVAL;
	*ret_head = head;
	return 0;
}

/* --- the body ------------------------------------------------------------------ */

static void *place(struct incident_image *image, enum shm_section_id id)
{
	return (char *)(uintptr_t)image->reader.base + image->reader.sections[id];
}

/* Sections that were not kept look as in a new segment. */
static void init_contents(struct incident_image *image)
{
	struct shm_slots *slots = place(image, SHM_SECTION_SLOTS);
	struct shm_detail *details = place(image, SHM_SECTION_DETAILS);

	for (unsigned int i = 0; i < SHM_SLOT_COUNT; i++)
		poke_u32(&slots->slot[i].row, ROW_INVALID);
	for (unsigned int i = 0; i < SHM_DETAILS + SHM_DETAIL_POOLS; i++)
		poke_u32(&details[i].row, ROW_INVALID);
}

static int map_image(struct incident_image *image)
{
	const struct incident_head *head = &image->head;
	struct shm_section sections[SHM_SECTION_COUNT];
	uint64_t total = shm_layout(sections);
	struct shm_header *header = sparse_alloc((size_t)total);

	if (!header)
		return -ENOMEM;
	image->reader = (struct shm_reader){.base = header, .size_bytes = total};
	memcpy(image->reader.boot_id, head->boot_id, sizeof(head->boot_id));
	for (unsigned int i = 0; i < SHM_SECTION_COUNT; i++)
		image->reader.sections[i] = sections[i].offset_bytes;
	memcpy(header->boot_id, head->boot_id, sizeof(header->boot_id));
	memcpy(header->agent_version, head->agent_version, sizeof(header->agent_version));
	memcpy(header->netns_name, head->netns_name, sizeof(header->netns_name));
	header->instance_id = head->instance_id;
	header->created_real_ns = head->created_real_ns;
	header->created_boot_ns = head->created_boot_ns;
	header->netns_inode = head->netns_inode;
	header->agent_pid = head->agent_pid;
	init_contents(image);
	return 0;
}

/* Where a piece goes, and how much of it; 0 bytes: nowhere in this version. */
static int place_piece(const struct incident_head *head, const struct incident_piece *piece,
		       uint64_t *ret_bytes)
{
	bool newer = head->version_minor > SHM_VERSION_MINOR;
	uint64_t room;

	*ret_bytes = 0;
	if (piece->offset_bytes % 8 || piece->size_bytes % 8)
		return -EINVAL;
	if (piece->section >= SHM_SECTION_COUNT)
		return newer ? 0 : -EINVAL;
	room = (shm_section_bytes(piece->section) + 7u) & ~UINT64_C(7);
	if (piece->offset_bytes <= room && piece->size_bytes <= room - piece->offset_bytes) {
		*ret_bytes = piece->size_bytes;
		return 0;
	}
	/* Only the scalars grow in place. */
	if (!newer || piece->section != SHM_SECTION_LIVE)
		return -EINVAL;
	if (piece->offset_bytes < room)
		*ret_bytes = room - piece->offset_bytes;
	return 0;
}

static int put_pieces(struct incident_image *image, const uint8_t *body, size_t bytes)
{
	while (bytes > 0) {
		struct incident_piece piece;
		uint64_t taken;
		int err;

		if (bytes < sizeof(piece))
			return -EINVAL;
		memcpy(&piece, body, sizeof(piece));
		body += sizeof(piece);
		bytes -= sizeof(piece);
		if (piece.size_bytes > bytes)
			return -EINVAL;
		err = place_piece(&image->head, &piece, &taken);
		if (err)
			return err;
		if (taken)
			memcpy((char *)place(image, piece.section) + piece.offset_bytes, body,
			       (size_t)taken);
		body += piece.size_bytes;
		bytes -= piece.size_bytes;
	}
	return 0;
}

/* Each row costs a reader memory; a lock left taken makes it wait long. */
static int check_image(struct incident_image *image)
{
	const _Atomic uint64_t *map = place(image, SHM_SECTION_ROWMAP);
	static const enum shm_section_id locked[] = {
		SHM_SECTION_LIVE, SHM_SECTION_SLOTS,	SHM_SECTION_FORECAST, SHM_SECTION_TALKERS,
		SHM_SECTION_NAT,  SHM_SECTION_SETTINGS, SHM_SECTION_ZONES};
	uint32_t rows = 0;

	for (uint32_t i = 0; i < (ROW_COUNT + 63u) / 64u; i++)
		rows += (uint32_t)__builtin_popcountll(peek_u64(&map[i]));
	if (rows > INCIDENT_ROWS)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(locked) / sizeof(locked[0]); i++)
		if (peek_u64(place(image, locked[i])) & 1u)
			return -EINVAL;
	return 0;
}

int incident_image_open(struct incident_image *image, const void *data, size_t bytes)
{
	const uint8_t *body = (const uint8_t *)data + sizeof(struct incident_head);
	int err;

	memset(image, 0, sizeof(*image));
	err = incident_check_head(data, bytes, bytes, &image->head);
	if (err)
		return err;
	if (crc32_bytes(0, body, image->head.body_bytes) != image->head.body_crc32)
		return -EILSEQ;
	if (image->head.version_major != SHM_VERSION_MAJOR)
		return -EPROTO;
	err = map_image(image);
	if (!err)
		err = put_pieces(image, body, image->head.body_bytes);
	if (!err)
		err = check_image(image);
	if (err)
		incident_image_close(image);
	return err;
}

void incident_image_close(struct incident_image *image)
{
	shm_reader_close(&image->reader);
}

int incident_snapshot(struct incident_image *image, struct snapshot *snap)
{
	const struct incident_head *head = &image->head;
	const struct shm_live *live = shm_reader_section(&image->reader, SHM_SECTION_LIVE);
	int64_t all = live->mirror_entries;
	int err = snapshot_take(&image->reader, head->taken_boot_ns, head->taken_real_ns, snap);

	if (err)
		return err;
	/* Shares are of the whole table, including rows that were not kept. */
	if (all <= snap->live.mirror_entries)
		return 0;
	snap->live.mirror_entries = all;
	if (__builtin_sub_overflow(snap->live.count_entries, all, &snap->live.residual_entries))
		snap->live.residual_entries = INT64_MAX;
	return 0;
}
