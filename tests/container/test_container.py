# SPDX-License-Identifier: GPL-2.0-or-later
"""The image under podman: the agent with NET_ADMIN and nothing else, the exporter with nothing at
all, both with a root that cannot be written, on a network namespace with traffic in it."""
import contextlib
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ["CONNTIDE_BUILD"]
sys.path.insert(0, str(ROOT / "tests" / "netns"))

import netns  # noqa: E402  pylint: disable=wrong-import-position
import traffic  # noqa: E402  pylint: disable=wrong-import-position

# Where cgroups cannot be had, or limits not raised, as in another container.
RUN = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--read-only",
       "--cap-drop", "all", "--security-opt", "no-new-privileges")
PATIENCE_S = 60


def run(*command, check=True):
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    assert not check or done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
    return done


def make(target, build):
    run("make", "-s", "-C", str(ROOT), target, f"BUILD={build}")


class Podman:
    """With a store of its own."""

    def __init__(self, directory):
        self.base = ["podman", "--runtime", "runc", "--storage-driver", "vfs", "--root",
                     str(directory / "storage"), "--runroot", str(directory / "run")]
        self.image = self("pull", "-q", f"oci:{BUILD}/container").stdout.strip()

    def __call__(self, *words, check=True):
        return run(*self.base, *words, check=check)

    def start(self, name, *words):
        self("run", "-d", "--name", name, *RUN, *words)

    def log(self, name):
        done = self("logs", name)
        return done.stdout + done.stderr

    def exec(self, name, *words):
        return self("exec", name, *words, check=False)

    def close(self):
        self("rm", "-a", "-f", "-t", "3", check=False)
        self("volume", "rm", "-a", "-f", check=False)
        self("rmi", "-a", "-f", check=False)


@pytest.fixture(scope="module")
def podman(tmp_path_factory):
    make("container", BUILD)
    with contextlib.closing(Podman(tmp_path_factory.mktemp("podman"))) as made:
        yield made


@pytest.fixture
def lab():
    made = netns.Lab()
    yield made
    made.close()


def wait(question, what):
    end = time.monotonic() + PATIENCE_S
    while True:
        late = time.monotonic() > end
        answer = question()
        if answer:
            return answer
        assert not late, what() if callable(what) else what
        time.sleep(0.1)


@pytest.mark.parametrize("user", ["65533:65532", "0:65532"], ids=["of its own", "root"])
def test_two_containers(podman, lab, user):  # pylint: disable=redefined-outer-name
    """Kubernetes cannot give a capability to other users than root; podman can."""
    name = user.replace(":", "-")
    pair = traffic.Pair(lab)
    for sport in range(9):
        traffic.Tcp(pair.flow(), 40000 + sport, 301).drive("ESTABLISHED")
    namespace = f"ns:{lab.middle.path}"
    volumes = ("-v", f"table-{name}:/run/conntide")
    podman.start(f"agent-{name}", "--network", namespace, "--user", user, "--cap-add", "net_admin",
                 *volumes, "-v", f"state-{name}:/var/lib/conntide", podman.image,
                 "/usr/bin/conntide-agent")
    podman.start(f"exporter-{name}", "--network", namespace, "-v", f"table-{name}:/run/conntide:ro",
                 podman.image)

    def told():
        done = podman.exec(f"exporter-{name}", "/usr/bin/conntide", "status", "--json")
        return done.returncode == 0 and json.loads(done.stdout)
    status = wait(lambda: told() and told()["entries"] == 9 and told(),
                  lambda: podman.log(f"agent-{name}"))
    assert status["mirror_entries"] == 9 and status["agent_up"]
    with lab.middle.inside():
        def metrics():
            return run("curl", "-fsS", "127.0.0.1:10371/metrics", check=False).stdout
        # A port gets series of its own in the second after its entries came.
        wait(lambda: "\nnf_conntrack_count{" in metrics() and 'port="301"' in metrics(),
             lambda: podman.log(f"exporter-{name}"))
    # It is not the host's namespace, and that is said, by the agent and by check.
    assert "NOT the host's" in podman.log(f"agent-{name}")
    said = podman.exec(f"exporter-{name}", "/usr/bin/conntide", "check", "--host").stdout
    assert "NOT the host's" in said
    # What they have: one capability, and none.
    for container, wanted in ((f"agent-{name}", "0000000000001000"),
                              (f"exporter-{name}", "0000000000000000")):
        pid = podman("inspect", "-f", "{{.State.Pid}}", container).stdout.strip()
        lines = dict(line.split(":\t") for line in pathlib.Path(
            f"/proc/{pid}/status").read_text().splitlines() if line.startswith(("Cap", "Uid")))
        assert lines["CapPrm"] == lines["CapEff"] == wanted, (container, lines)
    pair.close()
    for container in (f"agent-{name}", f"exporter-{name}"):
        podman("stop", "-t", "20", container)
        assert podman("inspect", "-f", "{{.State.ExitCode}}", container).stdout.strip() == "0"


def test_without_the_capability_it_says_so(podman, lab):  # pylint: disable=redefined-outer-name
    done = podman("run", "--rm", *RUN, "--network", f"ns:{lab.middle.path}", podman.image,
                  "/usr/bin/conntide-agent", check=False)
    assert done.returncode == 1 and "CAP_NET_ADMIN" in done.stderr


def test_on_the_hosts_namespace(podman):  # pylint: disable=redefined-outer-name
    """Its table, and no word of another namespace."""
    podman.start("host-agent", "--network", "host", "--user", "65533:65532", "--cap-add",
                 "net_admin", "-v", "host-table:/run/conntide", podman.image,
                 "/usr/bin/conntide-agent", "--state-dir", "")
    wait(lambda: "mirroring" in podman.log("host-agent"), lambda: podman.log("host-agent"))
    assert "NOT the host's" not in podman.log("host-agent")
    done = podman.exec("host-agent", "/usr/bin/conntide", "check", "--host", "--json")
    assert json.loads(done.stdout)["facts"]["namespace"] == "host"


def test_the_image_is_small_and_the_same_twice(podman, tmp_path):  # pylint: disable=unused-argument
    def digests():
        folder = pathlib.Path(BUILD) / "container"
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in folder.rglob("*") if path.is_file()}
    first = digests()
    assert sum(path.stat().st_size for path in pathlib.Path(BUILD, "container").rglob("*")) < 2e7
    make("container", BUILD)
    assert digests() == first
