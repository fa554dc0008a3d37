// SPDX-License-Identifier: GPL-2.0-or-later
#include "exporters/http/toolkit/gzip.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#define GZIP_LEVEL	 3  /* a scrape shrinks tenfold at level 3 already */
#define GZIP_WINDOW_BITS 31 /* 15, and a gzip header */
#define GZIP_MIN_BYTES	 512u

bool gzip_text(struct text *text)
{
	z_stream stream = {.zalloc = Z_NULL};
	unsigned char *packed;
	int result;

	if (text->bytes < GZIP_MIN_BYTES || text->bytes > UINT_MAX / 2)
		return false;
	packed = malloc(text->bytes);
	if (!packed)
		return false;
	if (deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, 8,
			 Z_DEFAULT_STRATEGY) != Z_OK) {
		free(packed);
		return false;
	}
	stream.next_in = (unsigned char *)text->data;
	stream.avail_in = (unsigned int)text->bytes;
	stream.next_out = packed;
	stream.avail_out = (unsigned int)text->bytes;
	result = deflate(&stream, Z_FINISH);
	deflateEnd(&stream);
	if (result != Z_STREAM_END) {
		free(packed);
		return false;
	}
	free(text->data);
	text->data = (char *)packed;
	text->room = text->bytes;
	text->bytes = stream.total_out;
	return true;
}
