# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-boot   Debian 12 with its own kernel 6.1, booted under QEMU (emulated: no KVM needed):
#                  packages installed, units under systemd, restart, upgrade, reboot, purge; then
#                  the tests of tests/netns that say whether counts are right, on that kernel; as
#                  root, with the package archive; twelve minutes on an idle machine, so not in
#                  make test; BOOT_TESTS='-k "not namespaces"' leaves the latter out
# make test-boot-install   the first steps of it, three minutes: apt install on that machine, what
#                  answers then, counts, purge; CI runs it after make test
#
# Included by the top-level Makefile.

# The disk stays here until the next run, for who wants to look.
BOOT_DIR ?= /var/tmp/conntide-boot
BOOT_TESTS ?=

BOOT_INSTALL := -k "installed or check or cells or purge"

.PHONY: test-boot test-boot-install boot-deps
boot-deps:
	$(Q)tools/install-packages boot

test-boot: boot-deps
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) MAKE=$(MAKE) $(PYTHON) -m pytest -x -q \
		-p no:cacheprovider --basetemp=$(BOOT_DIR) tests/boot $(BOOT_TESTS)

test-boot-install:
	$(Q)$(MAKE) --no-print-directory test-boot BOOT_TESTS='$(BOOT_INSTALL)'
