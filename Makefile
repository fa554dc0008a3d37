# SPDX-License-Identifier: GPL-2.0-or-later
#
# make            build everything into build/
# make run        install what is missing, build, run agent and exporter here
# make test       install what the tests need, run all of them
# make bench      measure; see docs/performance.md
# make install    DESTDIR= PREFIX=/usr/local
#
# ARGS="--web.listen-address :8080" go to conntide run, STAGES="lint test-unit" to
# make test. V=1 shows the commands. BUILD=dir, CC=, SANITIZE=address,undefined or thread.

VERSION := 0.1.0
REVISION := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
SANITIZE ?=
PYTHON ?= /usr/bin/python3

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2);)

# What a program links, by the file through which the library enters.
AGENT_LIBS := libmnl libnetfilter_conntrack libxxhash libseccomp libcap-ng
HTTP_LIBS := libmicrohttpd gnutls libcjson yaml-0.1 libcrypt zlib libseccomp libcap-ng
CLI_LIBS := libcjson

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla \
	-Wformat=2 -Wdouble-promotion -Werror
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -I. $(WARNINGS) -fno-common -fstack-protector-strong \
	-fPIE -DCONNTIDE_VERSION='"$(VERSION)"' -DCONNTIDE_REVISION='"$(REVISION)"' $(CFLAGS)
ALL_LDFLAGS := -pie -Wl,-z,relro,-z,now $(LDFLAGS)
ifneq ($(SANITIZE),)
ALL_CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer
ALL_LDFLAGS += -fsanitize=$(SANITIZE)
ifneq ($(findstring thread,$(SANITIZE)),)
# The sanitizer does not model fences; the data words are atomic themselves.
ALL_CFLAGS += $(if $(findstring clang,$(CC)),,-Wno-tsan)
endif
else
ALL_CFLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
endif

BASE_SRC := $(wildcard lib/base/*.c)
SHM_SRC := $(wildcard lib/shm/*.c)
KERNEL_SRC := $(wildcard lib/kernel/*.c)
LIB_SRC := $(BASE_SRC) $(SHM_SRC) $(KERNEL_SRC)
FORECAST_SRC := $(wildcard agent/forecast*.c)
AGENT_MAINS := agent/main.c agent/record_main.c agent/replay_main.c
AGENT_SRC := $(filter-out $(AGENT_MAINS),$(wildcard agent/*.c))
RENDER_SRC := $(wildcard exporters/render/*.c)
ADVICE_SRC := $(wildcard exporters/advice/*.c)
HTTP_SRC := $(wildcard exporters/http/*.c)
CLI_SRC := $(wildcard exporters/cli/*.c)

comma := ,
obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
PROGRAMS := $(BUILD)/conntide-agent $(BUILD)/conntide-exporter $(BUILD)/conntide \
	$(BUILD)/conntide-record $(BUILD)/conntide-replay

.PHONY: all run test bench install clean deps test-deps lint
all: $(PROGRAMS)

deps:
	$(Q)tools/install-packages build

test-deps:
	$(Q)tools/install-packages test

# The packages must be there before this Makefile asks pkg-config: make again.
run: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)exec $(BUILD)/conntide run $(ARGS)

test: test-deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)MAKE=$(MAKE) $(PYTHON) tests/run_all.py $(BUILD) $(STAGES)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) $(EXTRA_$(subst /,_,$*)) $(CPPFLAGS) -MMD -MP -c -o $@ $<

EXTRA_lib_shm_layout := -Wpadded
# Statistics are kept in floats, for their size, and computed in doubles.
$(call obj,$(FORECAST_SRC)): CPPFLAGS += -Wno-double-promotion

link = $(call say,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(1) $(2)

# Three programs; each links what it needs of agent/.
$(BUILD)/libagent.a: $(call obj,$(LIB_SRC) $(AGENT_SRC))
	$(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/conntide-agent: $(call obj,agent/main.c) $(BUILD)/libagent.a
	$(call link,$^,$(shell pkg-config --libs $(AGENT_LIBS)) -lpthread -lm)

$(BUILD)/conntide-record $(BUILD)/conntide-replay: $(BUILD)/conntide-%: \
		$(BUILD)/agent/%_main.o $(BUILD)/libagent.a
	$(call link,$^,-Wl$(comma)--as-needed $(shell pkg-config --libs $(AGENT_LIBS)) -lpthread -lm)

$(BUILD)/conntide-exporter: $(call obj,$(LIB_SRC) $(RENDER_SRC) $(ADVICE_SRC) $(HTTP_SRC))
	$(call link,$^,$(shell pkg-config --libs $(HTTP_LIBS)) -lpthread -lm)

# The command line has no privilege to drop, and needs no library for it.
$(BUILD)/conntide: $(call obj,$(filter-out lib/base/sandbox.c,$(LIB_SRC)) $(RENDER_SRC) $(ADVICE_SRC) $(CLI_SRC))
	$(call link,$^,$(shell pkg-config --libs $(CLI_LIBS)) -lm)

# Each part brings its own targets.
-include $(sort $(wildcard tests/*/*.mk tests/*/*/*.mk packaging/*.mk))

clean:
	$(Q)rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
