# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-cli      the command line on segments of the fixture; CLI_TESTS='-k completion'
#
# Included by the top-level Makefile.

CLI_TESTS ?=

.PHONY: test-cli
test-cli: $(PROGRAMS) $(BUILD)/tests/segment-fixture
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider \
		tests/cli $(CLI_TESTS)
