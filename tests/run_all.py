#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs every stage of `make test`, one after the other but for one, and counts.

A stage is a make target; its output goes to BUILD/test-logs/STAGE.log and is shown
when it fails. Counts are read from what cmocka and pytest print; a stage that exits
with an error without a failed test counts as one failure. The last line is
"N passed, N failed" (and ", N skipped" where there are any); with CI set, a skipped
test is a failure, because on CI nothing may be missing.

Usage: run_all.py BUILD_DIR [STAGE...]      MAKE from the environment
"""
import os
import pathlib
import re
import subprocess
import sys
import time

STAGES = ["lint", "test-unit", "test-tsan", "test-instructions", "test-forecast", "test-golden",
          "fuzz-smoke", "test-install", "test-scenarios", "test-replay", "test-dashboards",
          "test-http", "test-live", "test-netns", "test-netns-asan"]

# Waits most of its four minutes, and bears company that computes but none that tracks
# connections, for the kernel's collector is one for all: it runs beside those stages.
BESIDE = "test-scenarios"
COMPUTING = {"lint", "test-unit", "test-tsan", "test-instructions", "test-forecast",
             "test-golden", "fuzz-smoke", "test-install"}

PYTEST = re.compile(r"^=* ?(?=.*\b(?:passed|failed|error|skipped)\b)(.*) in [\d.]+s", re.M)
COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed)")
CMOCKA = re.compile(r"^\[  (PASSED|FAILED|SKIPPED)  \] .*?(\d+) test\(s\)", re.M)
PLAIN = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)


def count(text):
    """(passed, failed, skipped) as the test programs in `text` say."""
    passed = failed = skipped = 0
    for summary in PYTEST.findall(text):
        for number, word in COUNT.findall(summary):
            if word == "passed":
                passed += int(number)
            elif word == "skipped":
                skipped += int(number)
            else:
                failed += int(number)
    for word, number in CMOCKA.findall(text):
        if word == "PASSED":
            passed += int(number)
        elif word == "FAILED":
            failed += int(number)
        else:
            skipped += int(number)
    for good, bad in PLAIN.findall(text):
        passed += int(good)
        failed += int(bad)
    return passed, failed, skipped


def known_targets(make):
    """The stages that exist in this tree."""
    done = subprocess.run([make, "-qpn", "all"], capture_output=True, text=True, check=False)
    names = set(re.findall(r"^([\w.-]+):", done.stdout, re.M))
    return [stage for stage in STAGES if stage in names]


class Stage:
    """A stage that runs from its making on, with its output in a log."""

    def __init__(self, make, name, logs):
        self.name = name
        self.log = logs / f"{name}.log"
        self.began = time.monotonic()
        with self.log.open("w", encoding="utf-8") as out:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen([make, "--no-print-directory", name],
                                            stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT)

    def result(self):
        """Waits for its end, tells it; (passed, failed, skipped)."""
        print(f"{self.name:18} ...", end="", flush=True)
        status = self.process.wait()
        text = self.log.read_text(encoding="utf-8", errors="replace")
        good, bad, left_out = count(text)
        if status != 0 and bad == 0:
            bad = 1
        elif status == 0 and good + bad + left_out == 0:
            good = 1  # a program that only has its exit status to say
        if os.environ.get("CI") and left_out:
            bad += left_out
        print(f" {good} passed, {bad} failed, {left_out} skipped "
              f"in {time.monotonic() - self.began:.0f} s", flush=True)
        if bad:
            print("\n".join(text.splitlines()[-200:]))
            print(f"^^^ {self.name}: all of it in {self.log}")
        return good, bad, left_out


def run(make, stages, logs):
    """The result of each stage as they end."""
    beside = Stage(make, BESIDE, logs) if BESIDE in stages else None
    for stage in stages:
        if stage == BESIDE:
            continue
        if beside and stage not in COMPUTING:
            yield beside.result()
            beside = None
        yield Stage(make, stage, logs).result()
    if beside:
        yield beside.result()


def main():
    build = pathlib.Path(sys.argv[1])
    make = os.environ.get("MAKE", "make")
    # Flags of the calling make (jobserver, -k) are not for the stages.
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
        os.environ.pop(name, None)
    logs = build / "test-logs"
    logs.mkdir(parents=True, exist_ok=True)
    results = list(run(make, sys.argv[2:] or known_targets(make), logs))
    passed, failed, skipped = (sum(column) for column in zip((0, 0, 0), *results))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
