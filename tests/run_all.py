#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs every stage of `make test` and counts. Stages that wait run beside stages that compute.

A stage is a make target; its output goes to BUILD/test-logs/STAGE.log and is shown
when it fails. Counts are read from what cmocka and pytest print; a stage that exits
with an error without a failed test counts as one failure. At the end stands the time
of each stage and of the slowest tests; BUILD/test-logs/times.txt has the former. The
last line is "N passed, N failed" (and ", N skipped" where there are any); with CI set,
a skipped test is a failure, because on CI nothing may be missing.

Where packets and programs run in real time beside all the others, a machine that stands
still for seconds can fail a test by itself. There deadlines are SLOWNESS times as far away,
and a test that failed is run a second time, under the same load. It counts as what it was
then, and is named at the end of the run: it has to be looked after. RERUNS=0 does without.

Usage: run_all.py BUILD_DIR [STAGE...]      MAKE, RERUNS from the environment
"""
import os
import pathlib
import re
import subprocess
import sys
import time

# What a stage has for itself while it runs (alone), or only with others that say so (shared):
# conntrack  the kernel's garbage collector, the limit, the hash, and whether anybody listens:
#            one for all namespaces
# loopback   connections of the machine's own namespace, which may track them, too
CONNTRACK, LOOPBACK = "conntrack", "loopback"

PYTEST = re.compile(r"^=* ?(?=.*\b(?:passed|failed|error|skipped)\b)(.*) in [\d.]+s", re.M)
COUNT = re.compile(r"(\d+) (passed|failed|errors?|skipped|xfailed|xpassed)")
CMOCKA = re.compile(r"^\[  (PASSED|FAILED|SKIPPED)  \] .*?(\d+) test\(s\)", re.M)
PLAIN = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)
DURATION = re.compile(r"^([\d.]+)s (call|setup|teardown) +(\S+)", re.M)
RERUN = re.compile(r"^RERUN (\S+)", re.M)
SLOWEST = 15
SLOWNESS = 3  # at the least: a machine that is known to be slower says so itself


class Stage:
    """A make target: how many CPUs it keeps busy (0: it waits, most of the time), what it
    has for itself or shares, and which stages must have passed before."""

    # pylint: disable=too-many-arguments
    def __init__(self, name, cpus=1, alone=(), shared=(), after=("test-programs",), build=False):
        self.name = name
        self.cpus = min(cpus, CPUS)
        self.alone = set(alone)
        self.shared = set(shared)
        self.after = set(after)
        self.build = build  # a build passes no test
        self.process = self.log = self.began = self.seconds = None
        self.counts = (0, 0, 0)

    def start(self, make, logs):
        self.log = logs / f"{self.name}.log"
        self.began = time.monotonic()
        with self.log.open("w", encoding="utf-8") as out:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen([make, f"-j{CPUS}", "--no-print-directory", self.name],
                                            stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT, env=self.environment())

    def environment(self):
        """What shares the kernel with others happens in real time."""
        reruns = os.environ.get("RERUNS", "1")
        options = os.environ.get("PYTEST_ADDOPTS", "")
        if not self.alone | self.shared or reruns == "0":
            return None
        return {**os.environ, "PYTEST_ADDOPTS": f"--reruns {reruns} -rfER {options}"}

    def bothers(self, other):
        """May the two not run at the same time?"""
        return bool(self.alone & (other.alone | other.shared) or self.shared & other.alone)

    def ended(self):
        return self.process is not None and self.process.poll() is not None

    def judge(self):
        """After its end: counts, and says how it went."""
        self.seconds = time.monotonic() - self.began
        text = self.text()
        self.counts = verdict(text, self.process.returncode, self.build)
        good, bad, left_out = self.counts
        print(f"{self.name:22} ... {good} passed, {bad} failed, {left_out} skipped "
              f"in {self.seconds:.0f} s", flush=True)
        if bad:
            print("\n".join(text.splitlines()[-200:]))
            print(f"^^^ {self.name}: all of it in {self.log}", flush=True)

    def give_up(self, missing):
        self.seconds = 0
        self.counts = (0, 1, 0)
        print(f"{self.name:22} ... not run: {missing} failed", flush=True)

    def text(self):
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log else ""


BOTH = ("test-programs", "test-programs-asan")
CPUS = max(2, os.cpu_count() or 2)
# In the order in which they start where they can: what waits longest first.
STAGES = [
    Stage("test-programs", CPUS, after=(), build=True),
    Stage("test-scenarios", 0, {CONNTRACK, LOOPBACK}),
    Stage("test-programs-asan", CPUS, build=True),
    Stage("lint"),
    Stage("test-unit", CPUS, after=BOTH),
    Stage("fuzz-smoke", CPUS),
    Stage("test-live", 0, {CONNTRACK}),
    Stage("test-tsan", CPUS),
    Stage("test-instructions"),
    Stage("test-forecast", CPUS),
    Stage("test-golden"),
    Stage("test-cli"),
    Stage("test-install"),
    Stage("test-build", CPUS),
    Stage("test-replay", shared={CONNTRACK}, after=BOTH),
    Stage("test-dashboards"),
    Stage("test-kubernetes"),
    Stage("test-page", 1, {LOOPBACK}, {CONNTRACK}),
    Stage("test-terminal", 1, after=BOTH),
    Stage("test-http", 1, {LOOPBACK}),
    Stage("test-patterns", 0, shared={CONNTRACK}),
    # Agents of the packages are listeners, too.
    Stage("test-packages", 1, shared={CONNTRACK}),
    Stage("test-container", 1, shared={CONNTRACK}),
    Stage("test-netns-shared", 1, shared={CONNTRACK}),
    Stage("test-netns-asan-shared", 1, shared={CONNTRACK}, after=BOTH),
    Stage("test-netns-alone", 1, {CONNTRACK}),
    Stage("test-netns-asan-alone", 1, {CONNTRACK}, after=BOTH),
    Stage("test-patterns-alone", 0, {CONNTRACK}),
]


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


def verdict(text, status, build):
    """The counts of a stage that ended with that status."""
    good, bad, left_out = count(text)
    if status != 0 and bad == 0:
        bad = 1
    elif status == 0 and good + bad + left_out == 0 and not build:
        good = 1  # a program that only has its exit status to say
    if os.environ.get("CI") and left_out:
        bad += left_out
    return good, bad, left_out


def with_builds(names):
    """The stages of those names, and what they need; a name of no stage is a target, too."""
    known = {stage.name: stage for stage in STAGES}
    wanted = {name: known.get(name) or Stage(name, CPUS, after=()) for name in names}
    for stage in list(wanted.values()):
        wanted.update((name, known[name]) for name in stage.after)
    return sorted(wanted.values(), key=lambda stage: STAGES.index(stage) if stage in STAGES else 99)


def may_start(stage, running, passed, pending):
    """Is there room beside what runs, and is all done that it needs?"""
    if stage.after - passed:
        return False
    if any(stage.bothers(other) for other in running):
        return False
    # What stands before it in the list and wants the same has it first.
    if any(stage.bothers(other) for other in pending[:pending.index(stage)]):
        return False
    return not stage.cpus or sum(other.cpus for other in running) + stage.cpus <= CPUS


def run(make, stages, logs):
    """Starts each as soon as there is room for it; returns when all have ended."""
    pending, running, passed, failed = list(stages), [], set(), set()
    while pending or running:
        for stage in [stage for stage in pending if stage.after & failed]:
            pending.remove(stage)
            failed.add(stage.name)
            stage.give_up(", ".join(sorted(stage.after & failed)))
        for stage in list(pending):
            if may_start(stage, running, passed, pending):
                pending.remove(stage)
                running.append(stage)
                stage.start(make, logs)
        time.sleep(0.1)
        for stage in [stage for stage in running if stage.ended()]:
            running.remove(stage)
            stage.judge()
            # After a test that failed the others still have something to say.
            (failed if stage.build and stage.counts[1] else passed).add(stage.name)


def slowest(stages):
    """(seconds, stage, test) of the slowest single tests; setup counts as a test of its own."""
    found = [(float(seconds), stage.name, f"{test} ({part})" if part != "call" else test)
             for stage in stages for seconds, part, test in DURATION.findall(stage.text())]
    return sorted(found, reverse=True)[:SLOWEST]


def second_tries(stages):
    """(stage, test) of what failed, and was run again."""
    return [(stage.name, test) for stage in stages for test in RERUN.findall(stage.text())]


def tell(stages, seconds, logs):
    """The times, slowest first, for people and in times.txt for programs."""
    ordered = sorted(stages, key=lambda stage: -stage.seconds)
    print(f"\n{'stage':22} {'seconds':>7} {'passed':>6} {'failed':>6}")
    for stage in ordered:
        print(f"{stage.name:22} {stage.seconds:7.0f} {stage.counts[0]:6} {stage.counts[1]:6}")
    print(f"{'all, side by side':22} {seconds:7.0f}\n")
    for took, stage, test in slowest(stages):
        print(f"{took:7.1f} s  {stage}: {test}")
    for stage, test in second_tries(stages):
        print(f"run a second time: {stage}: {test}")
    with (logs / "times.txt").open("w", encoding="utf-8") as out:
        for stage in ordered:
            out.write(f"{stage.name}\t{stage.seconds:.1f}\t{stage.counts[0]}\t{stage.counts[1]}\n")
        out.write(f"all\t{seconds:.1f}\n")


def prepare_environment():
    """Flags of the calling make (jobserver, -k) are not for the stages; variables are."""
    variables = os.environ.get("MAKEFLAGS", "").partition("-- ")[2]
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
        os.environ.pop(name, None)
    if variables:
        os.environ["MAKEFLAGS"] = f" -- {variables}"
    os.environ["CONNTIDE_SLOWNESS"] = str(max(SLOWNESS,
                                              int(os.environ.get("CONNTIDE_SLOWNESS", "1"))))
    os.environ["PYTEST_ADDOPTS"] = (f"--durations={SLOWEST} --durations-min=1 "
                                    + os.environ.get("PYTEST_ADDOPTS", ""))


def main():
    began = time.monotonic()
    build = pathlib.Path(sys.argv[1])
    make = os.environ.get("MAKE", "make")
    prepare_environment()
    logs = build / "test-logs"
    logs.mkdir(parents=True, exist_ok=True)
    stages = with_builds(sys.argv[2:]) if sys.argv[2:] else list(STAGES)
    run(make, stages, logs)
    tell(stages, time.monotonic() - began, logs)
    passed, failed, skipped = (sum(column) for column in
                               zip((0, 0, 0), *(stage.counts for stage in stages)))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
