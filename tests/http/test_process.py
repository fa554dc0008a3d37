# SPDX-License-Identifier: GPL-2.0-or-later
"""What the exporter is allowed to do, where it listens, how it starts and ends."""
import os
import pwd
import re
import shutil
import socket
import subprocess
import time

import pytest
from harness import CLI, EXPORTER, Exporter, Segment, free_port, sanitized, wait_for

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it drops root")


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


@ROOT_ONLY
def test_no_privilege(exporter):
    exporter.get("/metrics")
    status = status_of(exporter.pid)
    expected = next(user for user in ("conntide", "nobody") if _exists(user))
    assert status["Uid"].split() == [str(pwd.getpwnam(expected).pw_uid)] * 4
    assert "0" not in status["Gid"].split() and "0" not in status["Groups"].split()
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == ("0" if sanitized() else "2")


def _exists(user):
    try:
        return pwd.getpwnam(user)
    except KeyError:
        return None


def test_mapping_is_read_only(exporter):
    exporter.get("/metrics")
    with open(f"/proc/{exporter.pid}/maps", encoding="utf-8") as maps:
        lines = [line for line in maps if "host.table" in line]
    assert lines and all(line.split()[1] == "r--s" for line in lines), lines


def test_addresses(segment, start, directory):  # pylint: disable=unused-argument
    port = free_port()
    sock = os.path.join(directory, "http.sock")
    exporter = start(listen=[f"127.0.0.1:{port}", f"[::1]:{port}", f"unix:{sock}"])
    for url in (f"http://127.0.0.1:{port}", f"http://[::1]:{port}"):
        assert _curl(f"{url}/-/healthy") == "200"
    assert _curl("http://x/-/healthy", "--unix-socket", sock) == "200"
    assert exporter.log().count("listening on") == 3


def _curl(url, *options):
    return subprocess.run(["curl", "-s", "-g", "-o", "/dev/null", "-w", "%{http_code}", *options,
                           url], capture_output=True, text=True, check=False).stdout


def test_all_addresses_by_default_form(segment, start):  # pylint: disable=unused-argument
    port = free_port()
    start(listen=[f":{port}"])
    assert _curl(f"http://127.0.0.1:{port}/-/healthy") == "200"
    assert _curl(f"http://[::1]:{port}/-/healthy") == "200"


