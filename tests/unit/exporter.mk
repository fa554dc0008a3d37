# SPDX-License-Identifier: GPL-2.0-or-later
#
# Programs that test exporters/, and the one that plays the agent for them. The cmocka
# programs are run with those of unit.mk: make test-unit.

$(BUILD)/tests/segment-fixture: $(call obj,tests/unit/segment_fixture.c tests/unit/fixture_forecast.c tests/unit/fixture_detail.c tests/unit/fixture_ages.c) $(SHOW_LIB) $(LIB)
	@mkdir -p $(@D)
	$(call link,$^,$(shell $(PKG_CONFIG) --libs $(CLI_LIBS)) -lm)

# Every remedy for every kind of row, for tests/netns/test_remedies.py.
$(BUILD)/tests/remedy-catalogue: $(call obj,tests/unit/remedy_catalogue.c) $(SHOW_LIB) $(LIB)
	@mkdir -p $(@D)
	$(call link,$^,$(shell $(PKG_CONFIG) --libs $(CLI_LIBS)) -lm)

# What conntide top draws, without the terminal; and what check --host reads.
TOP_LIB := $(BUILD)/tests/top.a
$(TOP_LIB): $(call obj,$(addprefix exporters/cli/top/,canvas.c spark.c state.c view.c) \
	exporters/cli/host_facts.c)
	@mkdir -p $(@D)
	$(archive)

EXPORTER_UNIT_SRC := $(wildcard tests/unit/http_*.c tests/unit/render_*.c tests/unit/advice_*.c \
	tests/unit/top_*.c)
EXPORTER_UNIT := $(EXPORTER_UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/unit/%)
$(BUILD)/tests/unit/http_%.o $(BUILD)/tests/unit/render_%.o $(BUILD)/tests/unit/advice_%.o $(BUILD)/tests/unit/top_%.o \
$(BUILD)/tests/unit/made.o: ALL_CFLAGS += \
	-Wno-conversion -Wno-sign-conversion -Wno-missing-field-initializers

$(EXPORTER_UNIT): %: %.o $(call obj,tests/unit/made.c tests/unit/fixture_ages.c) $(TOP_LIB) $(HTTP_LIB) $(SHOW_LIB) $(LIB)
	$(call link,$^,$(shell $(PKG_CONFIG) --libs cmocka $(HTTP_LIBS)) -lpthread -lm)

unit-programs unit-run: $(EXPORTER_UNIT)
