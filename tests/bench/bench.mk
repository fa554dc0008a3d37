# SPDX-License-Identifier: GPL-2.0-or-later
#
# make bench          what watching costs, measured here; as root; BENCH="--rounds 5"

BENCH ?=

bench: $(PROGRAMS) $(BUILD)/tests/flood
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/bench.py $(BENCH)

# make bench-mirror   what the mirror and its statistics cost an event; no root
$(BUILD)/tests/mirror_cost: tests/bench/mirror_cost.c $(UNIT_LIB) Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) $(UNIT_CFLAGS) -o $@ $< $(UNIT_LIB) $(ALL_LDFLAGS) \
		$(shell pkg-config --libs $(AGENT_LIBS)) -lpthread -lm

.PHONY: bench-mirror
bench-mirror: $(BUILD)/tests/mirror_cost
	$(Q)$<
