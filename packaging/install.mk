# SPDX-License-Identifier: GPL-2.0-or-later
#
# make install    into DESTDIR, below PREFIX (/usr/local). Starts and enables nothing; without a
#                 DESTDIR it makes users and directories, and says how to start.
# make uninstall  removes what install put there; users, incidents and settings stay

bindir ?= $(PREFIX)/bin
datadir ?= $(PREFIX)/share
mandir ?= $(datadir)/man
includedir ?= $(PREFIX)/include
prefix_libdir ?= $(PREFIX)/lib
# Of the library for readers of the segment; Debian has it in a folder of its architecture.
libdir ?= $(prefix_libdir)
pkgconfigdir ?= $(libdir)/pkgconfig
systemdsystemunitdir ?= $(prefix_libdir)/systemd/system
sysusersdir ?= $(prefix_libdir)/sysusers.d
tmpfilesdir ?= $(prefix_libdir)/tmpfiles.d
# Where shells look for what others than the administrator installed.
bashcompletiondir ?= $(datadir)/bash-completion/completions
zshcompletiondir ?= $(datadir)/zsh/site-functions
fishcompletiondir ?= $(datadir)/fish/vendor_completions.d
INSTALL ?= install

UNITS := conntide-agent.service conntide-exporter.service conntide-exporter.socket

# What goes where, as MODE:FROM:TO. In those of mode t @bindir@ and its like are replaced.
into = $(foreach from,$(2),$(1):$(from):$(3)/$(notdir $(from)))
INSTALLED = \
	$(call into,0755,$(PROGRAMS),$(bindir)) \
	$(call into,0644,$(wildcard docs/man/*.1),$(mandir)/man1) \
	$(call into,0644,$(wildcard docs/man/*.5),$(mandir)/man5) \
	$(call into,0644,$(wildcard docs/man/*.8),$(mandir)/man8) \
	$(call into,t,$(UNITS:%=packaging/systemd/%),$(systemdsystemunitdir)) \
	$(call into,t,packaging/systemd/private-network.conf,$(datadir)/conntide/systemd) \
	0644:packaging/systemd/sysusers.conf:$(sysusersdir)/conntide.conf \
	0644:packaging/systemd/tmpfiles.conf:$(tmpfilesdir)/conntide.conf \
	$(call into,0644,$(wildcard dashboards/conntide-*.json),$(datadir)/conntide/grafana) \
	$(call into,0644,dashboards/rules.yml,$(datadir)/conntide/prometheus) \
	$(call into,0644,$(wildcard dashboards/alertmanager/*),$(datadir)/conntide/alertmanager) \
	0644:packaging/completion/conntide.bash:$(bashcompletiondir)/conntide \
	$(call into,0644,packaging/completion/_conntide,$(zshcompletiondir)) \
	$(call into,0644,packaging/completion/conntide.fish,$(fishcompletiondir)) \
	$(DEVEL_INSTALLED)

.PHONY: install uninstall
install: all
	$(Q)set -e; for item in $(INSTALLED); do \
		mode=$${item%%:*}; rest=$${item#*:}; from=$${rest%%:*}; to=$(DESTDIR)$${rest#*:}; \
		if [ $$mode = t ]; then \
			$(INSTALL) -d "$${to%/*}"; \
			sed -e 's|@bindir@|$(bindir)|g' -e 's|@datadir@|$(datadir)|g' \
				-e 's|@includedir@|$(includedir)|g' -e 's|@libdir@|$(libdir)|g' \
				-e 's|@version@|$(VERSION)|g' $$from > "$$to"; \
			chmod 0644 "$$to"; \
		else \
			$(INSTALL) -D -m $$mode $$from "$$to"; \
		fi; done
	$(Q)[ -n "$(DESTDIR)" ] || packaging/after-install install

uninstall:
	$(Q)[ -n "$(DESTDIR)" ] || packaging/after-install stop
	$(Q)for item in $(INSTALLED); do rm -f "$(DESTDIR)$${item##*:}"; done
	$(Q)rmdir --ignore-fail-on-non-empty $(wildcard $(DESTDIR)$(datadir)/conntide/* \
		$(DESTDIR)$(includedir)/conntide) 2>/dev/null || :
	$(Q)[ ! -d "$(DESTDIR)$(datadir)/conntide" ] || rmdir --ignore-fail-on-non-empty \
		"$(DESTDIR)$(datadir)/conntide"
	$(Q)[ -n "$(DESTDIR)" ] || packaging/after-install uninstall
