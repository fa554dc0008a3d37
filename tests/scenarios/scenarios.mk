# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-scenarios  what what-if and advice promise, measured with nginx and Squid; as root;
#                      each pattern of `why` is made by test-patterns, see tests/netns/netns.mk
#                      SCENARIOS_TESTS='-k squid' selects; predicted against measured stands
#                      below the tests
#
# Four minutes, most of it waiting. Nobody else may track connections meanwhile: the kernel's
# collector is one for all. CPU may be used by others.
#
# make test-twins      every promise of a saving beside a twin that has the remedy: loads, timeouts,
#                      programs, remedies; half an hour. Writes the table of docs/savings.md;
#                      TWINS_ONLY='even' selects, and writes none
#
# Included by the top-level Makefile.

SCENARIOS_TESTS ?=
# Programs of its own: others may be built meanwhile.
SCENARIOS := $(BUILD)/scenarios

.PHONY: test-scenarios
test-scenarios: $(PROGRAMS)
	$(Q)mkdir -p $(SCENARIOS) && cp $(PROGRAMS) $(SCENARIOS)/
	$(Q)CONNTIDE_BUILD=$(abspath $(SCENARIOS)) $(AHEAD) $(PYTHON) -m pytest -q \
		-p no:cacheprovider tests/scenarios --ignore=tests/scenarios/test_patterns.py \
		--ignore=tests/scenarios/test_causes.py \
		$(SCENARIOS_TESTS)

TWINS_ONLY ?=
.PHONY: test-twins
test-twins: $(PROGRAMS) $(BUILD)/tests/remedy-catalogue
	$(Q)mkdir -p $(SCENARIOS)/tests && cp $(PROGRAMS) $(SCENARIOS)/
	$(Q)cp $(BUILD)/tests/remedy-catalogue $(SCENARIOS)/tests/
	$(Q)CONNTIDE_BUILD=$(abspath $(SCENARIOS)) $(AHEAD) $(PYTHON) tests/scenarios/twin_suite.py \
		$(if $(TWINS_ONLY),--only "$(TWINS_ONLY)",--write docs/savings.md)
