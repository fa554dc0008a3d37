# SPDX-License-Identifier: GPL-2.0-or-later
"""The page as people see it: in a browser, in its states, at the width of a phone, in the dark,
without a script. Screenshots stay in BUILD/screenshots."""
import gzip
import os
import subprocess
import time

import pytest

from browser import Browser, check as check_page, check_width
from harness import BUILD, CLI, ROOT, Exporter, Segment, free_port

SHOTS = os.path.join(BUILD, "screenshots")
CHART = "document.querySelectorAll('#chart polygon.area').length"


@pytest.fixture(scope="module")
def browser(node):
    os.makedirs(SHOTS, exist_ok=True)
    made = Browser(node)
    yield made
    made.close()


@pytest.fixture
def nginx(directory):
    """A proxy that opens a connection for each request, with a past of a quarter of an hour."""
    with open(os.path.join(ROOT, "tests", "golden", "nginx.segment"), encoding="ascii") as file:
        made = Segment(directory, file.read())
    made.do("host gate1", *[f"sample seconds {7000 + 5 * (900 - s) // 9} 7000 262144 30 28 0 {s}"
                            for s in range(900, 0, -1)])
    exporter = Exporter(directory, "--web.show-hosts=loopback", "--state-dir", directory)
    yield made, exporter
    exporter.close()
    made.close()


def url(exporter):
    return f"http://127.0.0.1:{exporter.port}/"


def check(browser, exporter, name):
    check_page(browser, url(exporter), os.path.join(SHOTS, f"{name}.png"))


@pytest.mark.parametrize("width", [400, 1280])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("script", [True, False])
def test_every_kind_of_reader(browser, nginx, width, dark, script):
    browser.do(open=url(nginx[1]) + ("" if script else "?refresh=0"), width=width, dark=dark,
               script=script)
    if script:
        browser.wait(CHART, "the chart has data")
    name = f"nginx-{width}-{'dark' if dark else 'light'}{'' if script else '-noscript'}"
    if script:
        check(browser, nginx[1], name)
    else:
        browser.do(shot=os.path.join(SHOTS, f"{name}.png"))
        assert not browser.told["failed"] and not browser.told["console"]
        check_width(browser)
        # All of it stands there, and the chart that the server drew.
        assert browser.run("return document.querySelectorAll('#ports tbody tr').length") == 4
        assert browser.run("return document.querySelectorAll('svg.chart').length") == 1
        assert browser.run("return [...document.querySelectorAll('.script')].every((one) => "
                           "getComputedStyle(one).display === 'none')")


STATES = {
    "idle": (["live count_entries 0", "live mirror_entries 0"], "Nothing is tracked", "OK"),
    "high": (["live count_entries 220000"], "83.9 % full", "HIGH"),
    "full": (["live count_entries 262144", "live dropped_milli_per_s 2500000",
              "live evicted_milli_per_s 300"], "dropped 2500/s, evicted 0.3/s", "FULL"),
    "killed": (["age 100"], "No current numbers", "UNKNOWN"),
    "rehearsal": (["live assumed_max_entries 8000", "live max_entries 8000"], "REHEARSAL", "HIGH"),
}


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("width", [400, 1280])
def test_every_state(browser, nginx, name, width):
    commands, words, level = STATES[name]
    segment, exporter = nginx
    segment.do(*commands)
    time.sleep(0.3)
    browser.do(open=url(exporter), width=width)
    text = browser.run("return document.querySelector('#band').innerText")
    assert words in text
    assert browser.run("return document.querySelector('.level').textContent") == level
    told = browser.run("return document.body.innerText")
    assert ("has not come near its limit" in told) == (level == "OK"), told
    assert "dropped" not in words or " 0 packets were dropped" not in told, told
    if name != "killed":
        browser.wait(CHART, "the chart has data")
    check(browser, exporter, f"{name}-{width}")


