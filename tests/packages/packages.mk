# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-packages  Debian packages and RPMs: built, inspected, installed in a bare root,
#                     used, purged; as root, with the package archive; PACKAGES_TESTS='-k rpm'
#
# Included by the top-level Makefile.

PACKAGES_TESTS ?=

.PHONY: test-packages
test-packages: package-deps $(PROGRAMS) $(BUILD)/tests/segment-fixture
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) MAKE=$(MAKE) $(PYTHON) -m pytest -q -p no:cacheprovider \
		tests/packages $(PACKAGES_TESTS)
