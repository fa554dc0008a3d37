#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes every screen in every state, to be looked at: top in three sizes, the page wide, narrow,
dark and without scripts, and what the commands print.

Usage: tools/screens.py BUILD_DIR NODE_DIR OUT_DIR [STATE...]     (make screens)
"""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "tests", name) for name in ("terminal", "page", "http")]

# pylint: disable=wrong-import-position
from browser import Browser
from harness import Exporter, Segment, wait_for
from tmux import Terminal

SIZES = [(80, 24), (40, 10), (200, 60)]
KEYS = {"ports": "", "talkers": "t", "nat": "n", "why": "w", "incidents": "i"}
TEXTS = ["status", "status --verbose", "ports", "talkers", "nat", "why", "advice", "forecast",
         "incidents", "check"]
PAGES = {"1280": {"width": 1280}, "400": {"width": 400}, "1280-dark": {"width": 1280, "dark": True},
         "1280-noscript": {"width": 1280, "script": False}}
CHART = "document.querySelectorAll('#chart polygon.area').length"


@contextlib.contextmanager
def fixture(directory, golden, *commands):
    """A table of tests/golden with changes, or an empty one."""
    text = ""
    if golden:
        with open(os.path.join(ROOT, "tests", "golden", golden + ".segment"),
                  encoding="ascii") as file:
            text = file.read()
    segment = Segment(directory, text or None)
    segment.do(*commands)
    yield
    segment.close()


@contextlib.contextmanager
def demo(directory, at_s, kill=False):
    """conntide-demo, so far in its loop; killed, as an agent may be."""
    program = os.path.join(sys.argv[1], "conntide-demo")
    # pylint: disable=consider-using-with
    process = subprocess.Popen([program, "--runtime-dir", directory, "--at", str(at_s)])
    wait_for(lambda: os.path.exists(os.path.join(directory, "host.table")), 60, "the demo")
    if kill:
        process.kill()
        process.wait(30)
        time.sleep(12)
    yield
    if not kill:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


SPARSE = ["live max_entries 262144", "live buckets 262144", "live chain_limit_entries 6553600",
          "live exact 1", "watched 3600"]
PAST = [f"sample seconds {{0}} {{0}} {{1}} 3 3 0 {s}" for s in range(900, 0, -1)]


def past(entries, limit):
    return [line.format(entries, limit) for line in PAST]


STATES = {
    "no-agent": lambda where: contextlib.nullcontext(),
    "nothing-tracked": lambda where: fixture(where, None, *SPARSE, *past(0, 262144)),
    "idle": lambda where: fixture(
        where, None, *SPARSE, "live count_entries 3", "live mirror_entries 3",
        "cell tcp inbound 22 ESTABLISHED 2", "cell udp outbound 123 replied 1", *past(3, 262144)),
    "quiet": lambda where: fixture(where, "nginx", *past(7512, 262144)),
    "directions": lambda where: fixture(where, "small", *past(1240, 4096)),
    "nat-pool": lambda where: fixture(where, "gateway", "live level 3", "live level_reason 10",
                                       "live level_value 940755", *past(61030, 1048576)),
    "busy": lambda where: demo(where, 0),
    "filling": lambda where: demo(where, 66),
    "flood": lambda where: demo(where, 100),
    "recovering": lambda where: demo(where, 185),
    "full": lambda where: fixture(
        where, "nginx", "live max_entries 7512", "live limit_entries 7512", *past(7512, 7512),
        "live dropped_milli_per_s 25000", "live stat_drop 90000"),
    "just-started-full": lambda where: fixture(
        where, None, "live max_entries 262144", "live buckets 262144",
        "live chain_limit_entries 6553600", "live count_entries 262144",
        "live mirror_entries 262144", "live silent_entries 262144", "watched 4",
        "live dropped_milli_per_s 800000", "live stat_drop 3200", "forecast verdict 0",
        "cell tcp inbound 443 SYN_RECV 200000", "cell tcp inbound 443 ESTABLISHED 40000",
        "cell tcp outbound 8080 TIME_WAIT 22144",
        *[line.replace(" 3 3 0 ", " 0 0 800 ") for line in past(262144, 262144)[-4:]]),
    "rehearsal": lambda where: fixture(
        where, "nginx", "live assumed_max_entries 8000", "live max_entries 8000",
        *past(7512, 8000)),
    "agent-killed": lambda where: demo(where, 110, True),
}


def texts(program, where, out, prefix=()):
    for words in TEXTS:
        argv = [*prefix, program, *words.split(), "--runtime-dir", where]
        if words == "incidents":
            argv = [*prefix, program, "incidents", "--state-dir", where + "/state"]
        # As a terminal of 80 columns gets it.
        done = subprocess.run(
            ["script", "-qec", "stty cols 80; exec " + " ".join(argv), "/dev/null"], text=True,
            capture_output=True, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "NO_COLOR": "1", "TERM": "xterm", "LC_ALL": "C.UTF-8"})
        with open(os.path.join(out, words.replace(" --", "-") + ".txt"), "w",
                  encoding="utf-8") as file:
            file.write(done.stdout.replace("\r\n", "\n") + f"[{done.returncode}]\n")


def tops(program, where, out):
    for width, height in SIZES:
        with tempfile.TemporaryDirectory() as directory:
            terminal = Terminal(directory, width, height)
            terminal.run(f"exec {program} top --runtime-dir {where} --state-dir {where}/state")
            time.sleep(2.5)
            for name, key in KEYS.items():
                if key:
                    terminal.keys(key)
                    time.sleep(1.2)
                with open(os.path.join(out, f"top-{name}-{width}x{height}.txt"), "w",
                          encoding="utf-8") as file:
                    file.write(terminal.text())
            terminal.close()


def pages(browser, where, out):
    # An exporter that root starts becomes nobody.
    subprocess.run(["chmod", "-R", "a+rX", where], check=True)
    for name, options in {"": ("--web.show-hosts=loopback",), "-hidden": ()}.items():
        exporter = Exporter(where, "--state-dir", where + "/state", *options)
        for which, how in PAGES.items():
            if name and which != "1280":
                continue
            browser.do(open=f"http://127.0.0.1:{exporter.port}/"
                       + ("?refresh=0" if how.get("script") is False else ""), **how)
            if how.get("script") is not False:
                with contextlib.suppress(AssertionError):
                    browser.wait(CHART, "the chart", 4)
            browser.do(shot=os.path.join(out, f"page-{which}{name}.png"))
        exporter.close()


def main():
    build, node, out = sys.argv[1:4]
    program = os.path.abspath(os.path.join(build, "conntide"))
    browser = Browser(node)
    for state in sys.argv[4:] or STATES:
        where = tempfile.mkdtemp(prefix="conntide-screens-", dir="/dev/shm")
        os.chmod(where, 0o755)
        to = os.path.join(out, state)
        os.makedirs(to, exist_ok=True)
        with STATES[state](where):
            texts(program, where, to)
            tops(program, where, to)
            pages(browser, where, to)
        shutil.rmtree(where)
        print(state, flush=True)
    browser.close()


if __name__ == "__main__":
    main()
