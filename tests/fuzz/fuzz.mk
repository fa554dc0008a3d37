# SPDX-License-Identifier: GPL-2.0-or-later
#
# make fuzz-smoke     each fuzz target for FUZZ_SECONDS (8): part of make test
# make fuzz           each for FUZZ_LONG_SECONDS (600)
#
# Corpora are made by tests/fuzz/make_corpus.py from the recording of tests/replay; requests
# against the routes have one in tests/fuzz/corpus-http. What a target finds is kept in
# build/fuzz/<target>-*; run the program with it.

FUZZ_CC ?= clang
FUZZ_SECONDS ?= 8
FUZZ_LONG_SECONDS ?= 600
FUZZ_JOBS ?= $(shell nproc)
FUZZ_TARGETS := fuzz_parser fuzz_shm_reader fuzz_incident fuzz_http fuzz_web_config
FUZZ_DIR := $(BUILD)/fuzz
FUZZ_CFLAGS = -std=gnu11 -D_GNU_SOURCE -I. -I$(BUILD) -O1 -g -fno-omit-frame-pointer \
	-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
	-DCONNTIDE_VERSION='"$(VERSION)"' -DCONNTIDE_REVISION='"$(REVISION)"'
FUZZ_SRC := $(LIB_SRC) $(wildcard agent/netlink/*.c) agent/base/worker.c $(SHOW_SRC) \
	$(filter-out exporters/http/serve.c exporters/http/server.c,$(HTTP_SRC))
# Has this clang a libFuzzer? Asked when it matters only.
FUZZ_MISSING = $(shell printf 'int LLVMFuzzerTestOneInput(void *d, unsigned long n){(void)d;(void)n;return 0;}' | \
	$(FUZZ_CC) -x c -fsanitize=fuzzer,address - -o /dev/null 2>/dev/null || echo missing)

$(FUZZ_DIR)/obj/%.o: %.c Makefile | $(ASSETS)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(FUZZ_CC) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

# Compiled once for all targets.
$(FUZZ_DIR)/all.a: $(FUZZ_SRC:%.c=$(FUZZ_DIR)/obj/%.o)
	$(archive)

$(FUZZ_TARGETS:%=$(FUZZ_DIR)/%): $(FUZZ_DIR)/%: $(FUZZ_DIR)/obj/tests/fuzz/%.o $(FUZZ_DIR)/all.a
	$(call say,LD,$@)$(FUZZ_CC) -fsanitize=fuzzer,address,undefined -o $@ $^ \
		$(shell $(PKG_CONFIG) --libs $(sort $(AGENT_LIBS) $(HTTP_LIBS))) -lpthread -lm

$(FUZZ_DIR)/corpus: tests/fuzz/make_corpus.py $(wildcard tests/replay/recordings/*.feed tests/fuzz/corpus-http/* tests/fuzz/corpus-web-config/*)
	@mkdir -p $@
	$(call say,GEN,$@)$(PYTHON) $< $@
	$(Q)rm -rf $@/fuzz_http && cp -r tests/fuzz/corpus-http $@/fuzz_http
	$(Q)rm -rf $@/fuzz_web_config && cp -r tests/fuzz/corpus-web-config $@/fuzz_web_config
	@touch $@

fuzz_run = $(Q)printf '%s\n' $(FUZZ_TARGETS) | \
	xargs -n 1 -P $(FUZZ_JOBS) tests/fuzz/one.sh $(FUZZ_DIR) $(1)

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
