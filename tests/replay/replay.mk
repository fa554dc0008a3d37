# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-replay    recordings of the agent run again without a kernel: the same cells;
#                     traces through conntide-replay, good ones and bad ones
#
# make record-programs  as root, twenty minutes: nginx, DNS, a router with peer-to-peer UDP, redis,
#                     each in a namespace under a load that changes; what forecast-short scores
#
# The golden recording needs no privilege; recording anew needs root and says so.

REPLAY := $(BUILD)/tests/replay/mirror_replay

$(REPLAY): $(call obj,tests/replay/mirror_replay.c) $(BUILD)/tests/unit/libundertest.a
	@mkdir -p $(@D)
	$(call link,$^,$(shell $(PKG_CONFIG) --libs $(AGENT_LIBS)) -lpthread -lm)

.PHONY: replay-asan test-replay
replay-asan:
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=$(UNIT_SANITIZE) \
		$(BUILD)/asan/tests/replay/mirror_replay $(BUILD)/asan/conntide-replay

test-replay: all $(REPLAY) replay-asan
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider \
		tests/replay/test_replay.py tests/replay/test_trace_replay.py

RECORD_PROGRAMS ?=
.PHONY: record-programs
record-programs: all
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/replay/record_programs.py $(RECORD_PROGRAMS)
