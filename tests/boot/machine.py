# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian 12 of our own making, its kernel, and QEMU; commands are given to a shell on the
second serial port, the console is kept in a file. A shell on the third one says how the machine
is when a command takes too long."""
import glob
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

SOURCES = sorted(glob.glob("/etc/apt/sources.list.d/*.sources"))
BASE = ("systemd-sysv,linux-image-amd64,udev,dbus,kmod,iproute2,nftables,curl,conntrack,procps,"
        "ca-certificates,python3-minimal").split(",")
# What the tests of tests/netns use beside it.
SUITE = "python3,python3-pytest,iptables,strace,libcap2-bin,nginx-light".split(",")
# The suite and its programs in the image: the repository as committed, BUILD within it.
SUITE_ROOT, SUITE_BUILD = "/root/conntide", "/root/conntide/build"
IMAGE_MIB = 3000
# Emulated, perhaps beside other work: nothing here is about speed.
BOOT_S, COMMAND_S = 1800, 600

SHELL = """[Unit]
Description=A shell on a serial port
After=dev-%i.device
[Service]
ExecStart=/bin/sh -c 'stty -F /dev/%i raw -echo; export PS1= PS2= HOME=/root; exec sh </dev/%i >/dev/%i 2>&1'
Restart=always
[Install]
WantedBy=multi-user.target
"""
# It has nothing to do for these, and emulated they would take long.
MASKED = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
          "e2scrub_reap.service", "fstrim.timer", "getty@.service", "serial-getty@.service")
STATE = """uptime; systemctl list-jobs --no-pager
ps -eo pid,stat,etimes,time,wchan:20,args --sort=-time | head -n 25
journalctl --no-pager -n 60 -o short-monotonic"""

# A small initrd: what the disk needs, packed quickly. It waits for the disk as long as it takes:
# on a busy host the emulated CPUs may be minutes loading its driver.
INITRD = r"""d="$1/etc/initramfs-tools"; mkdir -p "$d/conf.d" "$d/hooks" "$d/scripts/local-top"
printf 'MODULES=list\nCOMPRESS=gzip\n' >"$d/conf.d/boot"
printf '#!/bin/sh\n[ "$1" = prereqs ] && exit 0\n. /usr/share/initramfs-tools/hook-functions\n' \
	>"$d/hooks/boot"
printf 'manual_add_modules virtio_blk virtio_pci ext4\n' >>"$d/hooks/boot"
printf '#!/bin/sh\n[ "$1" = prereqs ] && exit 0\nuntil [ -b /dev/vda ]; do modprobe -q virtio_blk; sleep 1; done\n' \
	>"$d/scripts/local-top/boot"
