# SPDX-License-Identifier: GPL-2.0-or-later
#
# make deb          the Debian packages, into BUILD/deb; from what is committed
# make deb-arm64    the same for arm64, cross-built in a Debian made for it, into BUILD/deb-arm64
# make rpm          the RPMs, into BUILD/rpm; with Debian's rpmbuild, to see that the spec works
# make source       the source archive that both are made from
# make sbom         the programs and the libraries they load, as SPDX, into BUILD/conntide.spdx.json
# make package-deps what these need, as root
#
# Two builds of one commit give the same bits: times come from the commit.

ORIG := $(BUILD)/conntide_$(VERSION).orig.tar.xz
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
DEB_FLAGS ?= -us -uc

.PHONY: deb deb-arm64 rpm source package-deps cross-deps
package-deps:
	$(Q)tools/install-packages package

cross-deps:
	$(Q)tools/install-packages cross

source: $(ORIG)
$(ORIG): .FORCE
	@mkdir -p $(@D)
	$(Q)git archive --format=tar --prefix=conntide-$(VERSION)/ HEAD | xz -T1 -6 > $@

deb: package-deps source
	$(Q)packaging/build-deb $(abspath $(ORIG)) $(abspath $(BUILD)/deb) $(SOURCE_DATE_EPOCH) $(DEB_FLAGS)

deb-arm64: cross-deps source
	$(Q)packaging/build-deb-cross arm64 $(abspath $(ORIG)) $(abspath $(BUILD)/deb-arm64) \
		$(SOURCE_DATE_EPOCH) $(DEB_FLAGS)

rpm: package-deps source
	$(Q)packaging/build-rpm $(abspath $(ORIG)) $(abspath $(BUILD)/rpm) $(VERSION) $(SOURCE_DATE_EPOCH)

.PHONY: sbom
sbom: $(PROGRAMS)
	$(Q)packaging/sbom $(VERSION) $(SOURCE_DATE_EPOCH) $(PROGRAMS) > $(BUILD)/conntide.spdx.json
	@echo $(BUILD)/conntide.spdx.json

# What is to be in the packages, a program a line; for tests/packages.
.PHONY: print-programs
print-programs:
	@printf '%s\n' $(notdir $(PROGRAMS))

.PHONY: .FORCE
.FORCE:
