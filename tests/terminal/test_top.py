# SPDX-License-Identifier: GPL-2.0-or-later
"""conntide top on a terminal: what it shows, its keys, every size, and that the terminal is as
before when it ends, however it ends."""
import os
import random
import re
import signal
import subprocess
import time

import pytest
import tmux


@pytest.fixture
def terminal(tmp_path, build, nginx):
    made = []

    def open_terminal(width=80, height=24, program=None, **environment):
        opened = tmux.Terminal(str(tmp_path), width, height, **environment)
        made.append(opened)
        opened.top = (f"{program or build / 'conntide'} top --runtime-dir {nginx.directory} "
                      f"--state-dir {nginx.directory}")
        return opened
    yield open_terminal
    for opened in made:
        opened.close()


@pytest.fixture
def top(terminal):
    opened = terminal()
    opened.run(opened.top + "; echo ended $?")
    opened.wait_for("q quit")
    return opened


def row_ports(text):
    """Ports of the table, from the top."""
    return [int(found[1]) for found in re.finditer(
        r"^(?:tcp|udp)\s+\w+\s+(\d+) ", text, re.M)]


def test_first_look(top):
    text = top.text()
    assert "7,512 of 262,144 entries, 2.9 %" in text.splitlines()[0]
    assert "losses 0/s" in text.splitlines()[0]
    assert row_ports(text) == [80, 8080, 53, 22]
    assert "TIME_WAIT 3750" in text
    assert top.alternate()


def test_follows_the_table(top, nginx):
    nginx.do("live count_entries 200000", "cell tcp inbound 443 ESTABLISHED 190000")
    text = top.wait_for("190,000")
    assert row_ports(text)[0] == 443


def test_sort_and_filter(top):
    top.keys("<")  # from entries to port
    assert row_ports(top.wait(lambda text: "PORT▲" in text, "not sorted")) == [22, 53, 80, 8080]
    top.keys("r")
    top.wait(lambda text: row_ports(text) == [8080, 80, 53, 22], "not turned round")
    top.keys("/")
    top.wait_for("filter: ")
    top.tmux("send-keys", "-l", "outbound tcp")
    top.wait(lambda text: row_ports(text) == [8080], "not filtered while typing")
    top.keys("Enter")
    top.wait_for("ports: outbound tcp")
    top.keys("Escape")
    top.wait(lambda text: len(row_ports(text)) == 4, "filter not dropped")


def test_screens(top):
    for key, part in (("w", "keepalive"), ("t", "198.51.100.1"),
                      ("i", "no incident has been kept"), ("?", "sort by another column")):
        top.keys(key)
        top.wait_for(part)
    top.keys("Escape", "Escape")
    top.wait_for("PROTO")


def test_why_begins_with_what_to_type(top):
    """Not only what is wrong: the commands are on the first screen."""
    top.resize(80, 50)
    top.keys("w")
    text = top.wait_for("keepalive")
    assert "proxy_http_version 1.1" in text or "keepalive 32" in text


@pytest.mark.parametrize("width, height", [(40, 10), (80, 24), (200, 60), (20, 3), (8, 1)])
def test_resize(top, width, height):
    top.resize(width, height)
    top.wait(lambda text: len(text.splitlines()) <= height, "not resized")
    if height >= 10:
        text = top.wait(lambda text: (row_ports(text)[:1] == [80] or "80" in text)
                        and ("SERVICE" in text) == (width >= 110)
                        and ("TREND" in text) == (width >= 76), "not drawn for its width")
        assert all(len(line) <= width for line in text.splitlines())
    top.resize(80, 24)
    top.wait_for("TIME_WAIT 3750")


def ended(opened, status):
    opened.wait_for(f"ended {status}")
    assert not opened.alternate() and opened.cursor_shown()
    opened.run("stty -a | tr ';' '\\n' | grep -E -o '(^|[ -])(echo|icanon)( |$)'; echo settings")
    text = opened.wait(lambda text: text.count("settings") == 2, "no stty")
    assert "-echo" not in text and "-icanon" not in text


@pytest.mark.parametrize("keys", [("q",), ("F10",), ("C-c",)])
def test_quits(top, keys):
    top.keys(*keys)
    ended(top, 0)


def process_of(opened):
    [found] = subprocess.run(["pgrep", "-f", f"^{opened.top}"], check=True, text=True,
                             stdout=subprocess.PIPE).stdout.split()
    return int(found)


