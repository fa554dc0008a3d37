// SPDX-License-Identifier: GPL-2.0-or-later
/* The trace format: what is read, what is skipped, what is refused and where. */
#include "lib/trace/trace.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants these before it */
#include <cmocka.h>

#define HEAD  "#meta,version=1,max=100,buckets=64,day_s=86400,horizon=3600\n"
#define ENTRY "tcp,10.0.0.1,2001:db8::1,1234,443,SYN_SENT,0,120"

static int read_all(const char *text, unsigned int *records, unsigned long *line)
{
	FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
	struct trace_reader r;
	struct trace_record rec;
	int ret;

	assert_non_null(in);
	trace_reader_init(&r, in);
	*records = 0;
	while ((ret = trace_read(&r, &rec)) > 0)
		++*records;
	*line = r.line;
	if (ret == -EBADMSG || ret == -EPROTO)
		assert_non_null(r.error);
	fclose(in);
	return ret;
}

static void test_good_and_skipped(void **state)
{
	unsigned int records;
	unsigned long line;

	(void)state;
	assert_int_equal(read_all(HEAD "0,SYSCTL,tcp_timeout_close,10\n0,DUMP,7," ENTRY "\n"
				       "5,FUTURE,whatever\n#a comment\n\n6,NEW,8," ENTRY
				       ",more,columns\n"
				       "7,STAT,2,100,0,0,99\r\n8,EVAL,0\n9,DESTROY,8," ENTRY,
				  &records, &line),
			 0);
	assert_int_equal(records, 7);
}

static void test_malformed(void **state)
{
	static const char *const bad[] = {
		"x,EVAL,1",
		"1,",
		"1",
		"-1,EVAL,1",
		"1,EVAL,",
		"1,EVAL,1x",
		"1,EVAL",
		"1,STAT,1,2,3",
		"1,STAT,99999999999,2,3,4",
		"1,NEW,1,tcp,a,b,70000,1,S,0,1",
		"1,NEW,1,tcp,a,b,1,1,S,2,1",
		"1,NEW,1,tcp,a,b,1,1,,0,1",
		"1,SYSCTL,,5",
		"99999999999999999999,EVAL,1",
		"1,UPDATE,1,tcp,a,b,1,1,A_STATE_FAR_TOO_LONG,0,1",
	};
	unsigned int i, records;
	unsigned long line;
	char text[512];

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), HEAD "1,EVAL,0\n%s\n", bad[i]);
		assert_int_equal(read_all(text, &records, &line), -EBADMSG);
		assert_int_equal(line, 3);
		assert_int_equal(records, 2);
	}
	assert_int_equal(read_all(HEAD "5,EVAL,0\n4,EVAL,1\n", &records, &line), -EBADMSG);
	assert_int_equal(read_all("#meta,version=2,max=1\n", &records, &line), -EPROTO);
}

static void test_too_long(void **state)
{
	char *text = malloc(4096);
	unsigned int records;
	unsigned long line;

	(void)state;
	memset(text, '1', 4095);
	text[4095] = '\0';
	assert_int_equal(read_all(text, &records, &line), -EBADMSG);
	assert_int_equal(line, 1);
	free(text);
}

static void test_round_trip(void **state)
{
	static const char text[] =
		HEAD "0,SYSCTL,udp_timeout,30\n0,DUMP,7," ENTRY "\n6,NEW,8," ENTRY "\n"
		     "6,UPDATE,8," ENTRY "\n7,STAT,2,100,3,4\n8,EVAL,0\n9,DESTROY,8," ENTRY "\n";
	char back[1024] = "";
	FILE *in = fmemopen((void *)(uintptr_t)text, sizeof(text) - 1, "r");
	FILE *out = fmemopen(back, sizeof(back), "w");
	struct trace_reader r;
	struct trace_record rec;

	(void)state;
	trace_reader_init(&r, in);
	while (trace_read(&r, &rec) > 0)
		assert_int_equal(trace_write(out, &rec), 0);
	fclose(in);
	fclose(out);
	assert_string_equal(back, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_and_skipped),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
