// SPDX-License-Identifier: GPL-2.0-or-later
/* Reader and writer of the trace format. See trace.h. */
#include "lib/trace/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lib/base/num.h"

struct cursor {
	char *at; /* NULL: no columns left */
};

static const struct {
	const char *name;
	enum trace_kind kind;
} kinds[] = {
	{"SYSCTL", TRACE_SYSCTL}, {"DUMP", TRACE_DUMP},	      {"NEW", TRACE_NEW},
	{"UPDATE", TRACE_UPDATE}, {"DESTROY", TRACE_DESTROY}, {"STAT", TRACE_STAT},
	{"EVAL", TRACE_EVAL},	  {"LOST", TRACE_LOST},
};

void trace_reader_init(struct trace_reader *r, FILE *in)
{
	memset(r, 0, sizeof(*r));
	r->in = in;
}

static char *next_column(struct cursor *c)
{
	char *start = c->at, *comma;

	if (!start)
		return NULL;
	comma = strchr(start, ',');
	if (comma)
		*comma++ = '\0';
	c->at = comma;
	return start;
}

/* A column of digits only, at most limit. */
static bool get_number(struct cursor *c, uint64_t limit, uint64_t *value)
{
	return num_u64(next_column(c), 0, limit, value) == 0;
}

static bool get_u32(struct cursor *c, uint32_t *value)
{
	uint64_t v;

	if (!get_number(c, UINT32_MAX, &v))
		return false;
	*value = (uint32_t)v;
	return true;
}

static bool get_text(struct cursor *c, char *to, size_t size)
{
	const char *p = next_column(c);
	size_t len = p ? strlen(p) : 0;

	if (!len || len >= size)
		return false;
	memcpy(to, p, len + 1);
	return true;
}

static bool parse_entry(struct cursor *c, struct trace_entry *e)
{
	uint64_t sport, dport, assured, timeout_s;

	if (!get_number(c, UINT64_MAX, &e->id) || !get_text(c, e->proto, sizeof(e->proto)) ||
	    !get_text(c, e->src, sizeof(e->src)) || !get_text(c, e->dst, sizeof(e->dst)) ||
	    !get_number(c, 65535, &sport) || !get_number(c, 65535, &dport) ||
	    !get_text(c, e->state, sizeof(e->state)) || !get_number(c, 1, &assured) ||
	    !get_number(c, UINT32_MAX, &timeout_s))
		return false;
	e->sport = (uint16_t)sport;
	e->dport = (uint16_t)dport;
	e->assured = assured;
	e->timeout_s = (uint32_t)timeout_s;
	return true;
}

static bool parse_meta(struct cursor *c, struct trace_record *rec)
{
	static const char *const names[] = {"version=", "max=", "buckets=", "day_s=", "horizon="};
	uint32_t *const to[] = {
		&rec->meta.version, &rec->meta.max,	  &rec->meta.buckets,
		&rec->meta.day_s,   &rec->meta.horizon_s,
	};
	unsigned int i;
	char *p;

	memset(&rec->meta, 0, sizeof(rec->meta));
	while ((p = next_column(c)) != NULL) {
		for (i = 0; i < 5; i++) {
			struct cursor value = {p + strlen(names[i])};

			if (!strncmp(p, names[i], strlen(names[i])) && !get_u32(&value, to[i]))
				return false;
		}
	}
	return rec->meta.version > 0;
}

static bool parse_columns(struct cursor *c, struct trace_record *rec)
{
	switch (rec->kind) {
	case TRACE_META:
		return parse_meta(c, rec);
	case TRACE_SYSCTL:
		return get_text(c, rec->sysctl.name, sizeof(rec->sysctl.name)) &&
		       get_u32(c, &rec->sysctl.value_s);
	case TRACE_STAT:
		return get_u32(c, &rec->stat.count) && get_u32(c, &rec->stat.max) &&
		       get_number(c, UINT64_MAX, &rec->stat.drop) &&
		       get_number(c, UINT64_MAX, &rec->stat.early_drop);
	case TRACE_EVAL:
		return get_number(c, UINT64_MAX, &rec->eval);
	case TRACE_LOST:
		return get_number(c, UINT64_MAX, &rec->lost);
	default:
		return parse_entry(c, &rec->entry);
	}
}

