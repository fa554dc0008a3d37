# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-packages  Debian packages and RPMs: built, inspected, installed in a bare root,
#                     used, purged; as root, with the package archive; PACKAGES_TESTS='-k rpm'
# make test-arm64     the packages for arm64: cross-built, compared with these, their programs and
#                     the tests of modules run under emulation; ten minutes, so not in make test
#
# Included by the top-level Makefile.

PACKAGES_TESTS ?=

.PHONY: test-packages
test-packages: package-deps cross-deps $(PROGRAMS) $(BUILD)/tests/segment-fixture
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) MAKE=$(MAKE) $(PYTHON) -m pytest -q -p no:cacheprovider \
		tests/packages $(PACKAGES_TESTS)

.PHONY: test-arm64
test-arm64: package-deps cross-deps
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) MAKE=$(MAKE) $(PYTHON) -m pytest -q -p no:cacheprovider \
		tests/packages/arm64.py $(PACKAGES_TESTS)
