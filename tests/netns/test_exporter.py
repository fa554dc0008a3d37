# SPDX-License-Identifier: GPL-2.0-or-later
"""Agent, exporter and Prometheus together, with the kernel as the judge."""
import collections
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "http"))

# pylint: disable=wrong-import-position
import agent as agent_module
import oracle
import traffic
from harness import Exporter, Prometheus, free_port, sanitized, total, wait_for

ROOT = agent_module.ROOT
RULES = os.path.join(ROOT, "dashboards", "rules.yml")
DASHBOARDS = ("conntide-fleet.json", "conntide-host.json", "conntide-cost.json")


@pytest.fixture
def serve():
    """serve(agent) starts an exporter of its table."""
    running = []

    def start(agent, *options):
        os.chmod(agent.runtime, 0o755)
        running.append(Exporter(agent.runtime, *options))
        return running[-1]
    yield start
    for exporter in running:
        exporter.close()


def fill(pair):
    for index, state in enumerate(traffic.TCP_STATES):
        traffic.Tcp(pair.flow(), 40000 + index, 2000 + index % 3).drive(state)
    for family in (4, 6):
        for number in range(5):
            flow = pair.flow(family)
            flow.forth(17, traffic.udp(flow.src, flow.dst, 5000 + number, 53))


def served_cells(exporter):
    cells = collections.Counter()
    for row in exporter.get("/api/v1/cells").json():
        cells[oracle.Cell(row["l4proto"], row["direction"], row["port"], row["state"])] += \
            row["entries"]
    return +cells


def test_what_is_served_is_the_kernels_table(lab, pair, agent, serve):
    exporter = serve(agent)
    fill(pair)
    agent.wait_equal()
    wait_for(lambda: served_cells(exporter) == oracle.cells(lab.middle), 5,
             "cells over HTTP == conntrack -L")
    wait_for(lambda: total(exporter.metrics(), "nf_conntrack_count") == lab.middle.count(), 5)
    samples = exporter.metrics()
    assert total(samples, "conntide_entries") == total(samples, "conntide_mirror_entries") == \
        lab.middle.count() > 15
    assert total(samples, "conntide_up") == 1
    assert total(samples, "nf_conntrack_max") == int(lab.middle.sysctl(
        "net/netfilter/nf_conntrack_max"))
    status = exporter.get("/api/v1/status").json()
    assert status["entries"] == lab.middle.count() and status["exact"] is True


def dumps(agent):
    return agent.counter("resyncs_valid") + agent.counter("resyncs_invalid")


def at_rest(agent, seconds=6):
    """No dump for so long: after a loss a second one confirms what the first found."""
    seen = {"dumps": dumps(agent), "at": time.monotonic()}

    def question():
        now = dumps(agent)
        if now != seen["dumps"]:
            seen.update(dumps=now, at=time.monotonic())
        return time.monotonic() - seen["at"] > seconds
    agent_module.poll(question, 60, lambda: f"dumps go on: {agent.status()}")
    return seen["dumps"]


def test_no_request_causes_a_dump(host, start_agent, flood, serve):
    host.conntrack_sysctl("udp_timeout", 600)  # none ends meanwhile
    agent = start_agent(host)
    exporter = serve(agent)
    flood(host, rate=20000, flows=20000).wait()
    agent.wait_equal(30, exact=True)
    before = at_rest(agent)
    for _ in range(200):
        for target in ("/metrics", "/api/v1/cells", "/", "/api/v1/status"):
            assert exporter.get(target).status == 200
    assert dumps(agent) == before, agent.log()


def p99_and_quartile(exporter):
    """Of what scrapes take of its CPU: a busy machine makes them late, not expensive."""
    times = []
    for _ in range(600):
        before = exporter.cpu_seconds()
        exporter.get("/metrics")
        times.append(exporter.cpu_seconds() - before)
    times.sort()
    return times[-7], times[150]


