# SPDX-License-Identifier: GPL-2.0-or-later
#
# make lint           what a compiler does not check; tests/lint says what and why

LINT := tests/lint/layers.py tests/lint/rules.py tests/lint/sizes.py tests/lint/layout_frozen.py \
	tests/lint/metrics_sync.py tests/lint/format.py tests/lint/drawing.py \
	tests/lint/terms.py tests/lint/stages.py tests/lint/completion.py

lint: $(BUILD)/conntide
	$(Q)CC="$(CC)" CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -p no:cacheprovider -rw $(LINT)

.PHONY: format
format:
	$(Q)clang-format-14 -i $(shell find lib agent exporters tests -name '*.[ch]')

# The drawing in docs/architecture.md, from the includes.
.PHONY: architecture
architecture:
	$(Q)$(PYTHON) tools/architecture.py

# What is written from the table of options (exporters/cli/options.c): completions for shells and
# the options in conntide(1).
.PHONY: completion
completion: $(BUILD)/conntide
	$(Q)CONNTIDE_BUILD=$(abspath $(BUILD)) $(PYTHON) tests/lint/completion.py --update

# Product lines by folder, beside those of SINCE=commit.
.PHONY: lines
lines:
	$(Q)$(PYTHON) tools/lines $(SINCE)
