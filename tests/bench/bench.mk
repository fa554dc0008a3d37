# SPDX-License-Identifier: GPL-2.0-or-later
#
# make bench          what watching costs, measured here; as root; BENCH="--rounds 5"

BENCH ?=

bench: $(PROGRAMS) $(BUILD)/tests/flood
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/bench.py $(BENCH)