@pytest.mark.slow
@pytest.mark.global_sysctl
def test_scrapes_of_a_million_entries(host, start_agent, flood, serve, machine_sysctls):
    """As quick as those of a thousand, and never a dump."""
    machine_sysctls(max=1200000)
    host.conntrack_sysctl("udp_timeout", 600)
    agent = start_agent(host)
    exporter = serve(agent)
    flood(host, rate=1000, flows=1000, ports=50).wait()
    agent.wait_status(lambda status: status["mirror_entries"] >= 1000, 10, "a thousand")
    few_p99, few = p99_and_quartile(exporter)
    flood(host, rate=100000, flows=999000, first=1000, ports=50).wait()
    agent.wait_status(lambda status: status["mirror_entries"] >= 950000, 60, "a million")
    dumps = agent.counter("resyncs_valid") + agent.counter("resyncs_invalid")
    many_p99, many = p99_and_quartile(exporter)
    print(f"1,000: first quartile {few * 1e3:.2f} ms, p99 {few_p99 * 1e3:.2f} ms; {host.count():,}: "
          f"first quartile {many * 1e3:.2f} ms, p99 {many_p99 * 1e3:.2f} ms")
    assert agent.counter("resyncs_valid") + agent.counter("resyncs_invalid") == dumps
    samples = exporter.metrics()
    assert total(samples, "conntide_entries") == total(samples, "conntide_mirror_entries")
    assert sanitized() or (many_p99 < 0.010 and many < 2 * few)
    host.conntrack("-F")


def test_mapping_of_the_real_table_is_read_only(agent, serve):
    exporter = serve(agent)
    assert exporter.get("/-/ready").status == 200
    with open(f"/proc/{exporter.pid}/maps", encoding="utf-8") as maps:
        modes = [line.split()[1] for line in maps if "host.table" in line]
    assert modes and set(modes) == {"r--s"}


def panels(dashboard):
    for panel in dashboard["panels"]:
        yield from [panel, *panel.get("panels", [])]


def queries():
    """What dashboards ask, annotations aside: nothing happens that they are about."""
    for name in DASHBOARDS:
        with open(os.path.join(ROOT, "dashboards", name), encoding="utf-8") as file:
            dashboard = json.load(file)
        for panel in panels(dashboard):
            for target in panel.get("targets", []):
                expr = target["expr"].replace("$__rate_interval", "10s")
                expr = expr.replace(" offset 10m", "")
                yield (name, panel["title"]), re.sub(r'=~"\$\w+"', '=~".+"', expr)


