# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-netns     the agent against the real kernel, in namespaces of its own; as root
#                     NETNS_TESTS='-k tcp -m "not slow"' selects
#
# Included by the top-level Makefile.

NETNS_TESTS ?=
# Most wait most of their time, each in namespaces of its own: several at the same time. Those
# that change what belongs to the whole machine come after them, one by one.
NETNS_JOBS ?= $(shell expr 2 \* $$(nproc))
NETNS_PYTEST ?= $(PYTHON) -m pytest -q -p no:cacheprovider
NETNS_HERE := tests/netns --ignore=tests/netns/live
# 5: no test was selected.
netns_run = CONNTIDE_BUILD=$(abspath $(1)) $(NETNS_PYTEST) $(NETNS_HERE) --machine=shared \
		-n $(NETNS_JOBS) $(2) $(NETNS_TESTS) || shared=$$?; \
	CONNTIDE_BUILD=$(abspath $(1)) $(NETNS_PYTEST) $(NETNS_HERE) --machine=alone \
		$(2) $(NETNS_TESTS) || alone=$$?; \
	for status in $${shared:-0} $${alone:-0}; do [ $$status = 0 ] || [ $$status = 5 ] || exit 1; done

$(BUILD)/tests/flood: tests/bench/flood.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) -o $@ $< $(ALL_LDFLAGS)

.PHONY: test-netns
test-netns: $(PROGRAMS) $(BUILD)/tests/flood $(BUILD)/tests/segment-fixture
	$(Q)$(call netns_run,$(BUILD))

# The forecast beside real traffic and Prometheus, then each pattern of `why` made with real
# packets: minutes, but little CPU. What other stages build it does not touch: its programs
# are copies.
LIVE := $(BUILD)/live
# Traffic keeps its rate although the other stages use all there is.
AHEAD := nice -n -10
.PHONY: test-live
test-live: $(PROGRAMS) $(BUILD)/tests/flood
	$(Q)mkdir -p $(LIVE)/tests && cp $(PROGRAMS) $(LIVE)/ && cp $(BUILD)/tests/flood $(LIVE)/tests/
	$(Q)CONNTIDE_BUILD=$(abspath $(LIVE)) $(AHEAD) $(NETNS_PYTEST) tests/netns/live
	$(Q)CONNTIDE_BUILD=$(abspath $(LIVE)) $(AHEAD) $(NETNS_PYTEST) tests/scenarios/test_patterns.py

# The same under ASan and UBSan, but for the long ones; CONNTIDE_BUILD tells which programs.
.PHONY: test-netns-asan
test-netns-asan: $(BUILD)/tests/flood $(BUILD)/tests/segment-fixture
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=address,undefined all
	$(Q)mkdir -p $(BUILD)/asan/tests && cp $(BUILD)/tests/flood \
		$(BUILD)/tests/segment-fixture $(BUILD)/asan/tests
	$(Q)$(call netns_run,$(BUILD)/asan,-m "not slow")
