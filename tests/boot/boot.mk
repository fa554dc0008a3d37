# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-boot   Debian 12 with its own kernel 6.1, booted under QEMU (emulated: no KVM needed):
#                  packages installed, units under systemd, restart, upgrade, reboot, purge; as
#                  root, with the package archive; ten minutes or so, so not in make test
#
# Included by the top-level Makefile.

BOOT_TESTS ?=

.PHONY: test-boot boot-deps
boot-deps:
	$(Q)tools/install-packages boot

test-boot: boot-deps
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) MAKE=$(MAKE) $(PYTHON) -m pytest -x -q \
		-p no:cacheprovider tests/boot $(BOOT_TESTS)