def rule_queries():
    import yaml
    with open(RULES, encoding="utf-8") as file:
        groups = yaml.safe_load(file)["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        # Nothing is wrong here, so no alert would return anything: compare with
        # `bool`, which returns 0 instead of nothing, when the series are there.
        if rule["expr"].startswith("absent("):
            continue
        yield rule.get("alert") or rule["record"], re.sub(r"([<>]=?|==) (?!bool)", r"\1 bool ",
                                                          rule["expr"])


def use_a_nat_pool(host):
    """A few connections that are translated, so that the series of NAT pools exist."""
    host.nft("table ip pool { chain post { type nat hook postrouting priority srcnat; "
             "udp dport 7777 snat to 127.0.0.9; }; }")
    with host.inside():
        for _ in range(20):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
                one.sendto(b"x", ("127.0.0.1", 7777))


@pytest.mark.slow
def test_prometheus_sees_what_the_kernel_sees(host, start_agent, flood, serve, tmp_path):
    """Scraped for real; every query of the dashboard and every rule returns something."""
    # What is made here is still there when the forecast has watched for long enough.
    host.conntrack_sysctl("udp_timeout", 90)
    agent = start_agent(host, "--group", agent_module.exporters_group())
    exporter = serve(agent, "--web.show-hosts=loopback")
    prometheus = Prometheus(str(tmp_path), exporter, RULES)
    try:
        use_a_nat_pool(host)
        host.conntrack_sysctl("udp_timeout_stream", 90)
        flood(host, rate=2000, seconds=8, ports=30).wait()
        host.conntrack("-D", "-p", "udp", "--dport", "7000", check=False)
        host.conntrack("-D", "-p", "tcp", "--dport", "7000", check=False)
        agent.wait_equal(10)
        wait_for(lambda: prometheus.value("nf_conntrack_count") == host.count(), 5,
                 "Prometheus' value == the kernel's count")
        assert prometheus.value("sum(conntide_entries)") == host.count() > 10000
        assert prometheus.value("max_over_time((sum(conntide_entries) - "
                                "sum(conntide_mirror_entries))[20s:1s])") == 0
        assert prometheus.value("count({job='conntide'})") <= 400 + 5
        wait_for(lambda: prometheus.query("conntide_forecast_settles_at_entries"), 120,
                 "the forecast says where it settles")
        empty = [(name, expr) for name, expr in [*queries(), *rule_queries()]
                 if not prometheus.query(expr)]
        assert not empty, empty
        assert {alert["labels"]["alertname"] for alert in prometheus.api("alerts")["alerts"]
                if alert["state"] == "firing"} == {"ConntideSettingChanged"}
        health = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
        assert len(health) >= 18 and all(rule["health"] == "ok" for rule in health)
    finally:
        prometheus.close()


@pytest.mark.slow
def test_agent_comes_and_goes_under_prometheus(host, start_agent, flood, serve, tmp_path):
    """No crash, nothing negative, and counters that are reset only where the agent was."""
    agent = start_agent(host)
    exporter = serve(agent)
    prometheus = Prometheus(str(tmp_path), exporter)
    try:
        flood(host, rate=500, seconds=25, ports=3)
        time.sleep(3)
        agent.signal(signal.SIGSTOP)
        wait_for(lambda: prometheus.query("conntide_up == 0"), 12, "SIGSTOP: up is 0")
        assert prometheus.query('conntide_agent_state{state="silent"} == 1')
        assert not prometheus.query("nf_conntrack_count"), "old numbers are not served"
        agent.signal(signal.SIGCONT)
        wait_for(lambda: prometheus.query("conntide_up == 1"), 5, "SIGCONT: up is 1")
        agent.kill()
        agent.start()
        wait_for(lambda: prometheus.query("conntide_up == 1"), 5, "restart: up is 1")
        time.sleep(3)
        agent.stop()
        wait_for(lambda: prometheus.query('conntide_agent_state{state="stopped"} == 1'), 5)
        agent.start()
        time.sleep(3)
        for name in ("conntide_new_entries_total", "conntide_destroyed_entries_total",
                     "conntide_events_total", "conntide_drop_total"):
            assert all(value >= 0 for _, value in prometheus.query(f"rate({name}[30s])"))
            resets = [value for _, value in prometheus.query(f"resets({name}[40s])")]
            assert resets and max(resets) <= 2, "one for each new agent at most"
        assert prometheus.value("changes(process_start_time_seconds[40s])") == 0
        assert prometheus.value("min_over_time(up[40s])") == 1
    finally:
        prometheus.close()


def run_conntide(namespace, runtime, *options):
    return namespace.popen([agent_module.CLI, "run", "--runtime-dir", runtime, "--state-dir",
                            os.path.join(runtime, "state"), *options],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_conntide_run(lab, pair, runtime):
    """Both start, the URL and a status line come within seconds, Ctrl-C ends both."""
    fill(pair)
    os.chmod(runtime, 0o755)
    port = free_port()
    began = time.monotonic()
    process = run_conntide(lab.middle, runtime, "--web.listen-address", f"127.0.0.1:{port}")
    try:
        lines = []
        while not lines or not lines[-1].startswith("host: "):
            lines.append(process.stdout.readline())
            assert lines[-1], "".join(lines)
        assert time.monotonic() - began < 5
        assert f"http://127.0.0.1:{port}/" in "".join(lines)
        assert f"{lab.middle.count()} of" in lines[-1]
        metrics = lab.middle.run("curl", "-s", f"http://127.0.0.1:{port}/metrics")
        assert "conntide_up" in metrics
        kids = agent_module.children_of(process.pid)
        assert len(kids) == 2
    finally:
        process.send_signal(signal.SIGINT)
    assert process.wait(10) == 0
    process.stdout.close()
    assert not any(os.path.exists(f"/proc/{kid}") for kid in kids)
    assert json.loads(agent_module.cli(runtime, "status", "--json").stdout)["agent"] == "stopped"


@pytest.mark.parametrize("victim", ["conntide-agent", "conntide-exporter"])
def test_conntide_run_ends_when_one_of_them_does(lab, runtime, victim):
    os.chmod(runtime, 0o755)
    process = run_conntide(lab.middle, runtime, "--web.listen-address",
                           f"127.0.0.1:{free_port()}")
    names = {}

    def both():
        for kid in agent_module.children_of(process.pid):
            with open(f"/proc/{kid}/comm", encoding="ascii") as file:
                names[file.read().strip()] = kid
        return {"conntide-agent", "conntide-export"} <= names.keys()
    wait_for(both, 5)
    time.sleep(0.5)
    os.kill(names[victim[:15]], signal.SIGKILL)
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 1
    assert f"{victim} was killed by signal 9" in output
    assert not any(os.path.exists(f"/proc/{kid}") for kid in names.values())


def test_conntide_run_says_what_is_wrong(lab, runtime):
    process = run_conntide(lab.middle, runtime, "--nonsense")
    output, _ = process.communicate(timeout=10)
    assert process.returncode == 1 and "nonsense" in output
    assert "conntide-agent ended with status 2" in output