def test_without_a_table(browser, directory):
    exporter = Exporter(directory)
    browser.do(open=url(exporter))
    assert "There are no numbers" in browser.run("return document.body.innerText")
    assert not browser.do(axe=True)["violations"]
    # The exporter does answer, if only that.
    browser.wait("performance.getEntriesByType('resource').some((one) => "
                 "one.name.endsWith('?chart=0'))", "it asks again")
    assert browser.run("return document.querySelector('#trouble').hidden")
    assert not browser.told["console"]
    exporter.close()


def test_hosts_only_where_they_may_be_seen(browser, nginx, directory):
    browser.do(open=url(nginx[1]))
    assert "198.51.100.1" in browser.run("return document.querySelector('#talkers').innerText")
    hidden = Exporter(directory)
    browser.do(open=url(hidden))
    assert "198.51.100.1" not in browser.run("return document.body.innerText")
    assert "not shown to this client" in browser.run("return document.body.innerText")
    hidden.close()


def test_it_says_which_host(browser, nginx):
    browser.do(open=url(nginx[1]))
    assert browser.told["title"] == "3 % – gate1 – conntide"
    assert browser.run("return document.querySelector('h1').textContent") == "conntide – gate1"


def test_it_follows_and_nothing_jumps(browser, nginx):
    """Focus, selection, what was unfolded and the place stay while the numbers change."""
    segment, exporter = nginx
    browser.do(open=url(exporter), height=700)
    browser.wait(CHART, "the chart has data")
    browser.run("""
        const details = document.querySelectorAll("#advice details")[1];
        details.open = true;
        details.querySelector("summary").focus();
        getSelection().selectAllChildren(document.querySelector("#advice code"));
        scrollTo(0, 900);
        window.kept = document.activeElement;
        window.words = getSelection().toString();
        window.place = scrollY;""")
    segment.do("live count_entries 255000", "live dropped_milli_per_s 7000",
               "cell tcp inbound 8443 SYN_RECV 900")
    for _ in range(3):  # a sample a second, as the agent writes them
        time.sleep(1)
        segment.do("sample seconds 250000 7000 262144 30 28 9 0")
    browser.wait("document.querySelector('.level').textContent === 'CRITICAL'", "the level")
    browser.wait("document.querySelector('#ports').innerText.includes('8443')", "a new port")
    browser.wait("document.title.startsWith('97 %')", "the title")
    browser.wait("document.querySelector('#band').innerText.includes('dropped 7.0/s')", "losses")
    browser.wait("document.querySelectorAll('#chart rect.lost').length", "losses in the chart")
    assert browser.run("return document.activeElement === window.kept && "
                       "document.activeElement.isConnected")
    assert browser.run("return getSelection().toString() === window.words && "
                       "window.words.length > 20")
    assert browser.run("return document.querySelectorAll('#advice details')[1].open")
    assert browser.run("return scrollY === window.place")
    assert not browser.told["console"]


def test_chart(browser, nginx):
    browser.do(open=url(nginx[1]))
    browser.wait(CHART, "the chart has data")
    legend = "document.querySelector('#chart .legend').innerText"
    assert "tcp/443 inbound" in browser.run(f"return {legend}")
    assert browser.run("return document.querySelectorAll('#chart .fan').length") == 1
    assert "entries" in browser.run("return document.querySelector('#chart > svg').textContent")
    # Reading: with the pointer, with keys, and a part enlarged.
    box = browser.run("const b = document.querySelector('#chart > svg').getBoundingClientRect();"
                      "return [b.left, b.top, b.width, b.height];")
    reading = "document.querySelector('#chart output').textContent"
    middle = box[1] + box[3] / 2
    browser.do(hover=[box[0] + box[2] / 3, middle])
    assert " entries; " in browser.run(f"return {reading}")
    browser.run("document.querySelector('#chart > svg').focus()")
    before = browser.run(f"return {reading}")
    browser.do(key="ArrowLeft")
    assert browser.run(f"return {reading}") != before
    axis = "document.querySelector('#chart > svg').textContent"
    whole = browser.run(f"return {axis}")
    browser.do(drag=[box[0] + box[2] / 4, middle, box[0] + box[2] / 3, middle])
    assert browser.run(f"return {axis}") != whole
    assert not browser.run("return [...document.querySelectorAll('#chart button')].at(-1).hidden")
    browser.do(key="Escape")
    assert browser.run("return [...document.querySelectorAll('#chart button')].at(-1).hidden")
    # Each span, and by state.
    for name in ("5 min", "1 h", "24 h", "by state", "15 min"):
        browser.run("[...document.querySelectorAll('#chart button')].find((one) => "
                    f"one.textContent === '{name}').click()")
    browser.wait(f"/tcp TIME_WAIT|tcp ESTABLISHED/.test({legend})", "states")
    assert not browser.told["console"] and not browser.told["failed"]


