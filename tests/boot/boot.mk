# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-boot   Debian 12 with its own kernel 6.1, booted under QEMU (emulated: no KVM needed):
#                  packages installed, units under systemd, restart, upgrade, reboot, purge; then
#                  the tests of tests/netns that say whether counts are right, on that kernel; as
#                  root, with the package archive; half an hour or so, so not in make test
#                  BOOT_TESTS='-k "not namespaces"' leaves the latter out
#
# Included by the top-level Makefile.

# The disk stays here until the next run, for who wants to look.
BOOT_DIR ?= /var/tmp/conntide-boot
BOOT_TESTS ?=

.PHONY: test-boot boot-deps
boot-deps:
	$(Q)tools/install-packages boot

test-boot: boot-deps
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) MAKE=$(MAKE) $(PYTHON) -m pytest -x -q \
		-p no:cacheprovider --basetemp=$(BOOT_DIR) tests/boot $(BOOT_TESTS)
