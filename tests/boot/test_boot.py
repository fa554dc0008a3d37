# SPDX-License-Identifier: GPL-2.0-or-later
"""Installed, used, restarted, upgraded, rebooted and purged on Debian 12 with its own kernel, in
this order: each test goes on where the one before ended."""
import collections
import json
import re
import time

import machine as machine_module

# "Within five minutes in the booted machine", emulated.
INSTALL_S = 300
# On a machine that does other things as well.
APT_S = 3000
# Scraped once a second in the meantime: what it has changes between two looks.
EXPORTER_PORT = 10371


def poll(question, what, within=machine_module.COMMAND_S):
    end = time.monotonic() + within
    while True:
        late = time.monotonic() > end
        answer = question()
        if answer:
            return answer
        assert not late, what() if callable(what) else what
        time.sleep(0.5)


def status(machine):
    text = machine.run("conntide status --json", check=False)
    return json.loads(text) if text.startswith("{") else {}


def wait_status(machine, predicate, what):
    return poll(lambda: predicate(status(machine)) and status(machine),
                lambda: f"{what}: {status(machine)}\n"
                        f"{machine.run('journalctl -u conntide-agent -n 20', check=False)}")


def kernel_cells(machine):
    """TCP by port and state, as the kernel lists it."""
    counter = collections.Counter()
    for line in machine.run("conntrack -L -p tcp 2>/dev/null").splitlines():
        found = re.match(r"tcp +6 \d+ (\w+) .*?dport=(\d+)", line)
        if found and int(found.group(2)) != EXPORTER_PORT:
            counter[int(found.group(2)), found.group(1)] += 1
    return counter


def mirror_cells(machine):
    counter = collections.Counter()
    rows = json.loads(machine.run("conntide cells --json --limit 0"))
    for row in rows if isinstance(rows, list) else ():
        if row["l4proto"] == "tcp" and row["port"] != EXPORTER_PORT:
            counter[row["port"], row["state"]] += row["entries"]
    return counter


def no_doubt(told):
    return told.get("silent_entries") == 0 and told["quality"] == "exact"


def wait_equal(machine, port):
    def equal():
        before, kernel, after = mirror_cells(machine), kernel_cells(machine), mirror_cells(machine)
        return before == kernel == after and any(at == port for at, _ in kernel) and kernel
    return poll(equal, lambda: f"kernel {kernel_cells(machine)}, mirror {mirror_cells(machine)}")


def hold(machine, count, port):
    """Connections that stay, of a process in the background."""
    machine.run(f"systemd-run --quiet --unit=hold-{port} python3 /root/connections.py "
                f"{count} {port}")
    said = poll(lambda: re.search(r"held (\d+)", machine.run(
        f"journalctl -o cat -u hold-{port}")), "connections")
    return int(said.group(1))


def install(machine, directory):
    began = time.monotonic()
    machine.run(f"DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "
                f"/root/{directory}/*.deb", within=APT_S)
    return time.monotonic() - began


def test_installed_and_answering(machine):
    assert machine.run("uname -r").startswith("6.1."), machine.run("uname -r")
    seconds = install(machine, "old")
    machine.run("systemctl is-active conntide-agent conntide-exporter")
    answer = poll(lambda: machine.run("curl -fsS localhost:10371/api/v1/status", check=False)
                  .startswith("{"), "no answer")
    assert answer
    assert "conntide_up" in machine.run("curl -fsS localhost:10371/metrics")
    print(f"apt install took {seconds:.0f} s")
    assert seconds < INSTALL_S
    assert "entries" in machine.run("systemctl show -P StatusText conntide-agent")
    # Capabilities are given up without a word of the library that does it.
    assert "libcap-ng" not in machine.run("journalctl --no-pager -o cat")


def test_check(machine):
    """On the kernel that Debian's users have."""
    text = machine.run("conntide check --host")
    assert text.startswith("OK - ") and "6.1" in text, text
    assert machine.run("conntide check").startswith("OK - ")


def test_cells_are_exact(machine):
    assert hold(machine, 40, 8080) == 40
    kernel = wait_equal(machine, 8080)
    assert kernel[8080, "ESTABLISHED"] == 40
    wait_status(machine, lambda told: told.get("quality") == "exact", "exact")


def agent_pid(machine):
    return machine.run("systemctl show -P MainPID conntide-agent").strip()


def test_restart_under_traffic(machine):
    """What was open before is seen to end, what was made meanwhile speaks."""
    killed = agent_pid(machine)
    machine.run("systemctl kill -s KILL conntide-agent")
    assert hold(machine, 30, 8081) == 30
    # What the table says until the next one has read everything is what the one before left.
    poll(lambda: agent_pid(machine) not in (killed, "0") and machine.run(
        "systemctl is-active conntide-agent", check=False) == "active\n", "another agent")
    exact = "exact after it was killed", "exact after a restart"
    wait_status(machine, no_doubt, exact[0])
    machine.run("systemctl restart conntide-agent")
    log = machine.run("journalctl -o cat -u conntide-agent")
    assert log.count("goes on with the socket of the agent before") == 2, log
    wait_status(machine, no_doubt, exact[1])
    machine.run("systemctl stop hold-8080")
    kernel = wait_equal(machine, 8081)
    assert kernel[8080, "ESTABLISHED"] == 0 and kernel[8081, "ESTABLISHED"] == 30


