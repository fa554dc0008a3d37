# SPDX-License-Identifier: GPL-2.0-or-later
#
# make            build everything into build/
# make run        install what is missing, build, run agent and exporter here
# make demo       a table that fills, played: no root, no traffic
# make test       install what the tests need, run all of them
# make test-busy  stages of it beside processes that only compute
# make bench      measure; see docs/performance.md
# make install    DESTDIR= PREFIX=/usr/local
#
# ARGS="--web.listen-address :8080" go to conntide run, STAGES="lint test-unit" to
# make test. V=1 shows the commands. BUILD=dir, CC=, SANITIZE=address,undefined or thread,
# WERROR=1: warnings are errors, as in make test and CI.

VERSION := 0.1.0
# Of this tree: not of a repository somewhere above an unpacked archive.
REVISION := $(shell git rev-parse --show-prefix 2>/dev/null | grep -qx '' && \
	git rev-parse --short HEAD 2>/dev/null || echo unknown)

BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
SANITIZE ?=
PYTHON ?= /usr/bin/python3
PKG_CONFIG ?= pkg-config

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2);)

# What a program links, by the file through which the library enters.
AGENT_LIBS := libmnl libnetfilter_conntrack libxxhash libseccomp libcap-ng
HTTP_LIBS := libmicrohttpd gnutls libcjson yaml-0.1 libcrypt zlib libseccomp libcap-ng
CLI_LIBS := libcjson ncursesw tinfo

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla \
	-Wformat=2 -Wdouble-promotion
# No program comes of these, whoever builds it.
WARNINGS += -Werror=implicit-function-declaration -Werror=int-conversion \
	-Werror=incompatible-pointer-types -Werror=return-type -Werror=format
# A newer compiler has newer warnings: they stop us, not those who make packages.
WERROR ?= $(CI)
ifneq ($(WERROR),)
WARNINGS += -Werror
endif
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE -I. $(WARNINGS) -fno-common -fstack-protector-strong \
	-fPIE $(CFLAGS)
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