def test_it_says_so_when_nobody_answers(browser, nginx, directory):
    second = Exporter(directory)
    browser.do(open=url(second))
    browser.wait(CHART, "the chart has data")
    second.close()
    browser.wait("document.querySelector('#trouble').innerText.includes('No answer')", "trouble")
    del nginx


def test_a_hidden_page_asks_nothing(browser, nginx):
    browser.do(open=url(nginx[1]))
    browser.wait(CHART, "the chart has data")
    browser.run("Object.defineProperty(document, 'hidden', {get: () => true, configurable: true});"
                "document.dispatchEvent(new Event('visibilitychange'));")
    time.sleep(1)
    asked = len(browser.do(hover=[1, 1])["requests"])
    time.sleep(7)
    assert len(browser.do(hover=[2, 2])["requests"]) == asked
    browser.run("Object.defineProperty(document, 'hidden', {get: () => false});"
                "document.dispatchEvent(new Event('visibilitychange'));")
    end = time.monotonic() + 20
    while len(browser.do(hover=[3, 3])["requests"]) == asked:
        assert time.monotonic() < end, "it asks again"
        time.sleep(0.1)


def test_theme_and_copy(browser, nginx):
    browser.do(open=url(nginx[1]))
    browser.wait(CHART, "the chart has data")
    back = "return getComputedStyle(document.body).backgroundColor"
    light = browser.run(back)
    browser.do(click="#theme")
    assert browser.run(back) != light
    browser.do(open=url(nginx[1]))
    assert browser.run(back) != light, "it is kept"
    browser.do(click="#theme")
    browser.do(click="#theme")
    browser.do(click="#advice button.copy")
    assert browser.wait("document.querySelector('#said').textContent", "said")


def test_it_is_small(exporter):
    parts = ("/", "/style.css", "/page.js", "/chart.js", "/favicon.ico")
    replies = [exporter.get(part, {"Accept-Encoding": "gzip", "Accept": "text/html"})
               for part in parts]
    assert sum(len(reply.body) for reply in replies) < 40000
    assert b"prefers-color-scheme" in gzip.decompress(replies[1].body)


def test_a_flood_is_watched(browser):
    """conntide demo, ten seconds before its flood: the page goes from OK to what is lost, who
    causes it and what to type, without being touched."""
    port = free_port()
    # pylint: disable=consider-using-with
    demo = subprocess.Popen([CLI, "demo", "--at", "50", f"--web.listen-address=127.0.0.1:{port}"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    try:
        assert "page is at" in demo.stdout.readline()
        browser.do(open=f"http://127.0.0.1:{port}/")
        browser.wait(CHART, "the chart has data")
        level = "document.querySelector('.level').textContent"
        assert browser.run(f"return {level}") in ("OK", "HIGH", "CRITICAL")
        browser.wait(f"{level} === 'FULL'", "full", 150)
        browser.wait("document.querySelector('#why').innerText.includes('half-open')", "why", 60)
        browser.wait("/dropped|evicted/.test(document.querySelector('#band').innerText)", "lost", 60)
        assert "synproxy" in browser.run("return document.querySelector('#advice').textContent")
        browser.wait("document.querySelectorAll('#chart rect.lost').length", "losses", 60)
        browser.do(shot=os.path.join(SHOTS, "demo-flood.png"))
        assert not browser.told["console"] and not browser.told["failed"]
    finally:
        demo.terminate()
        demo.wait(30)
        demo.stdout.close()
