# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the netns tests: they need root, and take every namespace down again."""
import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# pylint: disable=wrong-import-position
import agent as agent_module
import netns
import sysctls
import traffic

TOOLS = ("ip", "tc", "nft", "conntrack", "iptables", "strace", "setpriv", "unshare")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes more than about five seconds")
    config.addinivalue_line("markers", "brief: what it looks for is over within a second; not under "
                            "sanitizers, where a look takes longer")
    config.addinivalue_line("markers", "no_agent: tests of the instruments themselves")
    config.addinivalue_line("markers", "global_sysctl: changes a sysctl of the whole machine")
    config.addinivalue_line("markers", "each_kernel: is run on Debian's own kernel, too, under "
                            "emulation: see tests/boot")
    config.addinivalue_line("markers", "alone: others would change what it sees: their listeners "
                            "make entries speak everywhere, their timeouts drive the collector")


def pytest_addoption(parser):
    parser.addoption("--machine", choices=("shared", "alone"), help="only tests that may run "
                     "beside others, or only those marked global_sysctl or alone")


# Last: the order is for what is left when -m has chosen, and nobody sorts it again.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    machine = config.getoption("machine", None)
    if machine:
        items[:] = [item for item in items
                    if ("global_sysctl" in item.keywords or "alone" in item.keywords)
                    == (machine == "alone")]
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        items[:] = spread(items, workers)
    reason = None
    if os.geteuid() != 0:
        reason = "needs root: network namespaces"
    elif not os.path.exists(agent_module.PROGRAM):
        reason = f"{agent_module.PROGRAM} is not built: make"
    else:
        missing = [tool for tool in TOOLS if not shutil.which(tool)]
        if missing:
            reason = "missing: " + " ".join(missing)
    if reason:
        for item in items:
            if "no_agent" not in item.keywords:
                item.add_marker(pytest.mark.skip(reason=reason))


def spread(items, workers):
    """The order for several workers: each is given a quarter of its share first, a piece of
    the list; the slow ones are dealt to these pieces. A module whose fixture lives as long as
    it does stays together."""
    piece = max(len(items) // workers // 4, 2)
    together = {item.path for item in items if "overloaded" in item.fixturenames}
    groups, others = {}, []
    for item in items:
        if item.path in together:
            groups.setdefault(item.path, []).append(item)
        elif "slow" in item.keywords:
            groups[item.nodeid] = [item]
        else:
            others.append(item)
    pieces = [[] for _ in range(workers)]
    for group in sorted(groups.values(), key=len, reverse=True):
        min(pieces, key=len).extend(group)
    for one in pieces:
        missing = max(piece - len(one), 0)
        one += others[:missing]
        others = others[missing:]
    return [item for one in pieces for item in one] + others


def pytest_sessionstart():
    # A shell ignores SIGINT for what it runs in the background, and so would the agents.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.geteuid() == 0:
        netns.sweep()
        agent_module.sweep_runtime_dirs()
        sysctls.restore_leftovers()
        atexit.register(sysctls.restore_at_exit)


def pytest_runtest_teardown(item):
    """Through the report, for the test may run in another process than the summary."""
    item.user_properties.append(("waits", list(agent_module.waits)))
    agent_module.waits.clear()


waits = []


def pytest_runtest_logreport(report):
    if report.when == "teardown":
        for name, value in report.user_properties:
            if name == "waits":
                waits.extend(value)


def pytest_terminal_summary(terminalreporter):
    """How long each promise took, beside how long it may take."""
    if not waits:
        return
    worst = {}
    for test, label, within, took in waits:
        key = (test.split("::")[-1], label)
        if key not in worst or worst[key][1] < took:
            worst[key] = (within, took)
    terminalreporter.section("mirror == table: stated and measured seconds")
    for (test, label), (within, took) in worst.items():
        terminalreporter.write_line(f"{took:7.2f} of {within:4} s  {test} {label}")


@pytest.fixture
def lab():
    """client -- middle -- server, connections tracked in the middle."""
    made = netns.Lab()
    yield made
    made.close()


@pytest.fixture
def host():
    """A lone namespace with a sink for floods, connections tracked."""
    made = netns.Host()
    yield made
    made.close()


@pytest.fixture
def pair(lab):  # pylint: disable=redefined-outer-name
    made = traffic.Pair(lab)
    yield made
    made.close()


@pytest.fixture
def start_agent():
    """Starts agents; at the end each must stop cleanly on SIGTERM, with a clean log."""
    with contextlib.ExitStack() as stack:
        def start(namespace, *args, **kwargs):
            made = agent_module.Agent.__new__(agent_module.Agent)
            stack.callback(_close_started, made)
            made.__init__(namespace, *args, **kwargs)
            return made
        yield start


def _close_started(made):
    if hasattr(made, "logs"):
        made.close()


@pytest.fixture
def agent(lab, start_agent):  # pylint: disable=redefined-outer-name
    """An agent in the middle of the lab, at its defaults."""
    return start_agent(lab.middle)


@pytest.fixture
def runtime():
    """An empty runtime directory."""
    path = agent_module.runtime_dir()
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def flood_program():
    """The generator of flows, built here when make has not."""
    source = os.path.join(agent_module.ROOT, "tests", "bench", "flood.c")
    program = agent_module.FLOOD
    if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
        os.makedirs(os.path.dirname(program), exist_ok=True)
        subprocess.run(["cc", "-O2", "-std=gnu11", "-D_GNU_SOURCE", "-o", program, source],
                       check=True)
    return program


@pytest.fixture
def flood(flood_program):  # pylint: disable=redefined-outer-name
    """flood(host, rate=, seconds= | flows=, ...) starts one; flood.wait() ends it."""
    running = []

    def start(host_namespace, rate, seconds=None, flows=None, first=0, port=7000, ports=1):
        argv = [flood_program, "-r", str(rate), "-f", str(first), "-p", str(port),
                "-P", str(ports)]
        argv += ["-n", str(flows)] if flows else ["-s", str(seconds)]
        process = host_namespace.popen(argv + [netns.Host.SINK], stdout=subprocess.PIPE,
                                       text=True)
        running.append(process)
        return process
    yield start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.wait()


@pytest.fixture
def machine_sysctls():
    """machine_sysctls(max=..., buckets=...) for the rest of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda **values: stack.enter_context(sysctls.changed(**values))
