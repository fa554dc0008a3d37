# SPDX-License-Identifier: GPL-2.0-or-later
#
# make container       the image, as an OCI layout, into BUILD/container
# make test-container  agent and exporter of it under podman, on a namespace with traffic; as root
#
# Included by the top-level Makefile.

CONTAINER_PROGRAMS := $(BUILD)/conntide-agent $(BUILD)/conntide-exporter $(BUILD)/conntide
CONTAINER_TESTS ?=

.PHONY: container test-container container-deps
container: $(CONTAINER_PROGRAMS)
	$(Q)packaging/container/build-image $(BUILD)/container $(VERSION) $(REVISION) \
		$(SOURCE_DATE_EPOCH) $(CONTAINER_PROGRAMS)

container-deps:
	$(Q)tools/install-packages container

test-container: container-deps $(CONTAINER_PROGRAMS)
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider \
		tests/container $(CONTAINER_TESTS)
