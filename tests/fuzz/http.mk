# SPDX-License-Identifier: GPL-2.0-or-later
#
# make fuzz-http    requests against the routes, FUZZ_SECONDS=10; part of make fuzz-smoke

FUZZ_SECONDS ?= 10
FUZZ_HTTP := $(BUILD)/tests/fuzz_http
FUZZ_HTTP_SRC := tests/fuzz/fuzz_http.c $(LIB_SRC) $(SHOW_SRC) \
	$(filter-out exporters/http/serve.c exporters/http/server.c,$(HTTP_SRC))

$(FUZZ_HTTP): $(FUZZ_HTTP_SRC) $(wildcard exporters/*/*.h exporters/*/*/*.h lib/*/*.h lib/*/*.def) Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)clang $(filter-out -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2,$(ALL_CFLAGS)) \
		-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -o $@ \
		$(FUZZ_HTTP_SRC) $(shell pkg-config --libs $(HTTP_LIBS)) -lpthread -lm

.PHONY: fuzz-http fuzz-smoke
fuzz-smoke: fuzz-http
fuzz-http: $(FUZZ_HTTP)
	$(Q)mkdir -p $(BUILD)/tests/corpus-http
	$(Q)$(FUZZ_HTTP) -max_total_time=$(FUZZ_SECONDS) -max_len=2048 -print_final_stats=1 \
		$(BUILD)/tests/corpus-http tests/fuzz/corpus-http \
		&& echo '1 passed, 0 failed' || { echo '0 passed, 1 failed'; exit 1; }
