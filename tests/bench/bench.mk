# SPDX-License-Identifier: GPL-2.0-or-later
#
# make bench          what watching costs, beside others; writes docs/performance.md; as root
#                     BENCH=--quick    small and once, to see that it works
#                     BENCH="--only events"    or tables: a part, printed

BENCH ?=

$(BUILD)/tests/reader: tests/bench/reader.c lib/base/clock.h Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) -o $@ $< $(ALL_LDFLAGS)

.PHONY: bench-deps
bench-deps:
	$(Q)tools/install-packages bench

bench: bench-deps
	$(Q)$(MAKE) --no-print-directory $(PROGRAMS) $(BUILD)/tests/flood $(BUILD)/tests/reader \
		$(BUILD)/forecast/forecast-gen
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/bench.py $(BENCH)
