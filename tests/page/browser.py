# SPDX-License-Identifier: GPL-2.0-or-later
"""A browser that does what visit.js understands, and its answers."""
import json
import os
import subprocess
import time

# How many times slower than usual this machine is, as in tests/netns/netns.py.
SLOWNESS = int(os.environ.get("CONNTIDE_SLOWNESS", "1"))

HERE = os.path.dirname(os.path.abspath(__file__))


class Browser:
    def __init__(self, node):
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(["node", os.path.join(HERE, "visit.js"), node], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.told = {}

    def do(self, **step):
        self.process.stdin.write(json.dumps(step) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, (step, answer["error"])
        self.told = answer
        return answer

    def run(self, code):
        """The value of `return ...` in the page."""
        return self.do(run=code).get("value")

    def wait(self, code, what, seconds=30):
        end = time.monotonic() + seconds * SLOWNESS
        while not (value := self.run(f"return {code};")):
            assert time.monotonic() < end, f"{what}: not within {seconds} s"
            time.sleep(0.1)
        return value

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()


CUT = """
    const cut = [...document.querySelectorAll("main *")].filter((one) =>
        one.getBoundingClientRect().right > innerWidth + 1 && !one.closest("svg") &&
        !one.closest(".sr") && getComputedStyle(one.closest("table") || one).display !== "none"
        && getComputedStyle(one.closest("thead") || one).position !== "absolute");
    return [document.documentElement.scrollWidth - innerWidth, cut.map((one) => one.outerHTML)];
    """


def check_width(browser):
    """No column is cut, and nothing makes it scroll sideways."""
    cut = browser.run(CUT)
    assert cut[0] <= 0 and not cut[1], cut


def check(browser, address, shot):
    """What must hold of every page that has numbers."""
    browser.do(shot=shot)
    told = browser.do(axe=True)
    assert not told["violations"], told["violations"]
    check_width(browser)
    check_quiet(browser, address)


def check_quiet(browser, address):
    assert not browser.told["console"], ("a complaint, or the policy was violated",
                                         browser.told["console"])
    assert not browser.told["failed"], browser.told["failed"]
    elsewhere = [one for one in browser.told["requests"] if not one.startswith(address)]
    assert not elsewhere, elsewhere