def test_an_incident(machine):
    machine.run("sysctl -q -w net.netfilter.nf_conntrack_max=100")
    held = hold(machine, 120, 8082)
    assert held < 120
    poll(lambda: json.loads(machine.run("conntide incidents --json")), "no incident")
    assert machine.run("conntide check", check=False).startswith("CRITICAL - FULL")
    machine.run("systemctl stop hold-8082; sysctl -q -w net.netfilter.nf_conntrack_max=65536")


def scrapes(machine):
    """[(time, {name: value})], of all that were made."""
    text, _, _ = machine.run("cat /root/scrapes", check=False).rpartition("\n")
    for line in text.splitlines() if "No such" not in text else ():
        at, *told = line.split()
        yield float(at), {name: float(value) for name, value in (one.split("=") for one in told)}


def check_scrapes(rows, began, ended):
    """None without an answer but while the services were restarted, and then again; what the
    kernel counts never falls. A scrape under emulation may take some seconds."""
    assert rows[0][0] < began and rows[-1][0] > ended
    missing = [at for at, told in rows if told.get("conntide_up") != 1]
    print(f"{len(rows)} scrapes, {len(missing)} of them without an answer or without an agent")
    assert all(began - 10 <= at <= ended for at in missing), (began, ended, missing)
    last = {}
    for at, told in rows:
        for name, value in told.items():
            assert not name.endswith("_total") or value >= last.get(name, 0), (at, name, value)
            last[name] = value


def test_upgrade(machine):
    """The agent goes on with its socket, the exporter answers, incidents are kept; who scrapes
    meanwhile misses the restart and no more."""
    machine.run("systemd-run --quiet --unit=scrapes python3 /root/scrapes.py /root/scrapes")
    poll(lambda: len(list(scrapes(machine))) > 3, "scrapes")
    began = float(machine.run("date +%s"))
    before = machine.run("dpkg-query -W -f '${Version}' conntide")
    incidents = json.loads(machine.run("conntide incidents --json"))
    assert incidents
    install(machine, "new")
    assert machine.run("dpkg-query -W -f '${Version}' conntide") != before
    machine.run("systemctl is-active conntide-agent conntide-exporter")
    wait_status(machine, lambda told: told.get("agent_up"), "up after the upgrade")
    log = machine.run("journalctl -o cat -u conntide-agent")
    assert log.count("goes on with the socket of the agent before") == 3, log
    assert len(json.loads(machine.run("conntide incidents --json"))) >= len(incidents)
    wait_equal(machine, 8081)
    poll(lambda: "conntide_up 1" in re.sub(r"{.*}", "", machine.run(
        "curl -fsS localhost:10371/metrics", check=False)), "exporter")
    ended = float(machine.run("date +%s")) + 1
    poll(lambda: max(at for at, _ in scrapes(machine)) > ended + 3, "scrapes afterwards")
    machine.run("systemctl stop scrapes")
    check_scrapes(list(scrapes(machine)), began, ended)


def test_reboot(machine):
    incidents = len(json.loads(machine.run("conntide incidents --json")))
    machine.reboot()
    # The exporter starts after the agent, and the shell before both.
    wait_status(machine, lambda told: told.get("agent_up"), "up after the reboot")
    poll(lambda: machine.run("systemctl is-active conntide-agent conntide-exporter",
                             check=False) == "active\nactive\n", "units after the reboot")
    poll(lambda: "conntide_up" in machine.run("curl -fsS localhost:10371/metrics", check=False),
         "exporter")
    assert len(json.loads(machine.run("conntide incidents --json"))) >= incidents
    assert hold(machine, 20, 8083) == 20
    wait_equal(machine, 8083)


def test_exposure(machine):
    """As this systemd reckons it, of the units in force."""
    for unit, most in (("conntide-agent", 1.2), ("conntide-exporter", 1.1)):
        said = machine.run(f"systemd-analyze security --no-pager {unit}.service | tail -1")
        assert float(re.search(r": ([\d.]+)", said).group(1)) <= most, said


def test_socket_without_a_network(machine):
    """As the drop-in's own comment says."""
    text = machine.run("cat /usr/share/conntide/systemd/private-network.conf")
    script = "\n".join(line[2:] for line in text.splitlines() if line.startswith("#\t"))
    assert "install -D" in script
    machine.run(script)
    assert "conntide_up" in machine.run("curl -fsS --retry 5 localhost:10371/metrics")
    pid = machine.run("systemctl show -P MainPID conntide-exporter").strip()
    assert machine.run(f"readlink /proc/{pid}/ns/net") != machine.run("readlink /proc/1/ns/net")
    said = machine.run("systemd-analyze security --no-pager conntide-exporter.service | tail -1")
    assert float(re.search(r": ([\d.]+)", said).group(1)) <= 0.3, said
    machine.run("rm -r /etc/systemd/system/conntide-exporter.service.d; systemctl daemon-reload")


def test_purge(machine):
    machine.run("DEBIAN_FRONTEND=noninteractive apt-get purge -yq 'conntide*'", within=APT_S)
    left = machine.run("find / -xdev -name '*conntide*' -not -path '/root/*' -not -path '/proc/*'")
    # Users stay, as policy has it; systemd's own links of enabled units do not.
    assert not left.strip(), left
    assert "conntide" not in machine.run("systemctl list-unit-files --no-pager --no-legend; "
                                         "systemctl list-units --all --no-pager --no-legend")
