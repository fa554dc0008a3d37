# SPDX-License-Identifier: GPL-2.0-or-later
#
# make bench          what watching costs, beside others; writes docs/performance.md; as root
#                     BENCH=--quick    small and once, to see that it works
#                     BENCH="--only events"    or tables, or tried: a part, printed
# make test-instructions    callgrind's count of what an event takes, against what is kept
# make instructions-update  keeps what it is now; for the flags and compiler of this Makefile

BENCH ?=

$(BUILD)/tests/reader: tests/bench/reader.c agent/netlink/pace.c agent/netlink/pace.h lib/base/clock.h Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(ALL_CFLAGS) -o $@ $(filter %.c,$^) $(ALL_LDFLAGS)

$(BUILD)/tests/mirror_speed $(BUILD)/tests/parse_speed: $(BUILD)/tests/%: \
		$(BUILD)/tests/bench/%.o $(BUILD)/tests/unit/libundertest.a
	@mkdir -p $(@D)
	$(call link,$^,$(shell $(PKG_CONFIG) --libs $(AGENT_LIBS)) -lpthread -lm)

.PHONY: bench-deps
bench-deps:
	$(Q)tools/install-packages bench

bench: bench-deps
	$(Q)$(MAKE) --no-print-directory $(PROGRAMS) $(BUILD)/tests/flood $(BUILD)/tests/reader \
		$(BUILD)/tests/mirror_speed $(BUILD)/tests/parse_speed $(BUILD)/forecast/forecast-gen
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/bench.py $(BENCH)

# make bench-peers    what conntrack -L, iptstate, node_exporter and Netdata tell of the same table, and
#                     what a look costs; writes docs/coming-from.md; as root
#                     PEERS=--quick    small, printed
PEERS ?=
.PHONY: bench-peers
bench-peers: bench-deps
	$(Q)$(MAKE) --no-print-directory $(PROGRAMS) $(BUILD)/tests/flood
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/peers.py $(PEERS)

# make nat-curve      what share of new connections finds no NAT port, by how full a pool of 64,512
#                     is, beside what conntide expects; as root, four minutes
.PHONY: nat-curve
nat-curve:
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/nat_curve.py $(CURVE)

# make bench-profile  where the agent's time goes; writes docs/performance.md too; as root
.PHONY: bench-profile
bench-profile: bench-deps
	$(Q)$(MAKE) --no-print-directory $(PROGRAMS) $(BUILD)/tests/flood
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/profile_agent.py

# make bench-mirror   what the mirror and its statistics cost an event; no root
$(BUILD)/tests/mirror_cost: tests/bench/mirror_cost.c $(BUILD)/tests/unit/libundertest.a Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) $(UNIT_CFLAGS) -o $@ $< $(BUILD)/tests/unit/libundertest.a $(ALL_LDFLAGS) \
		$(shell $(PKG_CONFIG) --libs $(AGENT_LIBS)) -lpthread -lm

.PHONY: bench-mirror
bench-mirror: $(BUILD)/tests/mirror_cost
	$(Q)$<

# The figures kept are those of these flags, whatever the rest is built with. Without -g:
# valgrind of Debian 12 cannot read what clang writes there.
INSTRUCTIONS_MAKE := $(MAKE) --no-print-directory BUILD=$(BUILD)/instructions \
	SANITIZE= CFLAGS=-O2 $(BUILD)/instructions/tests/replay/mirror_replay
INSTRUCTIONS_ENV := CONNTIDE_BUILD=$(abspath $(BUILD))/instructions

.PHONY: test-instructions instructions-update
test-instructions:
	$(Q)$(INSTRUCTIONS_MAKE)
	$(Q)$(INSTRUCTIONS_ENV) $(PYTHON) -m pytest -q -p no:cacheprovider \
		tests/bench/test_instructions.py

instructions-update:
	$(Q)$(INSTRUCTIONS_MAKE)
	$(Q)$(INSTRUCTIONS_ENV) $(PYTHON) tests/bench/test_instructions.py --update

# make fleet-simulation   what 500 hosts cost one Prometheus; writes docs/fleet.md; as root
#                         FLEET='--hosts 20 --seconds 30'    small, printed
.PHONY: fleet-simulation
fleet-simulation: $(PROGRAMS) $(BUILD)/tests/flood
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/fleet.py $(FLEET)
