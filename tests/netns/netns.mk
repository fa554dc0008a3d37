# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-netns     the agent against the real kernel, in namespaces of its own; as root:
#                     -shared beside each other, then -alone, which change the machine's sysctls
#                     NETNS_TESTS='-k tcp -m "not slow"' selects
# make test-torture   TORTURE_SECONDS=3600 SEED=n: is it ever exact and wrong?
#
# Included by the top-level Makefile.

NETNS_TESTS ?=
# Most wait most of their time, each in namespaces of its own: several at the same time. Those
# that change what belongs to the whole machine come after them, one by one.
NETNS_JOBS ?= $(shell expr 2 \* $$(nproc))
NETNS_PYTEST ?= $(PYTHON) -m pytest -q -p no:cacheprovider
NETNS_HERE := tests/netns --ignore=tests/netns/live
# 5: no test was selected. $(1): folder of the programs, $(2): shared, alone, $(3): options.
netns_run = CONNTIDE_BUILD=$(abspath $(1)) $(NETNS_PYTEST) $(NETNS_HERE) --machine=$(2) $(3) \
	$(if $(filter shared,$(2)),-n $(NETNS_JOBS)) $(NETNS_TESTS) || [ $$? = 5 ]

$(BUILD)/tests/flood: tests/bench/flood.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) -o $@ $< $(ALL_LDFLAGS)

NETNS_NEEDS := $(PROGRAMS) $(BUILD)/tests/flood $(BUILD)/tests/segment-fixture $(BUILD)/tests/remedy-catalogue
.PHONY: test-netns test-netns-shared test-netns-alone
test-netns:
	$(Q)$(MAKE) --no-print-directory test-netns-shared
	$(Q)$(MAKE) --no-print-directory test-netns-alone

test-netns-shared: $(NETNS_NEEDS)
	$(Q)$(call netns_run,$(BUILD),shared)

test-netns-alone: $(NETNS_NEEDS)
	$(Q)$(call netns_run,$(BUILD),alone)

# Random mischief for TORTURE_SECONDS, and every cell compared meanwhile; a minute of it is in
# test-netns. SEED=n repeats a game.
TORTURE_SECONDS ?= 600
.PHONY: test-torture
test-torture: $(PROGRAMS) $(BUILD)/tests/flood
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) TORTURE_SECONDS=$(TORTURE_SECONDS) SEED=$(or $(SEED),$(shell date +%s)) \
		$(NETNS_PYTEST) -s tests/netns/test_torture.py

# The forecast beside real traffic and Prometheus: minutes, but little CPU. What other stages
# build it does not touch: its programs are copies.
LIVE := $(BUILD)/live
# Traffic keeps its rate although the other stages use all there is.
AHEAD := nice -n -10
.PHONY: test-live
test-live: $(PROGRAMS) $(BUILD)/tests/flood
	$(Q)mkdir -p $(LIVE)/tests && cp $(PROGRAMS) $(LIVE)/ && cp $(BUILD)/tests/flood $(LIVE)/tests/
	$(Q)CONNTIDE_BUILD=$(abspath $(LIVE)) $(AHEAD) $(NETNS_PYTEST) -n 2 --dist loadfile tests/netns/live

# Ten loads that fill the table and ten that do not, from the kernel to the message; the rules as
# shipped. Writes a table and the messages to $(BUILD)/alerts.md.
.PHONY: test-alerts
test-alerts: $(PROGRAMS)
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) ALERTS_ALL=1 $(AHEAD) $(NETNS_PYTEST) -s \
		tests/netns/live/test_alerts.py

# Each pattern of `why`, made with real packets. The last changes sysctls of the machine.
.PHONY: test-patterns test-patterns-alone
test-patterns: $(PROGRAMS) $(BUILD)/tests/flood
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(AHEAD) $(NETNS_PYTEST) -m "not global_sysctl" \
		tests/scenarios/test_patterns.py tests/scenarios/test_causes.py

test-patterns-alone: $(PROGRAMS) $(BUILD)/tests/flood
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(AHEAD) $(NETNS_PYTEST) -m global_sysctl \
		tests/scenarios/test_patterns.py

# The same under ASan and UBSan, but for the long ones; CONNTIDE_BUILD tells which programs.
.PHONY: test-netns-asan test-netns-asan-shared test-netns-asan-alone netns-asan-programs
netns-asan-programs: $(BUILD)/tests/flood $(BUILD)/tests/segment-fixture $(BUILD)/tests/remedy-catalogue
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=address,undefined all
	$(Q)mkdir -p $(BUILD)/asan/tests && cp $(BUILD)/tests/flood \
		$(BUILD)/tests/segment-fixture $(BUILD)/tests/remedy-catalogue $(BUILD)/asan/tests

test-netns-asan:
	$(Q)$(MAKE) --no-print-directory test-netns-asan-shared
	$(Q)$(MAKE) --no-print-directory test-netns-asan-alone

test-netns-asan-shared: netns-asan-programs
	$(Q)$(call netns_run,$(BUILD)/asan,shared,-m "not slow and not brief")

test-netns-asan-alone: netns-asan-programs
	$(Q)$(call netns_run,$(BUILD)/asan,alone,-m "not slow and not brief")
