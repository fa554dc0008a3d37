# SPDX-License-Identifier: GPL-2.0-or-later
"""Agent and exporter restarted under traffic, as an upgrade of the packages does it: a service
manager keeps the event socket, and a Prometheus scrapes all the while."""
import contextlib
import itertools
import os
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "http"))

# pylint: disable=wrong-import-position
import traffic
from harness import Exporter, Prometheus, wait_for
from oracle import Cell
from test_service import Manager, Service

# conntide-agent(8): quality is exact again within this long after a restart.
EXACT_AGAIN_S = 10
# What the kernel counts goes on, whoever asks; all else begins anew with its program.
KERNELS = {f"conntide_{name}_total" for name in (
    "drop", "early_drop", "insert_failed", "chaintoolong", "clash_resolve", "found", "invalid",
    "error", "search_restart")}
# Of a program that is not there nothing is told; else nothing of this may be missing.
ALWAYS = {"conntide_up", "nf_conntrack_count", "nf_conntrack_max", "conntide_mirror_entries",
          "conntide_events_total", *KERNELS}
BEFORE, MEANWHILE, ALL_THE_TIME = 901, 902, 903


class Traffic:
    """Connections that begin and end, all the time."""

    def __init__(self, lab):
        self.pair = traffic.Pair(lab)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        for sport in itertools.count(20000):
            if self.over.wait(0.05):
                break
            traffic.Tcp(self.pair.flow(4, 9), sport, ALL_THE_TIME).drive("CLOSE")

    def close(self):
        self.over.set()
        self.thread.join()
        self.pair.close()


class Span:
    """When the restart began, and when all was as before again."""

    def __init__(self):
        self.began, self.ended = time.time(), None

    def end(self):
        self.ended = time.time()

    def covers(self, before, after):
        """Does it explain what is between these two scrapes? A scrape takes its time."""
        return before <= self.ended + 1 and after >= self.began - 1


def neighbours(samples):
    return zip(samples, samples[1:])


def check_counters(series, restart):
    """None falls but where its program began anew, and those of the kernel never."""
    for (name, labels), samples in series.items():
        if name.endswith("_total"):
            falls = [pair for pair in neighbours(samples) if pair[1][1] < pair[0][1]]
            assert len(falls) <= (name not in KERNELS), (name, labels, falls)
            assert all(restart.covers(before[0], after[0]) for before, after in falls), (name, falls)


def check_gaps(series, restart):
    """Prometheus asks once a second."""
    assert ALWAYS <= {name for name, _ in series}
    for (name, labels), samples in series.items():
        if name in ALWAYS:
            gaps = [(before[0], after[0]) for before, after in neighbours(samples)
                    if after[0] - before[0] > 3]
            assert all(restart.covers(*gap) for gap in gaps), (name, labels, gaps)
        if name in ("up", "conntide_up"):
            assert all(value == 1 or restart.covers(at, at) for at, value in samples), samples


def check_series(series, restart):
    """What was told before the restart is told after it."""
    before = {key for key, samples in series.items() if samples[0][0] < restart.began}
    after = {key for key, samples in series.items() if samples[-1][0] > restart.ended}
    lost = {(name, labels) for name, labels in before - after if name in ALWAYS}
    assert not lost, lost


@pytest.fixture
def service(lab, runtime):
    with contextlib.closing(Manager(runtime)) as manager, \
            contextlib.closing(Service(lab.middle, manager)) as made:
        manager.until("READY")
        yield made


def restart_agent(service, meanwhile):  # pylint: disable=redefined-outer-name
    service.stop()
    meanwhile()
    service.passed = dict(service.manager.stored)
    service.start()


@pytest.mark.slow
def test_both_under_prometheus(lab, pair, service, tmp_path):  # pylint: disable=redefined-outer-name
    """What was open before is seen to end, what was made meanwhile speaks, and Prometheus misses
    the restart and no more."""
    old = [traffic.Tcp(pair.flow(), 40000 + i, BEFORE) for i in range(20)]
    new = [traffic.Tcp(pair.flow(), 41000 + i, MEANWHILE) for i in range(10)]
    for connection in old:
        connection.drive("ESTABLISHED")
    service.wait_equal(exact=True, label="before")
    stray = pair.flow(4, 8)
    for sport in range(20):  # so that the kernel's counters could fall
        stray.forth(6, traffic.tcp(stray.src, stray.dst, sport + 1000, BEFORE, traffic.FIN, 1, 0))

    def meanwhile():
        for connection in new:
            connection.drive("ESTABLISHED")
        for connection in old[:5]:
            connection.step("FIN_WAIT")

    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.closing(Traffic(lab)))
        exporters = stack.enter_context(contextlib.ExitStack())
        exporter = exporters.enter_context(contextlib.closing(Exporter(service.runtime)))
        prometheus = stack.enter_context(contextlib.closing(Prometheus(str(tmp_path), exporter)))
        wait_for(lambda: prometheus.query("count_over_time(conntide_up[20s]) >= 3"), 20, "scrapes")
        restart = Span()
        # As the packages' scripts do it: the agent, then the exporter, on the same port.
        restart_agent(service, meanwhile)
        began = time.monotonic()
        exporters.close()
        exporters.enter_context(contextlib.closing(Exporter(
            service.runtime, listen=[f"127.0.0.1:{exporter.port}"])))
        service.wait_status(lambda status: status["quality"] == "exact", EXACT_AGAIN_S, "exact")
        print(f"exact {time.monotonic() - began:.1f} s after the restart")
        restart.end()
        for connection in old[5:] + new[5:]:
            connection.step("FIN_WAIT")
        wait_for(lambda: service.cells()[Cell("tcp", "forwarded", BEFORE, "FIN_WAIT")] == 20, 3,
                 "what was open before is seen to end")
        since = time.time()
        wait_for(lambda: prometheus.value("timestamp(conntide_up)") > since + 3, 20, "scrapes")
        series = prometheus.samples('{job="conntide"}', 300)
    service.wait_equal(exact=True, label="after", expect={
        Cell("tcp", "forwarded", BEFORE, "ESTABLISHED"): 0,
        Cell("tcp", "forwarded", BEFORE, "FIN_WAIT"): 20,
        Cell("tcp", "forwarded", MEANWHILE, "ESTABLISHED"): 5,
        Cell("tcp", "forwarded", MEANWHILE, "FIN_WAIT"): 5})
    check_counters(series, restart)
    check_gaps(series, restart)
    check_series(series, restart)
