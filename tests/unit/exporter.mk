# SPDX-License-Identifier: GPL-2.0-or-later
#
# Programs that test exporters/, and the one that plays the agent for them. The cmocka
# programs are run with those of unit.mk: make test-unit.

TEST_LIB_OBJ = $(call obj,$(filter-out lib/base/sandbox.c,$(LIB_SRC)) $(RENDER_SRC))

$(BUILD)/tests/segment-fixture: $(call obj,tests/unit/segment_fixture.c tests/unit/fixture_forecast.c tests/unit/fixture_story.c) $(TEST_LIB_OBJ)
	@mkdir -p $(@D)
	$(call link,$^,$(shell pkg-config --libs $(CLI_LIBS)) -lm)

EXPORTER_UNIT_SRC := $(wildcard tests/unit/http_*.c tests/unit/render_*.c tests/unit/advice_*.c)
EXPORTER_UNIT := $(EXPORTER_UNIT_SRC:tests/unit/%.c=$(BUILD)/tests/unit/%)
EXPORTER_UNDER_TEST := $(LIB_SRC) $(RENDER_SRC) $(ADVICE_SRC) tests/unit/made.c \
	$(filter-out exporters/http/main.c exporters/http/serve.c exporters/http/server.c,$(HTTP_SRC))

$(BUILD)/tests/unit/http_%.o $(BUILD)/tests/unit/render_%.o $(BUILD)/tests/unit/advice_%.o \
$(BUILD)/tests/unit/made.o: ALL_CFLAGS += \
	-Wno-conversion -Wno-sign-conversion -Wno-missing-field-initializers

$(EXPORTER_UNIT): %: %.o $(call obj,$(EXPORTER_UNDER_TEST))
	$(call link,$^,$(shell pkg-config --libs cmocka $(HTTP_LIBS)) -lpthread -lm)

unit-programs unit-run: $(EXPORTER_UNIT)
