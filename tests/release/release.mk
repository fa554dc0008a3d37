# SPDX-License-Identifier: GPL-2.0-or-later
#
# make test-build     what the Makefile promises, in scratch copies of the tree

.PHONY: test-build
test-build:
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) CC="$(CC)" $(PYTHON) -m pytest -q \
		-p no:cacheprovider tests/release
