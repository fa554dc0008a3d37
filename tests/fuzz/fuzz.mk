# SPDX-License-Identifier: GPL-2.0-or-later
#
# make fuzz-smoke     each fuzz target for FUZZ_SECONDS (8): part of make test
# make fuzz           each for FUZZ_LONG_SECONDS (600)
#
# Corpora are made by tests/fuzz/make_corpus.py from the recording of tests/replay.
# What a target finds is kept in build/fuzz/<target>-*; run the program with it.

FUZZ_CC ?= clang
FUZZ_SECONDS ?= 8
FUZZ_LONG_SECONDS ?= 600
FUZZ_TARGETS := fuzz_parser fuzz_shm_reader fuzz_incident
FUZZ_DIR := $(BUILD)/fuzz
FUZZ_CFLAGS = -std=gnu11 -D_GNU_SOURCE -I. -O1 -g -fno-omit-frame-pointer \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	-DCONNTIDE_VERSION='"$(VERSION)"' -DCONNTIDE_REVISION='"$(REVISION)"'
FUZZ_SRC := $(LIB_SRC) $(wildcard agent/netlink/*.c) agent/base/worker.c $(SHOW_SRC)
# Has this clang a libFuzzer? Asked when it matters only.
FUZZ_MISSING = $(shell printf 'int LLVMFuzzerTestOneInput(void *d, unsigned long n){(void)d;(void)n;return 0;}' | \
	$(FUZZ_CC) -x c -fsanitize=fuzzer,address - -o /dev/null 2>/dev/null || echo missing)

$(FUZZ_DIR)/%: tests/fuzz/%.c $(FUZZ_SRC) $(wildcard lib/*/*.h lib/*/*.def agent/*.h agent/*/*.h exporters/*/*.h)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(FUZZ_CC) $(FUZZ_CFLAGS) -o $@ $< $(FUZZ_SRC) \
		$(shell pkg-config --libs libmnl libnetfilter_conntrack libxxhash libcjson libseccomp libcap-ng) -lm

$(FUZZ_DIR)/corpus: tests/fuzz/make_corpus.py $(wildcard tests/replay/recordings/*.feed)
	@mkdir -p $@
	$(call say,GEN,$@)$(PYTHON) $< $@
	@touch $@

fuzz_run = $(Q)for target in $(FUZZ_TARGETS); do \
	mkdir -p $(FUZZ_DIR)/found/$$target && \
	$(FUZZ_DIR)/$$target -max_total_time=$(1) -timeout=20 -rss_limit_mb=1500 -print_final_stats=1 \
		-verbosity=0 -close_fd_mask=0 -artifact_prefix=$(FUZZ_DIR)/$$target- \
		$(FUZZ_DIR)/found/$$target $(FUZZ_DIR)/corpus/$$target 2>$(FUZZ_DIR)/$$target.log || \
		{ cat $(FUZZ_DIR)/$$target.log; echo "$$target: FAILED"; exit 1; }; \
	echo "$$target: ok, $$(sed -n 's/^stat::number_of_executed_units: *//p' $(FUZZ_DIR)/$$target.log) inputs in $(1) s"; \
	done

.PHONY: fuzz-smoke fuzz fuzz-programs
ifneq ($(filter fuzz-smoke fuzz fuzz-programs,$(MAKECMDGOALS)),)
ifneq ($(FUZZ_MISSING),)
fuzz-smoke fuzz fuzz-programs:
	@echo "fuzz: SKIPPED, $(FUZZ_CC) has no libFuzzer here: apt-get install clang libclang-rt-14-dev"
else
fuzz-programs: $(FUZZ_TARGETS:%=$(FUZZ_DIR)/%) $(FUZZ_DIR)/corpus

fuzz-smoke: fuzz-programs
	$(call fuzz_run,$(FUZZ_SECONDS))

fuzz: fuzz-programs
	$(call fuzz_run,$(FUZZ_LONG_SECONDS))
endif
endif
