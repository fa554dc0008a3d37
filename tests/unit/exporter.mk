# SPDX-License-Identifier: GPL-2.0-or-later
# Test programs of lib/shm as seen from outside, and of exporters/.

TEST_LIB_OBJ = $(call obj,$(filter-out lib/base/sandbox.c,$(LIB_SRC)) $(RENDER_SRC))

$(BUILD)/tests/segment-fixture: $(call obj,tests/unit/segment_fixture.c) $(TEST_LIB_OBJ)
	@mkdir -p $(@D)
	$(call link,$^,$(shell pkg-config --libs $(CLI_LIBS)) -lm)