chmod 755 "$d/hooks/boot" "$d/scripts/local-top/boot"
"""


def run(*command, **options):
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, **options)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-4000:]}"
    return done.stdout


def needed_by(packages):
    """Names of what the packages depend on, without each other: the image has no network."""
    names = set()
    for package in packages:
        for alternative in run("dpkg-deb", "-f", str(package), "Depends").split(","):
            name = alternative.split("|")[0].split("(")[0].strip()
            if name and not name.startswith("conntide"):
                names.add(name)
    return sorted(names - {"systemd"})


def add_suite(root, packages, programs):
    """The tests, and what they test: the programs of these packages, whatever is installed."""
    suite, build = root / SUITE_ROOT[1:], root / SUITE_BUILD[1:]
    unpacked = root / "root/unpacked"
    suite.mkdir()
    run("sh", "-euc", 'git -C "$1" archive HEAD | tar -x -C "$2"', "sh",
        str(pathlib.Path(__file__).parents[2]), str(suite))
    for package in packages:
        run("dpkg-deb", "-x", str(package), str(unpacked))
    shutil.move(unpacked / "usr/bin", build)
    shutil.rmtree(unpacked)
    (build / "tests").mkdir()
    for program in programs:
        shutil.copy(program, build / "tests")


def make_image(directory, packages, programs):
    """ext4 with the packages' files in /root, and the suite with its programs; and kernel and
    initrd beside it."""
    root = directory / "root"
    run("mmdebstrap", "--variant=minbase", "--quiet", f"--setup-hook={INITRD}",
        "--include=" + ",".join([*BASE, *SUITE, *needed_by([one for ones in packages.values()
                                                            for one in ones])]),
        "bookworm", str(root), *SOURCES)
    add_suite(root, packages["new"], programs)
    for name, files in packages.items():
        (root / "root" / name).mkdir()
        for file in files:
            shutil.copy(file, root / "root" / name)
    units = root / "etc/systemd/system"
    (units / "boot-shell@.service").write_text(SHELL)
    wants = units / "multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    for port in ("ttyS1", "ttyS2"):
        (wants / f"boot-shell@{port}.service").symlink_to(
            "/etc/systemd/system/boot-shell@.service")
    for unit in MASKED:
        (units / unit).symlink_to("/dev/null")
    (root / "etc/fstab").write_text("/dev/vda / ext4 errors=remount-ro 0 1\n")
    (root / "etc/hostname").write_text("boot\n")
    for name in ("connections.py", "scrapes.py"):
        shutil.copy(pathlib.Path(__file__).parent / name, root / "root")
    for name in ("vmlinuz", "initrd.img"):
        [path] = (root / "boot").glob(f"{name}-*")
        shutil.copy(path, directory / name)
    image = directory / "disk.ext4"
    with open(image, "wb") as file:
        file.truncate(IMAGE_MIB << 20)
    run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(image))
    shutil.rmtree(root)
    return image


class Shell:
    """On a serial port of the machine; a command at a time."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = None
        self.serial = 0

    def connect(self):
        end = time.monotonic() + 30
        while not self.socket:
            made = socket.socket(socket.AF_UNIX)
            try:
                made.connect(self.path)
                self.socket = made
            except OSError:
                made.close()
                assert time.monotonic() < end, f"{self.path} cannot be had"
                time.sleep(0.2)

    def run(self, script, within):
        """(exit status, what it printed); TimeoutError with what there was by then."""
        self.connect()
        self.serial += 1
        mark = f"@@{os.getpid()}-{self.serial}@@"
        # The quotes keep an echo of the line from being taken for the answer.
        self.socket.sendall(f"( {script}\n) 2>&1 </dev/null; echo \"@@\"{mark[2:]} $?\n".encode())
        self.socket.settimeout(1)
        data, end = "", time.monotonic() + within
        while not (found := re.search(re.escape(mark) + r" (\d+)\r?\n", data)):
            try:
                data += self.socket.recv(65536).decode(errors="replace")
            except TimeoutError:
                if time.monotonic() > end:
                    raise TimeoutError(f"{script}: {data[-2000:]}") from None
        # What is left of a command that was given up.
        text = re.sub(r"\A.*@@\d+-\d+@@ \d+\r?\n", "", data[:found.start()], flags=re.S)
        return int(found.group(1)), text.replace("\r", "")

    def close(self):
        if self.socket:
            self.socket.close()


class Machine:
    """Runs until it is closed; a reboot is the same QEMU."""

    def __init__(self, directory):
        self.console = directory / "console"
        self.shell, self.other = Shell(directory / "shell"), Shell(directory / "other")
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
             "-m", "2048", "-nographic", "-nodefaults", "-no-user-config",
             "-kernel", str(directory / "vmlinuz"), "-initrd", str(directory / "initrd.img"),
             "-append", "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=1",
             "-drive", f"file={directory}/disk.ext4,if=virtio,format=raw,cache=unsafe",
             "-chardev", f"file,id=console,path={self.console}", "-serial", "chardev:console",
             "-chardev", f"socket,id=shell,path={self.shell.path},server=on,wait=off",
             "-serial", "chardev:shell",
             "-chardev", f"socket,id=other,path={self.other.path},server=on,wait=off",
             "-serial", "chardev:other", "-display", "none", "-monitor", "none"],
            stdin=subprocess.DEVNULL)

    def log(self):
        return self.console.read_text(errors="replace")[-3000:]

    def state(self):
        """For whoever has to find out why something takes so long."""
        try:
            return self.other.run(STATE, COMMAND_S)[1]
        except (TimeoutError, OSError) as error:
            return f"the other shell says nothing: {error}\n{self.log()}"

    def wait_up(self):
        """Until the shell answers: systemd has come to multi-user.target."""
        end = time.monotonic() + BOOT_S
        while True:
            try:
                return self.shell.run("echo up", 10)
            except TimeoutError:
                assert time.monotonic() < end and self.process.poll() is None, self.log()

    def run(self, script, within=COMMAND_S, check=True):
        """What the script prints; it must succeed."""
        try:
            code, text = self.shell.run(script, within)
        except TimeoutError as error:
            raise AssertionError(f"not within {within} s: {error}\n{self.state()}") from None
        assert not check or code == 0, f"{script}: exit {code}\n{text}"
        return text

    def reboot(self):
        """Another boot id must be there afterwards."""
        before = self.run("cat /proc/sys/kernel/random/boot_id")
        self.run("systemctl reboot --no-block", check=False)
        end = time.monotonic() + BOOT_S
        while True:
            try:
                # The shell may be ended in the middle of it.
                _, now = self.shell.run("cat /proc/sys/kernel/random/boot_id", 10)
                if re.fullmatch(r"[0-9a-f-]{36}\n", now) and now != before:
                    return
            except TimeoutError:
                pass
            assert time.monotonic() < end, self.log()

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.shell.close()
        self.other.close()
