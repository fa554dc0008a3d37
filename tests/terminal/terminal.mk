# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-terminal   conntide top in a real terminal (tmux), on a segment of the fixture;
#                      TERMINAL_TESTS='-k resize'; TERMINAL_KEYS_S: seconds of random keys
#
# Included by the top-level Makefile.

TERMINAL_TESTS ?=
TERMINAL_KEYS_S ?= 5

.PHONY: test-terminal
test-terminal: $(PROGRAMS) $(BUILD)/tests/segment-fixture
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD)/asan SANITIZE=$(UNIT_SANITIZE) \
		$(BUILD)/asan/conntide
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) TERMINAL_KEYS_S=$(TERMINAL_KEYS_S) $(PYTHON) -m pytest -q \
		-p no:cacheprovider tests/terminal $(TERMINAL_TESTS)
