# SPDX-License-Identifier: GPL-2.0-or-later
#
# make install    into DESTDIR, below PREFIX (/usr/local). Starts and enables nothing.

bindir ?= $(PREFIX)/bin
datadir ?= $(PREFIX)/share
mandir ?= $(datadir)/man
prefix_libdir ?= $(PREFIX)/lib
systemdsystemunitdir ?= $(prefix_libdir)/systemd/system
sysusersdir ?= $(prefix_libdir)/sysusers.d
tmpfilesdir ?= $(prefix_libdir)/tmpfiles.d
# Where shells look for what others than the administrator installed.
bashcompletiondir ?= $(datadir)/bash-completion/completions
zshcompletiondir ?= $(datadir)/zsh/site-functions
fishcompletiondir ?= $(datadir)/fish/vendor_completions.d
INSTALL ?= install

UNITS := conntide-agent.service conntide-exporter.service conntide-exporter.socket

install: all
	$(Q)$(INSTALL) -d $(DESTDIR)$(bindir) $(DESTDIR)$(mandir)/man1 $(DESTDIR)$(mandir)/man8 \
		$(DESTDIR)$(systemdsystemunitdir) $(DESTDIR)$(sysusersdir) \
		$(DESTDIR)$(tmpfilesdir) $(DESTDIR)$(datadir)/conntide/grafana \
		$(DESTDIR)$(datadir)/conntide/prometheus \
		$(DESTDIR)$(datadir)/conntide/alertmanager $(DESTDIR)$(bashcompletiondir) \
		$(DESTDIR)$(zshcompletiondir) $(DESTDIR)$(fishcompletiondir)
	$(Q)$(INSTALL) -m 0755 $(PROGRAMS) $(DESTDIR)$(bindir)
	$(Q)$(INSTALL) -m 0644 docs/man/conntide.1 docs/man/conntide-record.1 \
		docs/man/conntide-replay.1 $(DESTDIR)$(mandir)/man1
	$(Q)$(INSTALL) -m 0644 docs/man/conntide-agent.8 docs/man/conntide-exporter.8 \
		$(DESTDIR)$(mandir)/man8
	$(Q)for unit in $(UNITS); do \
		sed 's|@bindir@|$(bindir)|g' packaging/systemd/$$unit \
			> $(DESTDIR)$(systemdsystemunitdir)/$$unit && \
		chmod 0644 $(DESTDIR)$(systemdsystemunitdir)/$$unit || exit 1; done
	$(Q)$(INSTALL) -m 0644 packaging/systemd/sysusers.conf \
		$(DESTDIR)$(sysusersdir)/conntide.conf
	$(Q)$(INSTALL) -m 0644 packaging/systemd/tmpfiles.conf \
		$(DESTDIR)$(tmpfilesdir)/conntide.conf
	$(Q)$(INSTALL) -m 0644 $(wildcard dashboards/conntide-*.json) $(DESTDIR)$(datadir)/conntide/grafana
	$(Q)$(INSTALL) -m 0644 dashboards/rules.yml $(DESTDIR)$(datadir)/conntide/prometheus
	$(Q)$(INSTALL) -m 0644 packaging/completion/conntide.bash \
		$(DESTDIR)$(bashcompletiondir)/conntide
	$(Q)$(INSTALL) -m 0644 packaging/completion/_conntide $(DESTDIR)$(zshcompletiondir)
	$(Q)$(INSTALL) -m 0644 packaging/completion/conntide.fish $(DESTDIR)$(fishcompletiondir)
	$(Q)$(INSTALL) -m 0644 dashboards/alertmanager/* $(DESTDIR)$(datadir)/conntide/alertmanager