@pytest.mark.parametrize("number, status", [(signal.SIGTERM, 0), (signal.SIGHUP, 0),
                                            (signal.SIGSEGV, 139), (signal.SIGABRT, 134)])
def test_gives_the_terminal_back(top, number, status):
    os.kill(process_of(top), number)
    ended(top, status)


def test_suspended_and_resumed(top):
    top.keys("C-z")
    top.wait_without("q quit")
    assert not top.alternate()
    top.run("fg")
    top.wait_for("q quit")
    top.keys("q")
    top.wait_without("q quit")


COLOUR = re.compile("\x1b\\[[0-9;]*3[1-7][;m]")


def test_colours_only_where_wanted(terminal):
    coloured, plain = terminal(), terminal(NO_COLOR="1")
    for opened in (coloured, plain):
        opened.run(opened.top)
        opened.wait_for("q quit")
    assert COLOUR.search(coloured.attributes())
    assert not COLOUR.search(plain.attributes())


def test_ascii_where_the_locale_has_no_more(terminal):
    opened = terminal(LC_ALL="C")
    opened.run(opened.top)
    text = opened.wait_for("q quit")
    assert text.isascii() and "ENTRIESv" in text


def test_without_an_agent(terminal, tmp_path):
    opened = terminal()
    opened.run(opened.top.replace("--runtime-dir " + str(tmp_path),
                                  "--runtime-dir " + str(tmp_path / "none")))
    opened.wait_for("UNKNOWN")
    opened.keys("w", "t", "n", "i", "?", "Escape", "q")
    opened.wait_without("UNKNOWN")


def test_agent_that_ends_is_said(top, nginx):
    nginx.do("stopped")
    top.wait(lambda text: text.startswith("UNKNOWN"), "old numbers as if they were new")


def test_no_terminal(build, nginx):
    done = subprocess.run([build / "conntide", "top", "--runtime-dir", nginx.directory],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert "no terminal; -b prints instead" in done.stderr


def test_unknown_terminal(terminal):
    opened = terminal()
    opened.run("TERM=nonsense " + opened.top + "; echo ended $?")
    opened.wait_for("ended 1")
    assert "TERM" in opened.text()


def test_batch(build, nginx):
    done = subprocess.run([build / "conntide", "top", "-b", "-n", "2", "-d", "0.1", "--runtime-dir",
                           nginx.directory], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True, check=True)
    assert done.stdout.count("TIME_WAIT=3750") == 4
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("options", [("-d", "0"), ("-d", "x"), ("-d", "nan"), ("-n", "-1"),
                                     ("-n",), ("--nonsense",), ("-b", "extra")])
def test_wrong_usage(build, options):
    done = subprocess.run([build / "conntide", "top", *options], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2 and done.stdout == "" and len(done.stderr.splitlines()) == 1


KEYS = ["t", "n", "w", "i", "?", "<", ">", "r", "/", "Enter", "Escape", "Space", "p", "+", "-", "j",
        "k", "g", "G", "Up", "Down", "NPage", "PPage", "Home", "End", "F1", "F6", "BSpace", "x",
        "1", "ä"]


# A few hundred keys a second, which no hand reaches: of more, minutes of them would wait in the
# terminal when the time is over.
KEYS_PAUSE_S = 0.02


def test_random_keys(terminal, build, nginx):
    """With ASan and UBSan, at changing sizes, on a changing table."""
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")
    choice = random.Random(seed)
    opened = terminal(program=build / "asan" / "conntide")
    opened.run(opened.top + " -d 0.1; echo ended $?")
    opened.wait_for("q quit")
    end = time.monotonic() + float(os.environ.get("TERMINAL_KEYS_S", 5))
    while time.monotonic() < end:
        opened.keys(*(choice.choice(KEYS) for _ in range(10)))
        time.sleep(KEYS_PAUSE_S)
        if choice.random() < 0.2:
            opened.resize(choice.randint(1, 200), choice.randint(1, 60))
        if choice.random() < 0.2:
            nginx.do(f"cell tcp inbound {choice.randint(1, 200)} ESTABLISHED "
                     f"{choice.randint(0, 100000)}")
    opened.resize(80, 24)
    opened.keys("Escape", "Escape", "Escape", "q", "q")
    opened.wait_for("ended 0")
