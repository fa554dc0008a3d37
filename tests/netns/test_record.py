# SPDX-License-Identifier: GPL-2.0-or-later
"""conntide record and replay: a trace of real traffic, replayed, is the kernel's table."""
import collections
import json
import os
import re
import signal
import subprocess

import pytest

import agent as agent_module
import oracle
import traffic
from agent import CLI, poll

RECORD = os.path.join(agent_module.BUILD, "conntide-record")


class Recording:
    """`conntide record` in a namespace; its trace grows each second."""

    def __init__(self, namespace, path, *args, program=(CLI, "record")):
        self.path = str(path)
        self.process = namespace.popen([*program, "--out", self.path, *args],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def lines(self):
        """All but a last one that is still being written."""
        if not os.path.exists(self.path):
            return []
        with open(self.path, encoding="ascii") as file:
            return [line.rstrip("\n").split(",") for line in file if line.endswith("\n")]

    def kinds(self):
        return collections.Counter(line[1] for line in self.lines() if line[0][0] != "#")

    def wait_begun(self):
        poll(lambda: self.process.poll() is not None or self.kinds()["STAT"],
             15 * agent_module.patience(), lambda: f"no trace: {self.lines()}")
        assert self.process.poll() is None, self.process.communicate()[1]
        return self

    def stop(self, number=signal.SIGINT):
        """What it said at its end."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20 * agent_module.patience())
        assert (self.process.returncode, out) == (0, ""), err
        for word in agent_module.SANITIZER_WORDS:
            assert word not in err, err
        return err

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def record(lab, tmp_path):
    """record(*options) -> a Recording in the middle of the lab that has begun."""
    made = []

    def start(*args, **kwargs):
        made.append(Recording(lab.middle, tmp_path / f"{len(made)}.trace", *args, **kwargs))
        return made[-1].wait_begun()
    yield start
    for recording in made:
        recording.close()


def replay(*args, text=None, expect=0):
    done = subprocess.run([CLI, "replay", *args], input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == expect, (done.returncode, done.stderr)
    return done.stdout if expect == 0 else done.stderr


def cells_of(recording):
    """Without directions: a trace does not know which addresses are this host's."""
    counter = collections.Counter()
    text = "".join(",".join(line) + "\n" for line in recording.lines())
    for row in json.loads(replay("--cells", text=text)):
        counter[row["l4proto"], row["port"], row["state"]] += row["entries"]
    return counter


def kernel_cells(namespace):
    counter = collections.Counter()
    for cell, entries in oracle.cells(namespace).items():
        counter[cell.l4proto, cell.port, cell.state] += entries
    return counter


def every_state(pair, ports):
    """One connection in each state of TCP and of SCTP, UDP and ICMP in theirs, both families."""
    for family in (4, 6):
        flow = pair.flow(family)
        for index, state in enumerate(traffic.TCP_STATES):
            traffic.Tcp(flow, 40000 + ports, ports + index).drive(state)
        for index, (_, step) in enumerate(traffic.Sctp.STEPS):
            traffic.Sctp(flow, 41000 + ports, ports + 20 + index).drive(step)
        for index in range(2):
            sport, dport = 42000 + ports, ports + 40 + index
            flow.forth(17, traffic.udp(flow.src, flow.dst, sport, dport))
            if index:
                flow.back(17, traffic.udp(flow.dst, flow.src, dport, sport))
        icmp, kind = (1, 8) if family == 4 else (58, 128)
        flow.forth(icmp, traffic.echo(flow.src, flow.dst, kind, ports))


def settle(recording, namespace):
    """Until the trace says what the kernel's table says. The cells then."""
    last = {}

    def equal():
        last["kernel"], last["trace"] = kernel_cells(namespace), cells_of(recording)
        return last["kernel"] == last["trace"]
    # The trace is written out once a second.
    poll(equal, 10 * agent_module.patience(),
         lambda: f"kernel {last['kernel'] - last['trace']}, trace {last['trace'] - last['kernel']}")
    return last["kernel"]


def test_every_state_before_and_after_the_dump(lab, pair, record):
    """Entries the dump shows, entries events tell of, and those that die meanwhile."""
    # Born before anybody listened, they would be silent otherwise.
    lab.middle.conntrack_sysctl("events", 1)
    every_state(pair, 2000)
    gone = traffic.Tcp(pair.flow(), 50000, 2900)
    gone.drive("SYN_SENT")
    recording = record()
    dumped = recording.kinds()["DUMP"]
    assert dumped >= 2 * (len(traffic.TCP_STATES) + len(traffic.Sctp.STEPS) + 3)
    every_state(pair, 3000)
    gone.server(traffic.RST | traffic.ACK)
    moved = traffic.Tcp(pair.flow(), 50001, 2901)
    for state, _, _ in traffic.Tcp.STEPS:
        moved.step(state)
    cells = settle(recording, lab.middle)
    assert cells["tcp", 2901, "TIME_WAIT"] == 1 and ("tcp", 2900, "SYN_SENT") not in cells
    for index, state in enumerate(traffic.TCP_STATES):
        assert cells["tcp", 2000 + index, state] == 2 == cells["tcp", 3000 + index, state]
    report = recording.stop()
    assert cells_of(recording) == kernel_cells(lab.middle)
    assert re.search(rf"{dumped} entries at the start, \d+ events; {sum(cells.values())} entries "
                     rf"now, the kernel counts {sum(cells.values())}$", report, re.M)
    assert "lost" not in report
    # No entry twice at the start, and the start before everything else.
    lines = [line for line in recording.lines() if line[0][0] != "#" and line[1] != "SYSCTL"]
    kinds = [line[1] for line in lines]
    assert kinds[:dumped] == ["DUMP"] * dumped and "DUMP" not in kinds[dumped:]
    tuples = {tuple(line[3:8]) for line in lines[:dumped]}
    assert len(tuples) == dumped
    times = [int(line[0]) for line in lines]
    assert times == sorted(times) and times[dumped - 1] == 0


def test_lines_say_what_the_kernel_says(lab, pair, record):
    """Tuples, ids and what is left of timeouts, of a table at rest."""
    every_state(pair, 2000)
    recording = record()
    recording.stop()
    lines = {(line[3], line[4], line[5], int(line[6]), int(line[7])): line
             for line in recording.lines() if line[1] == "DUMP"}
    compared = 0
    for entry in oracle.entries(lab.middle):
        if entry.match["sport"] is None or entry.l4proto == "other":
            continue
        key = (entry.l4proto, entry.match["src"], entry.match["dst"], int(entry.match["sport"]),
               int(entry.match["dport"]))
        line = lines[key]
        assert line[2] == entry.ident()
        assert line[9] == ("1" if "[ASSURED]" in entry.flags else "0")
        assert line[8].lower() == entry.state().lower()
        now = int(re.match(r"\S+\s+\d+ +\S+ +\d+ (\d+)", entry.line)[1])
        assert now <= int(line[10]) <= now + 30 * agent_module.patience()
        compared += 1
    assert compared >= 2 * (len(traffic.TCP_STATES) + len(traffic.Sctp.STEPS) + 2)


def test_stat_and_sysctl(lab, pair, record):
    lab.middle.conntrack_sysctl("tcp_timeout_time_wait", 77)
    recording = record()
    assert ["0", "SYSCTL", "tcp_timeout_time_wait", "77"] in recording.lines()
    lab.middle.conntrack_sysctl("tcp_timeout_time_wait", 66)
    traffic.Tcp(pair.flow(), 40000, 80).drive("ESTABLISHED")
    poll(lambda: any(line[1:4] == ["SYSCTL", "tcp_timeout_time_wait", "66"]
                     for line in recording.lines()), 10, "the new timeout")
    poll(lambda: [line for line in recording.lines() if line[1] == "STAT"][-1][2] == "1", 10,
         lambda: "a STAT line with the count")
    recording.stop()
    head = recording.lines()[0]
    limit = lab.middle.conntrack_sysctl("max").strip()
    assert head[:2] == ["#meta", "version=1"] and f"max={limit}" in head
    changed = [line for line in recording.lines() if line[1] == "SYSCTL" and int(line[0]) > 0]
    assert [line[2:] for line in changed] == [["tcp_timeout_time_wait", "66"]]


def test_forecast_of_a_recording(pair, record):
    """EVAL lines are answered, one line each, with the place of the question."""
    recording = record("--eval", "1")
    for sport in range(50):
        traffic.Tcp(pair.flow(), 20000 + sport, 443).drive("TIME_WAIT")
    poll(lambda: recording.kinds()["EVAL"] >= 3, 20, "three EVAL lines")
    recording.stop()
    answers = [json.loads(line) for line in replay("--forecast", recording.path).splitlines()]
    assert [answer["k"] for answer in answers] == list(range(recording.kinds()["EVAL"]))
    for answer in answers:
        assert set(answer) == {"k", "count", "tte", "p_full", "alarm", "p_drop"}
        assert answer["alarm"] == 0
        p50, lo80, hi80, lo95, hi95 = answer["count"]["30"]
        assert 0 <= lo95 <= lo80 <= p50 <= hi80 <= hi95 <= 100
    summary = json.loads(replay("--json", recording.path))
    assert summary["mirror_entries"] == summary["entries"] == 50
    assert summary["eval_lines"] == len(answers)


def test_lockstep(pair, record):
    """A driver that waits for each answer before it sends on."""
    recording = record("--eval", "1")
    traffic.Tcp(pair.flow(), 20000, 443).drive("ESTABLISHED")
    poll(lambda: recording.kinds()["EVAL"] >= 2, 20, "two EVAL lines")
    recording.stop()
    with subprocess.Popen([CLI, "replay", "--forecast", "-"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        for line in recording.lines():
            process.stdin.write(",".join(line) + "\n")
            if line[1] == "EVAL":
                process.stdin.flush()
                assert json.loads(process.stdout.readline())["k"] == int(line[2])
        process.stdin.close()
        assert process.wait(10) == 0


def test_anonymised(lab, pair, record):
    """The same cells, the same shape, none of the addresses; another key each time."""
    every_state(pair, 2000)
    plain, masked, other = record(), record("--anonymise"), record("--anonymise")
    every_state(pair, 3000)
    for recording in (plain, masked, other):
        settle(recording, lab.middle)
        recording.stop()
    assert cells_of(plain) == cells_of(masked) == cells_of(other)

    def tuples(recording):
        return {(line[2], line[6], line[7]): (line[4], line[5]) for line in recording.lines()
                if line[1] in ("DUMP", "NEW")}
    real, shown, again = tuples(plain), tuples(masked), tuples(other)
    assert real.keys() == shown.keys() == again.keys()
    addresses = {address for pair_ in real.values() for address in pair_}
    pseudonyms = {address for pair_ in shown.values() for address in pair_}
    assert len(addresses) == len(pseudonyms) and not addresses & pseudonyms
    # One pseudonym an address, and the family stays.
    mapping = {(before, after) for key in real for before, after in zip(real[key], shown[key])}
    assert len(mapping) == len(addresses)
    assert all((":" in before) == (":" in after) for before, after in mapping)
    assert not pseudonyms & {address for pair_ in again.values() for address in pair_}
    with open(masked.path, encoding="ascii") as file:
        text = file.read()
    assert not [address for address in addresses if f",{address}," in text]


@pytest.mark.global_sysctl
def test_churn_while_the_dump_runs(host, flood, machine_sysctls, tmp_path):
    """Entries come while the table is read; each is there once, and none is missing."""
    machine_sysctls(max=262144)
    host.conntrack_sysctl("udp_timeout", 300)
    assert flood(host, rate=200000, flows=20000).wait(60) == 0
    more = flood(host, rate=10000, flows=30000, port=7001)
    recording = Recording(host, tmp_path / "churn.trace").wait_begun()
    try:
        assert more.wait(60) == 0
        cells = settle(recording, host)
        assert sum(cells.values()) > 40000
        assert "lost" not in recording.stop()
        dumped = [line for line in recording.lines() if line[1] == "DUMP"]
        born = [line for line in recording.lines() if line[1] == "NEW"]
        assert len(dumped) >= 20000 and born
        assert len({tuple(line[3:8]) for line in dumped + born}) == len(dumped) + len(born)
    finally:
        recording.close()


@pytest.mark.global_sysctl
def test_losses_are_told(host, flood, machine_sysctls, tmp_path):
    """A recorder that is held up loses events, and the trace says how many."""
    machine_sysctls(max=262144)
    host.conntrack_sysctl("udp_timeout", 300)
    recording = Recording(host, tmp_path / "loss.trace").wait_begun()
    try:
        recording.process.send_signal(signal.SIGSTOP)
        assert flood(host, rate=400000, flows=200000).wait(120) == 0
        recording.process.send_signal(signal.SIGCONT)
        poll(lambda: recording.kinds()["LOST"], 30 * agent_module.patience(), "LOST lines")
        report = recording.stop()
        told = sum(int(line[2]) for line in recording.lines() if line[1] == "LOST")
        assert f"{told} events were lost" in report
        summary = json.loads(replay("--json", recording.path))
        assert summary["events_lost"] == told > 0
        # Each lost event is a birth here, and what the mirror lacks is said.
        assert summary["entries"] - summary["mirror_entries"] == told
        assert f"the kernel counted {told} more" in replay(recording.path)
    finally:
        recording.close()


# How it begins and ends

def test_ends_by_itself_and_on_standard_output(lab):
    with lab.middle.inside():
        done = subprocess.run([CLI, "record", "--seconds", "2"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    kinds = [line.split(",")[1] for line in done.stdout.splitlines()[1:]]
    assert kinds.count("STAT") >= 2 and kinds[-1] == "STAT"
    assert "entries" in replay(text=done.stdout)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["TERM", "HUP"])
def test_signals(record, number):
    recording = record()
    recording.stop(number)
    assert recording.kinds()["STAT"] >= 2
    replay(recording.path)


def test_full_disk(lab):
    with lab.middle.inside():
        done = subprocess.run([CLI, "record", "--out", "/dev/full"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "/dev/full: cannot write: No space left on device" in done.stderr


def test_reader_goes_away(lab):
    """A pipe that is closed ends the recording, by name."""
    process = lab.middle.popen([CLI, "record"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 1
    assert "Broken pipe" in process.stderr.read()
    process.stderr.close()


def test_without_privilege(lab, tmp_path):
    """Says what it needs, and leaves alone what is there."""
    kept = tmp_path / "kept.trace"
    kept.write_text("precious", encoding="ascii")
    kept.chmod(0o666)
    tmp_path.chmod(0o777)
    for path in (kept, tmp_path / "new.trace"):
        with lab.middle.inside():
            done = subprocess.run(["setpriv", "--bounding-set=-all", "--inh-caps=-all", RECORD,
                                   "--out", str(path)], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, timeout=30, check=False)
        assert done.returncode == 1
        assert "CAP_NET_ADMIN" in done.stderr
    assert kept.read_text(encoding="ascii") == "precious"
    assert not (tmp_path / "new.trace").exists()


def test_what_was_there_is_replaced(lab, tmp_path):
    """Whole, also where the new trace is shorter."""
    (tmp_path / "old.trace").write_text("x" * 100000, encoding="ascii")
    recording = Recording(lab.middle, tmp_path / "old.trace", "--seconds", "1")
    assert recording.process.wait(20) == 0
    recording.process.communicate()
    with open(recording.path, encoding="ascii") as file:
        assert "xx" not in file.read()
    replay(recording.path)


def test_trace_is_for_its_owner(record):
    recording = record()
    recording.stop()
    assert os.stat(recording.path).st_mode & 0o777 == 0o600


def test_confined(record):
    recording = record(program=(RECORD,))
    with open(f"/proc/{recording.process.pid}/status", encoding="ascii") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    assert status["CapEff"] == status["CapPrm"] == status["CapBnd"] == f"{1 << 12:016x}"
    assert status["NoNewPrivs"] == "1"
    if not agent_module.sanitized():
        assert status["Seccomp"] == "2"
    recording.stop()


@pytest.mark.parametrize("argv, what", [
    (["--seconds", "0"], "--seconds"), (["--seconds", "x"], "--seconds"),
    (["--eval", "-1"], "--eval"), (["--nonsense"], "--nonsense"), (["--out"], "--out"),
    (["surplus"], "surplus")])
def test_wrong_usage(argv, what):
    done = subprocess.run([CLI, "record", *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=10, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert what in done.stderr
