# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-http      the exporter with real clients: curl, sockets, OpenSSL, Prometheus
# make test-golden    the renderings of one table, compared with what they were
#                     GOLDEN_UPDATE=1 writes them anew

HTTP_TESTS ?=
EXPORTER_PYTEST := $(PYTHON) -m pytest -q -p no:cacheprovider -W ignore::DeprecationWarning

.PHONY: test-http test-golden
test-http: $(PROGRAMS) $(BUILD)/tests/segment-fixture
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(EXPORTER_PYTEST) tests/http $(HTTP_TESTS)

test-golden: $(PROGRAMS) $(BUILD)/tests/segment-fixture
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(EXPORTER_PYTEST) tests/golden
