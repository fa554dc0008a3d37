# SPDX-License-Identifier: GPL-2.0-or-later
"""The page on a live agent: a namespace of its own, real packets at a rate that changes, and the
kernel's own count beside what the page shows, for a minute. As root."""
import math
import os
import re
import sys
import threading
import time

import pytest

from browser import Browser, check, check_quiet, check_width
from harness import BUILD, Exporter

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "netns"))

# pylint: disable=wrong-import-position
import agent as agent_module
import netns
import traffic

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a network namespace")

SHOTS = os.path.join(BUILD, "screenshots")
WATCH_SECONDS = 60
# How far what is shown may be behind: the agent and the page take some 3 s, a busy machine more.
BEHIND_SECONDS = 15
TIMEOUT_SECONDS = 10
BURST = 20  # entries that one round makes, at most, before it looks: the agent may look between
LIMIT = 400  # rehearsed: it is over it all the time, which keeps the remedies there
SHOWN = "parseInt(document.querySelector('#band').innerText.match(/(\\d+) of \\d+ entries/)[1])"
CHART = "document.querySelectorAll('#chart polygon.area').length"


class Traffic:
    """Datagrams that each make an entry, few and many by turns, and the kernel's count."""

    def __init__(self, host):
        self.host = host
        self.wire = traffic.Wire(host)
        self.counts = []  # (time, entries)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        began = time.monotonic()
        owed, number = 0.0, 0
        while not self.ended.is_set():
            owed += 0.05 * (70 + 150 * (1 - math.cos((time.monotonic() - began) / 5)))
            for _ in range(int(owed)):
                number += 1
                port = (53, 53, 53, 123, 4500)[number % 5]
                self.wire.send(f"10.82.{number // 250 % 250}.{number % 250 + 1}", "10.80.0.1", 17,
                               traffic.udp(f"10.82.{number // 250 % 250}.{number % 250 + 1}",
                                           "10.80.0.1", 20000 + number % 30000, port))
            owed %= 1
            self.counts.append((time.time(), self.host.count()))
            time.sleep(0.05)

    def between(self, since, until):
        """Least and most entries the kernel had in that time, as far as was looked."""
        counts = [count for when, count in self.counts[:] if since <= when <= until]
        return (min(counts) - BURST, max(counts) + BURST) if counts else (0, 0)

    def close(self):
        self.ended.set()
        self.thread.join()
        self.wire.close()


@pytest.fixture(name="live", scope="module")
def _live(node):
    os.makedirs(SHOTS, exist_ok=True)
    host = netns.Host()
    host.conntrack_sysctl("udp_timeout", TIMEOUT_SECONDS)
    agent = agent_module.Agent(host, "--assume-max", str(LIMIT))
    os.chmod(agent.runtime, 0o755)
    exporter = Exporter(agent.runtime, "--web.show-hosts=loopback", "--state-dir",
                        os.path.join(agent.runtime, "state"))
    made = Traffic(host)
    browser = Browser(node)
    yield browser, f"http://127.0.0.1:{exporter.port}/", made
    browser.close()
    made.close()
    exporter.close()
    agent.close()
    host.close()


def test_a_minute(live):
    """It shows what the kernel counts, and whoever reads it is left alone."""
    browser, address, made = live
    browser.do(open=address, width=1280, height=700)
    browser.wait(CHART, "the chart has data")
    browser.wait("document.querySelector('#advice details') !== null", "a remedy", 90)
    browser.wait("document.querySelector('#port-udp-53-forwarded') !== null", "the port")
    browser.run("""
        const details = document.querySelector("#advice details");
        details.open = true;
        details.querySelector("summary").focus({ preventScroll: true });
        getSelection().selectAllChildren(document.querySelector("#port-udp-53-forwarded th"));
        scrollTo(0, 400);
        window.kept = { details, focus: document.activeElement, place: scrollY,
            words: getSelection().toString() };""")
    assert browser.run("return kept.words.length > 3 && kept.place") == 400
    shown = []
    end = time.monotonic() + WATCH_SECONDS
    while time.monotonic() < end:
        entries, now = browser.run(f"return {SHOWN};"), time.time()
        least, most = made.between(now - BEHIND_SECONDS, now)
        assert least <= entries <= most, ("not what the kernel counted", entries, least, most)
        shown.append(entries)
        time.sleep(1)
    least, most = made.between(time.time() - WATCH_SECONDS, time.time())
    assert most > 1.4 * least, ("the traffic did not change", least, most)
    assert max(shown) - min(shown) > 0.6 * (most - least), ("it does not follow", shown, least, most)
    assert browser.run("return document.activeElement === kept.focus && kept.focus.isConnected")
    assert browser.run("return getSelection().toString() === kept.words")
    assert browser.run("return kept.details.open && kept.details.isConnected")
    assert browser.run("return scrollY === kept.place"), browser.run("return scrollY")
    check(browser, address, os.path.join(SHOTS, "live-1280.png"))


def test_the_chart_shows_the_kernels_count(live):
    """Each reading of the last half minute is what the kernel had about then."""
    browser, address, made = live
    browser.do(open=address, width=1280)
    browser.wait(CHART, "the chart has data")
    browser.run("document.querySelector('#chart > svg').focus()")
    seen = set()
    for _ in range(10):
        browser.do(key="ArrowLeft")
        told = browser.run("return document.querySelector('#chart output').textContent")
        clock, entries, parts = re.fullmatch(r"([\d:]+): (\d+) entries; (.*)", told).groups()
        seen.add(clock)
        day = time.localtime()
        hours, minutes, seconds = (int(part) for part in clock.split(":"))
        when = time.mktime((day.tm_year, day.tm_mon, day.tm_mday, hours, minutes, seconds, 0, 0,
                            day.tm_isdst))
        least, most = made.between(when - 4, when + 4)
        assert least <= int(entries) <= most, (told, least, most)
        assert "udp/53" in parts, told
        by_port = sum(int(number) for number in re.findall(r"(?:udp|tcp)/\d+ \w+ (\d+)", parts))
        assert 0.9 * int(entries) - 5 <= by_port <= 1.1 * int(entries) + 5, told
    assert len(seen) > 3
    check_quiet(browser, address)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("width", [400, 1280])
def test_every_width(live, width, script, dark):
    browser, address, _ = live
    browser.do(open=address + ("" if script else "?refresh=0"), width=width, dark=dark,
               script=script)
    shot = os.path.join(SHOTS, f"live-{width}{'-dark' if dark else ''}"
                               f"{'' if script else '-noscript'}.png")
    if script:
        browser.wait(CHART, "the chart has data")
        check(browser, address, shot)
        return
    browser.do(shot=shot)
    check_width(browser)
    check_quiet(browser, address)
    assert browser.run(f"return {SHOWN};") > 0
