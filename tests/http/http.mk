# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-http         the exporter with real clients: curl, sockets, OpenSSL; HTTP_TESTS='-k tls'
# make test-golden       the renderings of one table; GOLDEN_UPDATE=1 writes them anew
# make test-dashboards   dashboards, rules and alerts, without data
# make dashboards        writes what dashboards/ ships from what it is made of
# make test-install      make install, units, manual pages

HTTP_TESTS ?=
EXPORTER_PYTEST = CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider \
	-W ignore::DeprecationWarning
EXPORTER_TEST_NEEDS = $(PROGRAMS) $(BUILD)/tests/segment-fixture

.PHONY: test-http test-golden test-dashboards test-install
test-http: $(EXPORTER_TEST_NEEDS)
	$(Q)$(EXPORTER_PYTEST) tests/http --ignore=tests/http/test_packaging.py \
		$(HTTP_TESTS)

test-golden: $(EXPORTER_TEST_NEEDS)
	$(Q)$(EXPORTER_PYTEST) tests/golden

.PHONY: dashboards
dashboards:
	$(Q)$(PYTHON) dashboards/generate.py

test-dashboards: $(PROGRAMS)
	$(Q)$(EXPORTER_PYTEST) tests/dashboards

test-install: $(EXPORTER_TEST_NEEDS)
	$(Q)$(EXPORTER_PYTEST) tests/http/test_packaging.py
