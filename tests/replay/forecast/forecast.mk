# SPDX-License-Identifier: GPL-2.0-or-later
# make test-forecast     units, closed forms, eight traces with thresholds, ten with bounds for a part,
#                        recordings of real programs
# make forecast-bounds   shows that those bounds break without the part
# make forecast-eval     all kinds of trace and the table of docs/forecast.md
# make forecast-eval TRACES=dir   the same of the traces in a folder: NAME.{trace,truth}.csv (or
#                        .csv.xz), NAME.full.csv, NAME.meta.json or NAME.shocks.csv
# make forecast-goals [TRACES=dir] the goals, and what is reached on GOALS_SEEDS of all kinds, on the
#                        traces in a folder and on the recordings of real programs, beside who
#                        knows the model; five minutes; writes the first table of docs/forecast.md
# make forecast-ablation [TRACES=dir] the same without each part in turn; writes the tables of
#                        docs/forecast.md, the second where a folder is given
# make forecast-oracle   after it: the same beside what could be known, at every 5th instant;
#                        an hour of CPU
#
# FORECAST_JOBS=2 FORECAST_SEEDS="1 2 3"; FORECAST_DETAIL=1: a line for each kind as well

FORECAST_JOBS ?= 2
FORECAST_SEEDS ?= 1 2 3
FORECAST_ORACLE_PATHS ?= 12
FORECAST_ORACLE_EVERY ?= 5
FORECAST_CFLAGS ?= -std=gnu11 -D_GNU_SOURCE -I. -Wall -Wextra -Wshadow -Wconversion -Werror -O2 -g