/* 1: a record, 0: skip this line, -EBADMSG */
static int parse_line(struct trace_reader *r, char *line, struct trace_record *rec)
{
	struct cursor c = {line};
	uint64_t t_ns;
	const char *name;
	unsigned int i;

	if (line[0] == '#') {
		if (strncmp(line, "#meta,", 6))
			return 0;
		next_column(&c);
		rec->kind = TRACE_META;
		rec->t_ns = 0;
	} else {
		r->error = "does not begin with a time";
		if (!get_number(&c, INT64_MAX, &t_ns))
			return -EBADMSG;
		rec->t_ns = (int64_t)t_ns;
		r->error = "has no kind";
		name = next_column(&c);
		if (!name || !*name)
			return -EBADMSG;
		for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			if (!strcmp(name, kinds[i].name))
				break;
		if (i == sizeof(kinds) / sizeof(kinds[0]))
			return 0;
		rec->kind = kinds[i].kind;
		r->error = "time runs backwards";
		if (rec->t_ns < r->last_ns)
			return -EBADMSG;
		r->last_ns = rec->t_ns;
	}
	r->error = "a column is missing or wrong";
	return parse_columns(&c, rec) ? 1 : -EBADMSG;
}

int trace_read(struct trace_reader *r, struct trace_record *rec)
{
	char line[TRACE_LINE_MAX];
	size_t len;
	int ret;

	while (fgets(line, sizeof(line), r->in)) {
		r->line++;
		len = strlen(line);
		if ((!len || line[len - 1] != '\n') && !feof(r->in)) {
			r->error = len + 1 == sizeof(line) ? "line too long" : "zero byte";
			return -EBADMSG;
		}
		while (len && (line[len - 1] == '\n' || line[len - 1] == '\r'))
			line[--len] = '\0';
		if (!len)
			continue;
		ret = parse_line(r, line, rec);
		if (ret < 0)
			return ret;
		if (!ret)
			continue;
		r->error = NULL;
		if (rec->kind == TRACE_META && rec->meta.version != TRACE_VERSION) {
			r->error = "not version 1 of the format";
			return -EPROTO;
		}
		return 1;
	}
	return ferror(r->in) ? -EIO : 0;
}

int trace_write(FILE *out, const struct trace_record *rec)
{
	const struct trace_entry *e = &rec->entry;
	int ret;

	switch (rec->kind) {
	case TRACE_META:
		ret = fprintf(out, "#meta,version=%u,max=%u,buckets=%u,day_s=%u,horizon=%u\n",
			      rec->meta.version, rec->meta.max, rec->meta.buckets, rec->meta.day_s,
			      rec->meta.horizon_s);
		break;
	case TRACE_SYSCTL:
		ret = fprintf(out, "%" PRId64 ",SYSCTL,%s,%u\n", rec->t_ns, rec->sysctl.name,
			      rec->sysctl.value_s);
		break;
	case TRACE_STAT:
		ret = fprintf(out, "%" PRId64 ",STAT,%u,%u,%" PRIu64 ",%" PRIu64 "\n", rec->t_ns,
			      rec->stat.count, rec->stat.max, rec->stat.drop, rec->stat.early_drop);
		break;
	case TRACE_EVAL:
		ret = fprintf(out, "%" PRId64 ",EVAL,%" PRIu64 "\n", rec->t_ns, rec->eval);
		break;
	case TRACE_LOST:
		ret = fprintf(out, "%" PRId64 ",LOST,%" PRIu64 "\n", rec->t_ns, rec->lost);
		break;
	default:
		ret = fprintf(out, "%" PRId64 ",%s,%" PRIu64 ",%s,%s,%s,%u,%u,%s,%d,%u\n",
			      rec->t_ns,
			      rec->kind == TRACE_DUMP	  ? "DUMP"
			      : rec->kind == TRACE_NEW	  ? "NEW"
			      : rec->kind == TRACE_UPDATE ? "UPDATE"
							  : "DESTROY",
			      e->id, e->proto, e->src, e->dst, e->sport, e->dport, e->state,
			      e->assured, e->timeout_s);
		break;
	}
	return ret < 0 ? -EIO : 0;
}