# Folders say what may happen in them: see docs/architecture.md.
LIB_SRC := $(sort $(wildcard lib/*/*.c))
AGENT_MAINS := agent/main.c agent/record/main.c agent/flow/main.c \
	agent/demo/main.c
AGENT_SRC := $(filter-out $(AGENT_MAINS),$(sort $(wildcard agent/*.c agent/*/*.c)))
SHOW_SRC := $(sort $(wildcard exporters/render/*.c exporters/advice/*.c))
HTTP_MAIN := exporters/http/main.c
HTTP_SRC := $(filter-out $(HTTP_MAIN),$(sort $(wildcard exporters/http/*.c exporters/http/*/*.c)))
CLI_SRC := $(sort $(wildcard exporters/cli/*.c exporters/cli/*/*.c))
REPLAY_MAIN := exporters/replay/main.c
REPLAY_SRC := $(filter-out $(REPLAY_MAIN),$(sort $(wildcard exporters/replay/*.c)))

comma := ,
obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
PROGRAMS := $(BUILD)/conntide-agent $(BUILD)/conntide-exporter $(BUILD)/conntide \
	$(BUILD)/conntide-record $(BUILD)/conntide-flow $(BUILD)/conntide-replay $(BUILD)/conntide-demo

.PHONY: all run demo test bench install clean deps test-deps lint
all: $(PROGRAMS)

deps:
	$(Q)tools/install-packages build

test-deps:
	$(Q)tools/install-packages test

# The packages must be there before this Makefile asks pkg-config: make again.
run: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)exec $(BUILD)/conntide run $(ARGS)

demo: all
	$(Q)exec $(BUILD)/conntide demo $(ARGS)

test: test-deps
	$(Q)WERROR=1 MAKE=$(MAKE) $(PYTHON) tests/run_all.py $(BUILD) $(STAGES)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(ALL_CFLAGS) $(EXTRA_$(subst /,_,$*)) $(CPPFLAGS) -MMD -MP -c -o $@ $<

EXTRA_lib_shm_layout := -Wpadded
# What the page loads, as strings of C.
ASSETS := $(patsubst %,$(BUILD)/exporters/http/page/%.inc,style.css page.js chart.js)
$(BUILD)/exporters/http/page/%.inc: exporters/http/page/% Makefile
	@mkdir -p $(@D)
	$(Q)sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$$/\\n"/' $< > $@
EXTRA_exporters_http_page_assets = -I$(BUILD)
$(BUILD)/exporters/http/page/assets.o: $(ASSETS)
BUILD_INFO = -DCONNTIDE_VERSION='"$(VERSION)"' -DCONNTIDE_REVISION='"$(REVISION)"'
EXTRA_lib_base_build_info = $(BUILD_INFO)
# Written only when it says something else: then one file is compiled again, and all linked.
$(BUILD)/lib/base/build_info.o: $(BUILD)/build-info
$(BUILD)/build-info: .FORCE
	@mkdir -p $(@D)
	@echo '$(VERSION) $(REVISION)' | cmp -s - $@ || echo '$(VERSION) $(REVISION)' > $@
.PHONY: .FORCE
# Statistics are kept in floats, for their size, and computed in doubles.
$(call obj,$(wildcard lib/forecast/*.c)): CPPFLAGS += -Wno-double-promotion

link = $(call say,LD,$@)$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(1) $(2)
archive = $(call say,AR,$@)rm -f $@ && $(AR) rcs $@ $^

# A program takes from the archives what it needs, and no library for the rest.
LIB := $(BUILD)/lib.a
AGENT_LIB := $(BUILD)/agent.a
SHOW_LIB := $(BUILD)/show.a
HTTP_LIB := $(BUILD)/http.a

$(LIB): $(call obj,$(LIB_SRC))
	$(archive)
$(AGENT_LIB): $(call obj,$(AGENT_SRC))
	$(archive)
$(SHOW_LIB): $(call obj,$(SHOW_SRC))
	$(archive)
$(HTTP_LIB): $(call obj,$(HTTP_SRC))
	$(archive)

$(BUILD)/conntide-agent: $(call obj,agent/main.c) $(AGENT_LIB) $(LIB)
	$(call link,$^,$(shell $(PKG_CONFIG) --libs $(AGENT_LIBS)) -lpthread -lm)

$(BUILD)/conntide-record: $(call obj,agent/record/main.c) $(AGENT_LIB) $(LIB)
	$(call link,$^,-Wl$(comma)--as-needed $(shell $(PKG_CONFIG) --libs $(AGENT_LIBS)) -lpthread -lm)

$(BUILD)/conntide-flow: $(call obj,agent/flow/main.c) $(AGENT_LIB) $(LIB)
	$(call link,$^,-Wl$(comma)--as-needed $(shell $(PKG_CONFIG) --libs $(AGENT_LIBS)) -lpthread -lm)

# The agent's own code under a clock of its own, on a machine that is not there.
$(BUILD)/conntide-demo: $(call obj,agent/demo/main.c) $(AGENT_LIB) $(LIB)
	$(call link,$^,-Wl$(comma)--wrap=clock_gettime -Wl$(comma)--as-needed \
		$(shell $(PKG_CONFIG) --libs $(AGENT_LIBS)) -lpthread -lm)

# The mirror and the forecast without a kernel: no netlink, no privilege.
$(BUILD)/conntide-replay: $(call obj,$(REPLAY_MAIN) $(REPLAY_SRC)) $(LIB)
	$(call link,$^,-Wl$(comma)--as-needed $(shell $(PKG_CONFIG) --libs libxxhash) -lm)

$(BUILD)/conntide-exporter: $(call obj,$(HTTP_MAIN)) $(HTTP_LIB) $(SHOW_LIB) $(LIB)
	$(call link,$^,$(shell $(PKG_CONFIG) --libs $(HTTP_LIBS)) -lpthread -lm)

# The command line has no privilege to drop, and needs no library for it.
$(BUILD)/conntide: $(call obj,$(CLI_SRC)) $(SHOW_LIB) $(LIB)
	$(call link,$^,$(shell $(PKG_CONFIG) --libs $(CLI_LIBS)) -lm)

# Each part brings its own targets.
-include $(sort $(wildcard tests/*.mk tests/*/*.mk tests/*/*/*.mk packaging/*.mk))

clean:
	$(Q)rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
