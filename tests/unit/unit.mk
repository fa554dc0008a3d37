# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-unit      the modules of lib/ and agent/, plain and under ASan+UBSan
#                     SEED=n repeats one run of the randomised tests
# make test-tsan      writer and readers of the segment under TSan
#
# One cmocka program a module: tests/unit/test_*.c. No root, no network, no clock.

UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_PROGRAMS := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/unit/%)
UNIT_UNDER_TEST := $(LIB_SRC) $(AGENT_SRC) $(REPLAY_SRC)
UNIT_LIB := $(BUILD)/tests/unit/libundertest.a
# Numbers in tests are small and literal: conversions of theirs prove nothing.
UNIT_CFLAGS := -Wno-conversion -Wno-sign-conversion -Wno-missing-field-initializers
UNIT_SANITIZE ?= address,undefined
# Programs at the same time.
UNIT_JOBS ?= $(shell nproc)

$(BUILD)/tests/unit/test_%.o: tests/unit/test_%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) $(UNIT_CFLAGS) -MMD -MP -c -o $@ $<

$(UNIT_LIB): $(call obj,$(UNIT_UNDER_TEST) tests/unit/offline_checks.c tests/unit/statistics.c)
	@mkdir -p $(@D)
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(UNIT_PROGRAMS): %: %.o $(UNIT_LIB)
	$(call link,$^,$(shell $(PKG_CONFIG) --libs cmocka $(AGENT_LIBS)) -lpthread -lm)

# The reader's and the writer's own code is instrumented too, so it is compiled here.
TSAN_SRC := tests/unit/tsan_segment.c $(wildcard lib/base/*.c lib/kernel/*.c lib/event/*.c lib/shm/*.c) \
	lib/mirror/histogram.c lib/mirror/ports.c
TSAN_CFLAGS = $(filter-out -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2,$(ALL_CFLAGS)) $(UNIT_CFLAGS) \
	$(BUILD_INFO) -fsanitize=thread -fno-omit-frame-pointer $(if $(findstring clang,$(CC)),,-Wno-tsan)

$(BUILD)/tests/unit/tsan_segment: $(TSAN_SRC) $(wildcard lib/*/*.h lib/*/*.def agent/*.h agent/*/*.h) Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(TSAN_CFLAGS) $(ALL_LDFLAGS) -o $@ $(TSAN_SRC) \
		$(shell $(PKG_CONFIG) --libs libseccomp libcap-ng libxxhash) -lpthread -lm

TSAN_RECORDS_SRC := tests/unit/tsan_records.c tests/unit/offline_checks.c $(LIB_SRC) \
	$(AGENT_SRC)

$(BUILD)/tests/unit/tsan_records: $(TSAN_RECORDS_SRC) $(wildcard lib/*/*.h lib/*/*.def agent/*.h agent/*/*.h) Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(TSAN_CFLAGS) -Wno-double-promotion $(ALL_LDFLAGS) -o $@ \
		$(TSAN_RECORDS_SRC) $(shell $(PKG_CONFIG) --libs $(AGENT_LIBS)) -lpthread -lm

.PHONY: unit-programs unit-run unit-run-asan test-unit test-tsan
unit-programs: $(UNIT_PROGRAMS)

unit-run: $(UNIT_PROGRAMS)
	$(Q)printf '%s\n' $^ | xargs -n 1 -P $(UNIT_JOBS) tests/unit/one.sh

unit-run-asan:
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=$(UNIT_SANITIZE) unit-run

test-unit: unit-run unit-run-asan

test-tsan: $(BUILD)/tests/unit/tsan_segment $(BUILD)/tests/unit/tsan_records
	$(Q)for program in $^; do TSAN_OPTIONS=halt_on_error=1:exitcode=66 $$program || exit $$?; done
