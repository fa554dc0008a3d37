# SPDX-License-Identifier: GPL-2.0-or-later
"""Updates that change what stands where: sections, remedies and rows come, go and change places
in any order, and what somebody reads stays as it was. The exporter is asked once; after that its
page is changed here, with a seed that is printed."""
import os
import random
import shutil
import tempfile

import pytest

from browser import Browser
from harness import ROOT, Exporter, Segment

ROUNDS = int(os.environ.get("PAGE_ROUNDS", "60"))

# Answers the script's own requests with the page that the test wants.
TAKE_OVER = """
    window.server = document.implementation.createHTMLDocument("");
    server.body.append(server.importNode(document.querySelector("main"), true));
    server.querySelectorAll("#chart > *").forEach((one) => one.remove());
    const real = window.fetch;
    let number = 0;
    window.rounds = 0;
    window.fetch = (address, options) => {
        if (!String(address).startsWith("?"))
            return real(address, options);
        rounds++;
        return Promise.resolve(new Response(
            `<!DOCTYPE html><title>round</title>${server.body.innerHTML}`,
            { status: 200, headers: { ETag: `"${++number}"` } }));
    };"""
# All remedies there are, each with words of its own, in the order given; the first is open.
REMEDIES = """
    const names = %s;
    const box = server.querySelector("#advice");
    box.querySelectorAll("article").forEach((one) => one.remove());
    const last = box.lastElementChild;
    names.forEach((name, i) => {
        const one = server.createElement("article");
        one.id = `advice-${name}`;
        one.innerHTML = `<h3>Remedy ${name}</h3><p>reason ${Math.random()}</p>` +
            (Math.random() < 0.5 ? "<p>Saves a number of entries.</p>" : "") +
            `<details id="do-${name}"${i ? "" : " open"}><summary>Commands</summary>` +
            `<div class="cmd"><pre><code>command of ${name}</code></pre></div></details>`;
        box.insertBefore(one, last);
    });"""
NEXT = """
    const was = rounds;
    document.dispatchEvent(new Event("visibilitychange"));
    for (let i = 0; i < 400 && (rounds === was || window.busy); i++)
        await new Promise((go) => setTimeout(go, 10));
    await new Promise((go) => setTimeout(go, 30));
    return [...document.querySelectorAll("#advice article")].map((one) => one.id.slice(7));"""


@pytest.fixture(name="page", scope="module")
def _page(node):
    directory = tempfile.mkdtemp(prefix="conntide-page-", dir="/dev/shm")
    os.chmod(directory, 0o755)
    with open(os.path.join(ROOT, "tests", "golden", "nginx.segment"), encoding="ascii") as file:
        segment = Segment(directory, file.read())
    exporter = Exporter(directory, "--web.show-hosts=loopback", "--state-dir", directory)
    browser = Browser(node)
    yield browser, f"http://127.0.0.1:{exporter.port}/"
    browser.close()
    exporter.close()
    segment.close()
    shutil.rmtree(directory)


@pytest.fixture(name="browser")
def _browser(page):
    browser, address = page
    browser.do(open=address, height=700)
    browser.wait("!document.querySelector('#chart').hidden", "the script runs")
    browser.run(TAKE_OVER)
    return browser


def show(browser, names):
    browser.run(REMEDIES % names)
    assert browser.run(NEXT) == names


def test_a_new_first_remedy_folds_nothing(browser):
    show(browser, ["a", "b"])
    browser.run("document.querySelector('#do-b').open = true;"
                "document.querySelector('#do-b summary').focus();")
    show(browser, ["new", "a", "b"])
    assert browser.run("return ['new', 'a', 'b'].map((one) => "
                       "document.getElementById(`do-${one}`).open)") == [True, True, True]
    browser.run("document.querySelector('#do-a').open = false;")
    show(browser, ["b", "a"])
    assert browser.run("return ['a', 'b'].map((one) => document.getElementById(`do-${one}`).open)"
                       ) == [False, True]
    assert browser.run("return document.activeElement.parentElement.id") == "do-b"


def test_whatever_comes_and_goes(browser):
    """What is open stays open, what is shut stays shut; the focus and the selection stay where
    they are as long as that is there; nothing of another remedy is taken over."""
    seed = int(os.environ.get("SEED", random.randrange(2**32)))
    print(f"SEED={seed}")
    chance = random.Random(seed)
    everything = list("abcdefgh")
    shown, open_now = [], {}
    for _ in range(ROUNDS):
        now = chance.sample(everything, chance.randint(1, len(everything)))
        if len(shown) > 1 and chance.random() < 0.6:  # a small change
            now = shown[:]
            now.insert(chance.randrange(len(now) + 1), now.pop(chance.randrange(len(now))))
            if chance.random() < 0.5 and len(now) < len(everything):
                now.insert(chance.randrange(2),
                           chance.choice([one for one in everything if one not in now]))
        held = chance.choice(shown) if shown else None
        if held:
            browser.run(f"""
                window.held = document.querySelector("#do-{held} summary");
                held.focus({{preventScroll: true}});
                document.getElementById("do-{held}").open = true;
                getSelection().selectAllChildren(document.querySelector("#do-{held} code"));""")
            open_now[held] = True
        show(browser, now)
        told = dict(browser.run("return [...document.querySelectorAll('#advice details')].map("
                                "(one) => [one.id.slice(3), one.open])"))
        for i, name in enumerate(now):
            if name not in shown:
                open_now[name] = i == 0
            assert told[name] is open_now[name], (seed, name, shown, now, told)
        if held in now:
            assert browser.run("return document.activeElement === held && held.isConnected"), \
                (seed, held, shown, now)
            assert browser.run("return getSelection().toString()") == f"command of {held}", seed
        words = browser.run("return [...document.querySelectorAll('#advice code')].map("
                            "(one) => one.textContent)")
        assert words == [f"command of {name}" for name in now], (seed, words)
        open_now = {name: told[name] for name in now}
        if now and chance.random() < 0.5:
            name = chance.choice(now)
            open_now[name] = not open_now[name]
            browser.run(f"document.getElementById('do-{name}').open = "
                        f"{str(open_now[name]).lower()};")
        shown = now
    assert not browser.told["console"]


def test_a_row_keeps_its_port_while_it_is_selected(browser):
    """Ports change places: what is selected goes with its row."""
    row = "document.querySelector('#port-tcp-8080-outbound th')"
    browser.run(f"getSelection().selectAllChildren({row});")
    browser.run("const rows = server.querySelector('#ports tbody');"
                "rows.insertBefore(rows.children[1], rows.children[0]);")
    browser.run(NEXT)
    assert browser.run("return [...document.querySelectorAll('#ports tbody tr')].slice(0, 2).map("
                       "(one) => one.id)") == ["port-tcp-8080-outbound", "port-tcp-80-inbound"]
    assert "8080" in browser.run("return getSelection().toString()")
    assert browser.run(f"return getSelection().containsNode({row}, true)")
