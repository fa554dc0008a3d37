# SPDX-License-Identifier: GPL-2.0-or-later
#
# libconntide.a and its header: for C programs that read the segment. Installed with the rest.

OBJCOPY ?= objcopy
LIBCONNTIDE := $(BUILD)/libconntide.a
install: $(LIBCONNTIDE)
DEVEL_INSTALLED = \
	$(call into,0644,exporters/library/conntide.h,$(includedir)) \
	$(call into,0644,$(LIBCONNTIDE),$(libdir)) \
	$(call into,t,packaging/conntide.pc,$(pkgconfigdir))

# One object, in which only the names of the header can be seen.
$(LIBCONNTIDE): $(call obj,exporters/library/library.c) $(LIB)
	$(call say,AR,$@)$(CC) $(CFLAGS) -nostdlib -r -o $(BUILD)/libconntide.o $^ && \
		$(OBJCOPY) --wildcard --keep-global-symbol='conntide_*' $(BUILD)/libconntide.o && \
		rm -f $@ && $(AR) rcsD $@ $(BUILD)/libconntide.o
