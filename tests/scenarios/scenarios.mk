# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-scenarios  what what-if and advice promise, measured with nginx and Squid; as root;
#                      each pattern of `why` is made by test-live, see tests/netns/netns.mk
#                      SCENARIOS_TESTS='-k savings' selects; -s shows predicted against measured
#
# Not a stage of make test yet: whatever else the machine tracks moves the kernel's collector,
# and with it what is measured. Alone on a machine, promises were 1 to 9 % off; beside other
# tests up to 28 %.
#
# Included by the top-level Makefile.

SCENARIOS_TESTS ?=

.PHONY: test-scenarios
test-scenarios: $(PROGRAMS) $(BUILD)/tests/flood
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider \
		tests/scenarios --ignore=tests/scenarios/test_patterns.py $(SCENARIOS_TESTS)
