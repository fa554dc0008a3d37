# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-programs        what the stages of make test share, built before they run side by side
# make test-programs-asan   the same under ASan and UBSan
# make test-busy            STAGES (BUSY_STAGES by default) beside BUSY=2 processes a CPU that only
#                           compute: no test may depend on an idle machine

BUSY ?= 2
BUSY_STAGES ?= test-unit test-http test-netns-shared

.PHONY: test-programs test-programs-asan test-busy
test-programs: $(PROGRAMS) unit-programs $(BUILD)/tests/flood $(BUILD)/tests/segment-fixture \
	$(BUILD)/tests/replay/mirror_replay

test-programs-asan:
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=$(UNIT_SANITIZE) \
		all unit-programs $(BUILD)/asan/tests/replay/mirror_replay

test-busy: test-programs
	$(Q)BUSY=$(BUSY) tests/busy.sh env MAKE=$(MAKE) \
		$(PYTHON) tests/run_all.py $(BUILD) $(or $(STAGES),$(BUSY_STAGES))
