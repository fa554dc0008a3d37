# SPDX-License-Identifier: GPL-2.0-or-later
"""tests/run_all.py: what it counts, and what it lets run side by side."""
import os
import re
import sys

import source

sys.path.insert(0, os.path.join(source.ROOT, "tests"))

import run_all  # pylint: disable=wrong-import-position
from run_all import Stage  # pylint: disable=wrong-import-position

TEXT = """
12.50s call     tests/a.py::test_slow
[==========] 3 test(s) run.
[  PASSED  ] 2 test(s).
[  FAILED  ] 1 test(s), listed below:
4 failed, 10 passed, 1 skipped in 3.21s
= 5 passed in 0.10s =
2 passed, 0 failed
"""


def test_counts(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    assert run_all.count(TEXT) == (19, 5, 1)
    assert run_all.verdict(TEXT, 1, False) == (19, 5, 1)
    assert run_all.verdict("no word", 1, False) == (0, 1, 0)
    assert run_all.verdict("no word", 0, False) == (1, 0, 0)
    assert run_all.verdict("built", 0, True) == (0, 0, 0)
    monkeypatch.setenv("CI", "1")
    assert run_all.verdict(TEXT, 0, False) == (19, 6, 1), "on CI nothing may be missing"


def test_slowest():
    stage = Stage("one")
    stage.text = lambda: TEXT
    assert run_all.slowest([stage]) == [(12.5, "one", "tests/a.py::test_slow")]


def test_second_tries(monkeypatch):
    """Only where it is the kernel in real time, and never in silence."""
    monkeypatch.setenv("RERUNS", "1")
    assert Stage("computes").environment() is None
    live = Stage("live", shared={"conntrack"})
    assert "--reruns 1 -rfER" in live.environment()["PYTEST_ADDOPTS"]
    live.text = lambda: f"RERUN tests/a.py::test_slow\n{TEXT}"
    assert run_all.second_tries([live]) == [("live", "tests/a.py::test_slow")]
    assert run_all.count("1 failed, 2 passed, 3 rerun in 3.21s") == (2, 1, 0)
    monkeypatch.setenv("RERUNS", "0")
    assert live.environment() is None


def may(stage, running=(), passed=(), pending=None):
    return run_all.may_start(stage, list(running), set(passed), pending or [stage])


def test_what_runs_side_by_side():
    alone, other = (Stage(name, 0, {"conntrack"}, after=()) for name in ("a", "b"))
    shared, third = (Stage(name, 0, shared={"conntrack"}, after=()) for name in ("c", "d"))
    busy, computes = Stage("e", run_all.CPUS, after=()), Stage("f", 1, after=())
    assert may(alone) and not may(alone, [other]) and not may(alone, [shared])
    assert may(shared, [third]) and not may(shared, [alone])
    assert not may(shared, pending=[alone, shared]), "first come, first served"
    assert may(alone, [busy]) and not may(computes, [busy]) and may(computes, [alone, shared])
    assert not may(Stage("g")) and may(Stage("g"), passed=["test-programs"])


def test_stages_are_targets():
    text = "".join(source.read(path) for path in source.files("tests", suffixes=(".mk",)))
    missing = [stage.name for stage in run_all.STAGES if f"\n{stage.name}:" not in text]
    assert not missing, missing
    names = {stage.name for stage in run_all.STAGES}
    assert all(stage.after <= names for stage in run_all.STAGES)


# Targets that are no stages, and why.
APART = {"test-deps": "make test does it first", "test-busy": "runs stages",
         "test-netns": "both its halves are", "test-netns-asan": "both its halves are",
         "test-torture": "ten minutes; a minute of it is in test-netns-alone",
         "test-boot": "a machine that boots under emulation: twelve minutes",
         "test-boot-install": "a part of it: .ci/run has it after make test",
         "test-arm64": "two cross-builds, and emulation: ten minutes",
         "test-alerts": "twenty minutes; one load of each kind is in test-live",
         "test-twins": "half an hour; a short form of it is in test-scenarios"}


def test_no_test_is_forgotten():
    text = "\n".join(source.read(path) for path in [
        "Makefile", *source.files("tests", "packaging", suffixes=(".mk",))])
    targets = set(re.findall(r"^((?:test|fuzz)-[a-z0-9-]+)(?=.*:(?!=))", text, re.M))
    targets -= {"fuzz-programs"}
    assert len(targets) > 20
    assert targets - {stage.name for stage in run_all.STAGES} == set(APART)


def test_builds_come_along():
    assert [stage.name for stage in run_all.with_builds(["test-golden"])] == [
        "test-programs", "test-golden"]