def test_leftover_socket_is_replaced_a_living_one_is_not(segment, start, directory):
    # pylint: disable=unused-argument
    sock = os.path.join(directory, "http.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(sock)
    start(listen=[f"unix:{sock}"])
    assert _curl("http://x/-/healthy", "--unix-socket", sock) == "200"
    done = _run("--web.listen-address", f"unix:{sock}")
    assert done.returncode == 1 and "in use" in done.stderr


def _run(*options, **kwargs):
    return subprocess.run([EXPORTER, *options], capture_output=True, text=True, check=False,
                          timeout=10, **kwargs)


@pytest.mark.parametrize("options, code, words", [
    (["--nonsense"], 2, "unknown option"),
    (["--web.listen-address"], 2, "missing value"),
    (["extra"], 2, "unexpected argument"),
    (["--log.level", "loud"], 2, "no such level"),
    (["--web.max-connections", "many"], 2, "not a number"),
    (["--netns", "../../etc/passwd"], 2, "not the name"),
    (["--netns", "two\nlines"], 2, "not the name"),
    (["--name", "blue"], 2, "--name: use --netns"),
    (["--name=blue"], 2, "use --netns"),
    (["--web.telemetry-path", "metrics"], 2, "not a path"),
    (["--web.listen-address", "nonsense"], 1, "is not an address"),
    (["--web.listen-address", "127.0.0.1:99999"], 1, "is not an address"),
    (["--web.listen-address", "203.0.113.1:10371"], 1, "cannot listen"),
    (["--web.listen-address", "unix:/nonexistent/x"], 1, "cannot listen"),
    (["--web.config.file", "/nonexistent", "--web.listen-address", "127.0.0.1:0"], 1,
     "No such file"),
    (["--web.systemd-socket"], 1, "systemd passed no socket"),
])
def test_bad_input_is_one_line(options, code, words):
    done = _run(*options)
    assert done.returncode == code
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and words in lines[0], done.stderr


def test_address_in_use(exporter):
    done = _run("--web.listen-address", f"127.0.0.1:{exporter.port}")
    assert done.returncode == 1 and "in use" in done.stderr


def test_systemd_socket(segment, directory):  # pylint: disable=unused-argument
    """LISTEN_FDS and READY=1, played by hand."""
    with socket.create_server(("127.0.0.1", 0)) as server, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(os.path.join(directory, "notify"))
        os.chmod(os.path.join(directory, "notify"), 0o666)
        notify.settimeout(5)
        fd = server.fileno()
        script = (f'exec 3<&{fd}; LISTEN_PID=$$ LISTEN_FDS=1 NOTIFY_SOCKET="{directory}/notify" '
                  'exec "$@"')
        exporter = Exporter(directory, "--web.systemd-socket", listen=[], pass_fds=(fd,),
                            prefix=("bash", "-c", script, "sh"))
        exporter.port = server.getsockname()[1]
        assert notify.recv(100) == b"READY=1"
        assert exporter.get("/-/ready").status == 200
        exporter.close()
        assert notify.recv(100) == b"STOPPING=1"


@pytest.mark.usefixtures("segment")
def test_requests_read_nothing_but_shared_memory(start, directory):
    """No netlink socket, no file but its own statistics and, for the page, the directory of
    incidents: no request causes a dump."""
    kept = os.path.join(directory, "state", "host.incidents")
    os.makedirs(kept)
    exporter = start("--state-dir", os.path.dirname(kept))
    with subprocess.Popen(["strace", "-f", "-y", "-p", str(exporter.pid), "-e",
                           "trace=socket,openat,open,sendto,sendmsg", "-o",
                           exporter.log_path + ".strace"], stderr=subprocess.PIPE) as strace:
        wait_for(lambda: "TracerPid:\t0" not in open(f"/proc/{exporter.pid}/status",
                                                     encoding="ascii").read(), 5, "strace")
        for target in ("/metrics", "/", "/api/v1/cells", "/api/v1/ports", "/api/v1/history",
                       "/api/v1/status"):
            exporter.get(target)
        strace.terminate()
    with open(exporter.log_path + ".strace", encoding="utf-8", errors="replace") as file:
        calls = file.read()
    os.unlink(exporter.log_path + ".strace")
    assert "AF_NETLINK" not in calls and "socket(" not in calls
    opened = {os.path.normpath(os.path.join(*paths)) for paths in
              re.findall(r'openat\(AT_FDCWD<([^>]*)>, "([^"]+)"', calls) +
              re.findall(r'openat\(\d+<([^>]*)>, "([^"]+)"', calls)}
    assert len(re.findall(r"open(?:at)?\(", calls)) == len(re.findall(r"openat\(\w+<", calls))
    assert opened == {"/proc/self/stat", kept}, opened


def test_no_descriptor_and_no_byte_is_lost(exporter):
    for _ in range(200):
        exporter.get("/metrics", {"Accept-Encoding": "gzip"})
        exporter.get("/api/v1/ports?format=csv")
        exporter.get("/nope?x")
    fds, kib = exporter.open_fds(), exporter.resident_kib()
    for _ in range(1500):
        exporter.get("/metrics", {"Accept-Encoding": "gzip"})
        exporter.get("/nope?x")
    wait_for(lambda: exporter.open_fds() <= fds, 3, "descriptors are closed again")
    assert sanitized() or exporter.resident_kib() - kib < 600


def test_help_and_version():
    help_text = _run("--help")
    assert help_text.returncode == 0
    for option in ("--web.listen-address", "--web.config.file", "--web.show-hosts",
                   "--compat.node-exporter-metrics", "--web.systemd-socket"):
        assert option in help_text.stdout
    assert re.match(r"conntide-exporter \d+\.\d+", _run("--version").stdout)


def _cli(directory, *argv):
    return subprocess.run([CLI, *argv, "--runtime-dir", directory], capture_output=True,
                          text=True, check=False, timeout=10)


def test_cli_exit_codes(segment, directory):
    assert _cli(directory, "status").returncode == 0
    assert _cli(directory, "cells", "--json").returncode == 0
    assert _cli(directory, "cells", "--nonsense").returncode == 2
    assert _cli(directory, "nonsense").returncode == 2
    missing = _cli("/nonexistent", "status")
    assert missing.returncode == 3 and "start conntide-agent" in missing.stderr
    assert len(missing.stderr.strip().splitlines()) == 1
    segment.do("age 50")
    old = _cli(directory, "status")
    assert old.returncode == 3 and "50 s old" in old.stderr and "1240" in old.stdout


def test_cli_and_http_say_the_same(exporter, directory, segment):
    segment.do("silent")
    time.sleep(0.3)
    assert _cli(directory, "ports", "--json").stdout == exporter.get("/api/v1/ports").text
    assert _cli(directory, "cells", "--json").stdout == exporter.get("/api/v1/cells").text
    assert _cli(directory, "ports", "--format", "csv").stdout == \
        exporter.get("/api/v1/ports?format=csv").text.replace("\r\n", "\n")


@pytest.mark.parametrize("name", ["conntide_drop_total", "drop_total", "TIME_WAIT", "assured",
                                  "process_open_fds"])
def test_explain(name):
    done = subprocess.run([CLI, "explain", name], capture_output=True, text=True, check=True)
    assert name.lower() in done.stdout.lower() and len(done.stdout) > 20


def test_explain_knows_what_it_does_not_know():
    done = subprocess.run([CLI, "explain", "nonsense"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1 and "conntide explain lists all" in done.stderr


def test_upgrade_of_the_agent_under_way(start, directory, small):
    """A file of another version: said so, and the next good one is taken."""
    exporter = start()
    first = Segment(directory, small)
    with open(first.path, "r+b") as file:
        file.seek(8)
        file.write(b"\x63\x00")
    time.sleep(0.3)
    first.process.kill()
    first.process.wait()
    late = start()
    reply = late.get("/api/v1/status")
    assert reply.status == 503 and "restart conntide-exporter" in reply.json()["reason"]
    assert "a newer agent (fixture, format 99." in reply.json()["reason"]
    second = Segment(directory, small)
    time.sleep(0.3)
    for each in (exporter, late):
        assert each.get("/api/v1/status").json()["entries"] == 1240
    second.close()


def test_the_log_says_when_the_agent_goes(exporter, segment):
    time.sleep(5.5)
    assert "subsystem=table" not in exporter.log()
    segment.do("age 30")
    wait_for(lambda: "silent: " in exporter.log(), 3, "silence is logged")
    segment.do("beat")
    wait_for(lambda: "up: " in exporter.log(), 3, "and its end")


RECORDER = """#!/bin/sh
printf '%s\\n' "$@" > "$0.args"
exec sleep 20
"""


@pytest.mark.parametrize("given, who", [([], "loopback"),
                                        (["--web.show-hosts", "none"], "none"),
                                        (["--web.show-hosts=all"], "all")])
def test_run_says_who_sees_hosts(directory, segment, given, who):
    """A person's own session shows hosts on this machine, and tells; both get the name."""
    programs = os.path.join(directory, "bin")
    os.mkdir(programs)
    shutil.copy(CLI, programs)
    for name in ("conntide-agent", "conntide-exporter"):
        path = os.path.join(programs, name)
        with open(path, "w", encoding="ascii") as file:
            file.write(RECORDER)
        os.chmod(path, 0o755)
    os.rename(segment.path, os.path.join(directory, "blue.table"))
    os.rename(segment.hosts_path, os.path.join(directory, "blue.hosts"))
    with subprocess.Popen([os.path.join(programs, "conntide"), "run", "--runtime-dir", directory,
                           "--netns", "blue", *given], stdout=subprocess.PIPE, text=True) as run:
        args = {}
        for name in ("agent", "exporter"):
            path = os.path.join(programs, f"conntide-{name}.args")
            wait_for(lambda path=path: os.path.exists(path) and os.path.getsize(path), 20, name)
            with open(path, encoding="ascii") as file:
                args[name] = file.read().split("\n")
        run.terminate()
        run.wait(20)
    for name in ("agent", "exporter"):
        at = args[name].index("--netns")
        assert args[name][at + 1] == "blue"
    shown = [word for word in args["exporter"] if word.startswith("--web.show-hosts")]
    assert shown[0] == "--web.show-hosts=loopback"
    assert who in (shown[-1].split("=")[-1], args["exporter"][args["exporter"].index(shown[-1]) + 1])
    assert not any("show-hosts" in word for word in args["agent"])
