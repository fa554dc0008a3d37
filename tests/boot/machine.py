# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian 12 of our own making, its kernel, and QEMU; commands are given to a shell on the
second serial port, the console is kept in a file."""
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
IMAGE_MIB = 3000
# Emulated, perhaps beside other work: nothing here is about speed.
BOOT_S, COMMAND_S = 900, 300

SHELL = """[Unit]
Description=A shell on the second serial port
After=dev-ttyS1.device
[Service]
ExecStart=/bin/sh -c 'stty -F /dev/ttyS1 raw -echo; export PS1= PS2= HOME=/root; exec sh </dev/ttyS1 >/dev/ttyS1 2>&1'
Restart=always
[Install]
WantedBy=multi-user.target
"""


# A small initrd: what the disk needs, packed quickly.
INITRD = r"""d="$1/etc/initramfs-tools"; mkdir -p "$d/conf.d" "$d/hooks"
printf 'MODULES=list\nCOMPRESS=gzip\n' >"$d/conf.d/boot"
printf '#!/bin/sh\n[ "$1" = prereqs ] && exit 0\n. /usr/share/initramfs-tools/hook-functions\n' \
	>"$d/hooks/boot"
printf 'manual_add_modules virtio_blk virtio_pci ext4\n' >>"$d/hooks/boot"
chmod 755 "$d/hooks/boot"
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


def make_image(directory, packages):
    """ext4 with the packages' files in /root; and kernel and initrd beside it."""
    root = directory / "root"
    run("mmdebstrap", "--variant=minbase", "--quiet", f"--setup-hook={INITRD}",
        "--include=" + ",".join([*BASE, *needed_by([one for ones in packages.values()
                                                    for one in ones])]),
        "bookworm", str(root), *SOURCES)
    for name, files in packages.items():
        (root / "root" / name).mkdir()
        for file in files:
            shutil.copy(file, root / "root" / name)
    (root / "etc/systemd/system/boot-shell.service").write_text(SHELL)
    wants = root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    (wants / "boot-shell.service").symlink_to("/etc/systemd/system/boot-shell.service")
    (root / "etc/fstab").write_text("/dev/vda / ext4 errors=remount-ro 0 1\n")
    (root / "etc/hostname").write_text("boot\n")
    shutil.copy(pathlib.Path(__file__).parent / "connections.py", root / "root")
    for name in ("vmlinuz", "initrd.img"):
        [path] = (root / "boot").glob(f"{name}-*")
        shutil.copy(path, directory / name)
    image = directory / "disk.ext4"
    with open(image, "wb") as file:
        file.truncate(IMAGE_MIB << 20)
    run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(image))
    shutil.rmtree(root)
    return image


class Machine:
    """Runs until it is closed; a reboot is the same QEMU."""

    def __init__(self, directory):
        self.directory = directory
        self.path = str(directory / "shell")
        self.console = directory / "console"
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
             "-m", "1024", "-nographic", "-nodefaults", "-no-user-config",
             "-kernel", str(directory / "vmlinuz"), "-initrd", str(directory / "initrd.img"),
             "-append", "root=/dev/vda rw console=ttyS0 quiet systemd.show_status=1",
             "-drive", f"file={directory}/disk.ext4,if=virtio,format=raw",
             "-chardev", f"file,id=console,path={self.console}",
             "-serial", "chardev:console",
             "-chardev", f"socket,id=shell,path={self.path},server=on,wait=off",
             "-serial", "chardev:shell", "-display", "none", "-monitor", "none"],
            stdin=subprocess.DEVNULL)
        self.socket = None
        self.serial = 0

    def _connect(self):
        end = time.monotonic() + 30
        while True:
            try:
                self.socket = socket.socket(socket.AF_UNIX)
                self.socket.connect(self.path)
                return
            except OSError:
                assert time.monotonic() < end and self.process.poll() is None
                time.sleep(0.2)

    def log(self):
        return self.console.read_text(errors="replace")[-3000:]

    def wait_up(self):
        """Until the shell answers: systemd has come to multi-user.target."""
        if not self.socket:
            self._connect()
        end = time.monotonic() + BOOT_S
        while True:
            try:
                return self.run("echo up", within=10)
            except TimeoutError:
                assert time.monotonic() < end and self.process.poll() is None, self.log()

    def run(self, script, within=COMMAND_S, check=True):
        """What the script prints; it must succeed."""
        self.serial += 1
        mark = f"@@{os.getpid()}-{self.serial}@@"
        # The quotes keep an echo of the line from being taken for the answer.
        self.socket.sendall(f"( {script}\n) 2>&1 </dev/null; echo \"@@\"{mark[2:]} $?\n".encode())
        self.socket.settimeout(1)
        data, end = "", time.monotonic() + within
        while True:
            try:
                data += self.socket.recv(65536).decode(errors="replace")
            except TimeoutError:
                if time.monotonic() > end:
                    raise TimeoutError(f"{script}: {data[-2000:]}\n{self.log()}") from None
            found = re.search(re.escape(mark) + r" (\d+)\r?\n", data)
            if found:
                break
        # What is left of a command that was given up.
        text = re.sub(r"\A.*@@\d+-\d+@@ \d+\r?\n", "", data[:found.start()], flags=re.S)
        assert not check or found.group(1) == "0", f"{script}: exit {found.group(1)}\n{text}"
        return text.replace("\r", "")

    def reboot(self):
        """Another boot id must be there afterwards."""
        before = self.run("cat /proc/sys/kernel/random/boot_id")
        self.run("systemctl reboot --no-block", check=False)
        end = time.monotonic() + BOOT_S
        while True:
            try:
                # The shell may be ended in the middle of it.
                now = self.run("cat /proc/sys/kernel/random/boot_id", within=10, check=False)
                if re.fullmatch(r"[0-9a-f-]{36}\n", now) and now != before:
                    return
            except TimeoutError:
                pass
            assert time.monotonic() < end, self.log()

    def close(self):
        self.process.terminate()
        self.process.wait()
        if self.socket:
            self.socket.close()
