# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-page      the page in a browser, and the description of the API under a linter;
#                     PAGE_TESTS='-k dark'; screenshots stay in BUILD/screenshots
#
# Included by the top-level Makefile.

PAGE_TESTS ?=

.PHONY: test-page
test-page: $(PROGRAMS) $(BUILD)/tests/segment-fixture
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider \
		tests/page $(PAGE_TESTS)

# Every screen in every state, to be looked at: BUILD/screens. SCREENS="flood idle": some states.
SCREENS ?=
.PHONY: screens
screens: $(PROGRAMS) $(BUILD)/tests/segment-fixture
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider \
		tests/page/test_openapi.py
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) tools/screens.py $(BUILD) \
		$(abspath $(BUILD))/tests/page-node $(BUILD)/screens $(SCREENS)

# The pictures of the README, from conntide demo.
.PHONY: pictures
pictures: $(PROGRAMS) $(BUILD)/tests/segment-fixture
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider \
		tests/page/test_openapi.py
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) tools/pictures.py $(BUILD) \
		$(abspath $(BUILD))/tests/page-node docs/pictures
