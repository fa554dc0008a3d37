# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of packages share: building and looking into them, and a bare Debian."""
import glob
import hashlib
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["CONNTIDE_BUILD"])
DEBS = ("conntide", "conntide-exporter", "conntide-dashboards", "libconntide-dev")

# Of the make that runs this test: its jobs are not for the makes that the tests start.
for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
    os.environ.pop(name, None)


def run(*command, **options):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, **options)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-4000:]}"
    return done.stdout


def build(target, directory):
    run(os.environ.get("MAKE", "make"), "--no-print-directory", target, f"BUILD={directory}",
        cwd=ROOT)
    return directory / target


def file_list(package):
    """What dpkg would put on the disk, without the folders."""
    lines = run("dpkg-deb", "-c", str(package)).splitlines()
    return {line.split()[5].lstrip(".") for line in lines if not line.startswith("d")}


def check_with_lintian(directory):
    [changes] = directory.glob("*.changes")
    # Run as root it would not look at the source otherwise.
    said = run("lintian", "--allow-root", "--pedantic", "--fail-on",
               "error,warning,info,pedantic", str(changes))
    assert not [line for line in said.splitlines() if line[:2] in ("E:", "W:", "I:", "P:")], said


def digests(directory):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in directory.glob("*.deb")}


class BareRoot:
    """A minimal Debian, with a network namespace and /proc of its own for what runs in it."""

    def __init__(self, path, *packages, foreign=()):
        self.path = path
        native = run("dpkg", "--print-architecture").strip()
        run("mmdebstrap", "--variant=minbase", f"--include={','.join(packages)}", "--quiet",
            f"--architectures={','.join((native, *foreign))}", "bookworm", str(path),
            *sorted(glob.glob("/etc/apt/sources.list.d/*.sources")))

    def shell(self, script, network=True):
        spaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        if not network:
            spaces.append("--net")
        inner = (f"mount -t proc proc {self.path}/proc; mount --rbind /sys {self.path}/sys; "
                 f"mount -t tmpfs tmpfs {self.path}/run; ip link set lo up; "
                 f"exec chroot {self.path} sh -euc \"$1\"")
        return run(*spaces, "sh", "-c", inner, "sh", script, timeout=900)

    def all_files(self):
        found = set()
        for where, _, names in os.walk(self.path):
            if os.path.relpath(where, self.path).split("/")[0] in ("proc", "sys", "dev", "run",
                                                                  "tmp"):
                continue
            found |= {os.path.relpath(os.path.join(where, name), self.path) for name in names}
        return found

    def close(self):
        # Busy where a command was ended in the middle: it is in a temporary folder.
        subprocess.run(["rm", "-rf", "--one-file-system", str(self.path)], check=False)