fc_dir := tests/replay/forecast
fc_out := $(BUILD)/forecast
fc_sim_src := $(addprefix $(fc_dir)/,kinds.c oracle.c sim.c sim_life.c sim_stay.c sim_table.c)
fc_gen_src := $(fc_dir)/gen_main.c $(fc_sim_src)
fc_src := $(wildcard lib/forecast/*.c lib/kernel/*.c)
fc_headers := $(wildcard lib/*/*.h lib/*/*.def $(fc_dir)/*.h)

# what `make test` runs: kind.seed, chosen to cover each part of the forecast
# and one for each part of it, with bounds that break without the part
FORECAST_BOUNDS := $(shell sed -n 's/^\([a-z_]*\.[0-9]*\) .*/\1/p' $(fc_dir)/bounds.parts | sort -u)
FORECAST_SHORT := steady.11 step_plateau.11 step_fill.11 syn_flood.11 leak.11 flash.11 lost_events.11 keepalive_off.11

.PHONY: test-forecast forecast-unit forecast-short forecast-goals forecast-eval forecast-given forecast-generated \
	forecast-bounds forecast-ablation forecast-oracle forecast-clean
test-forecast: forecast-unit forecast-short

$(fc_out)/forecast-gen: $(fc_gen_src) $(fc_headers)
	@mkdir -p $(@D)
	$(CC) $(FORECAST_CFLAGS) -o $@ $(fc_gen_src) -lm

$(fc_out)/test_forecast: $(fc_dir)/test_forecast.c $(fc_src) $(fc_headers)
	@mkdir -p $(@D)
	$(CC) $(FORECAST_CFLAGS) -I$(fc_dir) -o $@ $(filter %.c,$^) -lm -lcmocka

$(fc_out)/test_habits: $(fc_dir)/test_habits.c $(fc_src) $(fc_headers)
	@mkdir -p $(@D)
	$(CC) $(FORECAST_CFLAGS) -o $@ $(filter %.c,$^) -lm -lcmocka

$(fc_out)/test_trace: $(fc_dir)/test_trace.c lib/trace/trace.c lib/base/num.c $(fc_headers)
	@mkdir -p $(@D)
	$(CC) $(FORECAST_CFLAGS) -o $@ $(filter %.c,$^) -lcmocka

$(fc_out)/test_sim: $(fc_dir)/test_sim.c $(fc_sim_src) $(fc_headers)
	@mkdir -p $(@D)
	$(CC) $(FORECAST_CFLAGS) -o $@ $(filter %.c,$^) -lm -lcmocka

forecast-unit: $(fc_out)/test_trace $(fc_out)/test_sim $(fc_out)/test_forecast $(fc_out)/test_habits
	$(fc_out)/test_sim
	$(fc_out)/test_trace
	$(fc_out)/test_forecast
	$(fc_out)/test_habits
	$(PYTHON) -m pytest -q -p no:cacheprovider $(fc_dir)/test_score.py

# traces are big and quick to make: each is made, answered and kept as scores need it
define fc_run
	$(1) | xargs -P $(FORECAST_JOBS) -I{} sh $(fc_dir)/one.sh $(fc_out) {}
endef

# fc_answer,OUT,PREFIXES
define fc_answer
	@mkdir -p $(1)
	@printf '%s\n' $(2) | xargs -P $(FORECAST_JOBS) -I{} sh -c '(cat {}.trace.csv 2> /dev/null || xzcat {}.trace.csv.xz) | \
		$(BUILD)/conntide-replay --forecast - > $(1)/$$(basename {}).answers.json'
endef

# recordings of real programs
fc_recorded := $(patsubst %.full.csv,%,$(wildcard tests/replay/recordings/*.full.csv))

forecast-short: $(fc_out)/forecast-gen $(BUILD)/conntide-replay
	$(call fc_run,printf '%s\n' $(sort $(FORECAST_SHORT) $(FORECAST_BOUNDS)))
	$(PYTHON) $(fc_dir)/score.py --ours --per-trace --check $(fc_dir)/thresholds.short \
		$(addprefix $(fc_out)/traces/,$(FORECAST_SHORT))
	$(PYTHON) $(fc_dir)/score.py --ours --per-trace --check-traces $(fc_dir)/bounds.parts \
		$(addprefix $(fc_out)/traces/,$(FORECAST_BOUNDS))
	$(call fc_answer,$(fc_out)/recorded,$(fc_recorded))
	$(PYTHON) $(fc_dir)/score.py --ours --per-trace --answers $(fc_out)/recorded --check-traces $(fc_dir)/bounds.recorded $(fc_recorded)

forecast-generated: $(fc_out)/forecast-gen $(BUILD)/conntide-replay
	$(call fc_run,$(fc_out)/forecast-gen --list | while read k; do for s in $(FORECAST_SEEDS); do echo $$k.$$s; done; done)
	$(PYTHON) $(fc_dir)/score.py --per-trace $(if $(FORECAST_DETAIL),--detail) $$($(fc_out)/forecast-gen --list | while read k; do \
		for s in $(FORECAST_SEEDS); do echo $(fc_out)/traces/$$k.$$s; done; done)
	@awk '{n++; s += $$4; if ($$7 > m) m = $$7; mem = $$10} END \
		{print "forecast: mean " s / n " ms CPU, worst " m " ms, memory " mem " MiB"}' $(fc_out)/traces/*.cost

fc_given := $(if $(TRACES),$(patsubst %.full.csv,%,$(wildcard $(TRACES)/*.full.csv)))
ifdef TRACES
forecast-eval: forecast-given
else
forecast-eval: forecast-generated
endif

forecast-given: $(BUILD)/conntide-replay
	$(call fc_answer,$(fc_out)/given,$(fc_given))
	$(PYTHON) $(fc_dir)/score.py --per-trace --answers $(fc_out)/given $(fc_given)

GOALS_SEEDS ?= 31
GOALS_ORACLE_EVERY ?= 20
GOALS_ORACLE_PATHS ?= 8

forecast-goals: $(fc_out)/forecast-gen $(BUILD)/conntide-replay
	$(call fc_run,$(fc_out)/forecast-gen --list | while read k; do for s in $(GOALS_SEEDS); do echo $$k.$$s; done; done)
	$(fc_out)/forecast-gen --list | while read k; do for s in $(GOALS_SEEDS); do echo $$k $$s; done; done | \
		xargs -P $(FORECAST_JOBS) -L 1 sh -c '$(fc_out)/forecast-gen --oracle $$0 $$1 $(fc_out)/traces/$$0.$$1 \
			$(GOALS_ORACLE_PATHS) $(GOALS_ORACLE_EVERY)'
	$(if $(fc_recorded),$(call fc_answer,$(fc_out)/recorded,$(fc_recorded)))
	$(if $(fc_given),$(call fc_answer,$(fc_out)/given,$(fc_given)))
	$(PYTHON) $(fc_dir)/goals.py $(fc_out) docs/forecast.md --generated $$($(fc_out)/forecast-gen --list | while read k; do \
		for s in $(GOALS_SEEDS); do echo $(fc_out)/traces/$$k.$$s; done; done) --given $(fc_given) --recorded $(fc_recorded)

fc_parts := 0 1 2 4 8 16 32 64 128 256 512
FORECAST_ABLATION ?= $(addsuffix .1,$(shell $(fc_out)/forecast-gen --list 2> /dev/null))
fc_rest = $(filter-out lib/forecast/%,$(wildcard exporters/replay/*.c)) $(BUILD)/lib.a

$(fc_out)/replay-without-%: $(fc_src) $(fc_headers) $(BUILD)/conntide-replay
	@mkdir -p $(@D)
	$(CC) $(FORECAST_CFLAGS) -DFC_PARTS_OFF=$* -DCONNTIDE_VERSION='"test"' -DCONNTIDE_REVISION='"test"' -o $@ \
		$(wildcard lib/forecast/*.c) $(fc_rest) -lm

forecast-bounds: $(fc_out)/forecast-gen $(addprefix $(fc_out)/replay-without-,$(fc_parts))
	FORECAST_JOBS=$(FORECAST_JOBS) $(PYTHON) $(fc_dir)/ablation.py --bounds $(fc_dir)/bounds.parts $(fc_out)

forecast-ablation: $(fc_out)/forecast-gen $(addprefix $(fc_out)/replay-without-,$(fc_parts))
	FORECAST_JOBS=$(FORECAST_JOBS) $(PYTHON) $(fc_dir)/ablation.py $(fc_out) docs/forecast.md $(FORECAST_ABLATION) $(if $(fc_given),-- $(fc_given))

forecast-oracle: $(fc_out)/forecast-gen
	$(fc_out)/forecast-gen --list | while read k; do for s in $(FORECAST_SEEDS); do echo $$k $$s; done; done | \
		xargs -P $(FORECAST_JOBS) -L 1 sh -c '$(fc_out)/forecast-gen --oracle $$0 $$1 $(fc_out)/traces/$$0.$$1 \
			$(FORECAST_ORACLE_PATHS) $(FORECAST_ORACLE_EVERY)'
	$(PYTHON) $(fc_dir)/score.py --oracle --detail $$($(fc_out)/forecast-gen --list | while read k; do \
		for s in $(FORECAST_SEEDS); do echo $(fc_out)/traces/$$k.$$s; done; done)

forecast-clean:
	rm -rf $(fc_out)
