# SPDX-License-Identifier: GPL-2.0-or-later
#
# make kubernetes       the manifests with rules and dashboards, into BUILD/kubernetes
# make test-kubernetes  each overlay rendered by kubectl, checked against the schemas
#
# Included by the top-level Makefile.

KUBERNETES_TESTS ?=

.PHONY: kubernetes test-kubernetes
kubernetes:
	$(Q)packaging/kubernetes/assemble $(BUILD)/kubernetes $(VERSION)
	@echo "kubectl apply -k $(BUILD)/kubernetes/base, or one of overlays/"

test-kubernetes: $(BUILD)/conntide $(BUILD)/tests/segment-fixture
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider \
		tests/kubernetes $(KUBERNETES_TESTS)
