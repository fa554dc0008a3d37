#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes the pictures in docs/pictures from conntide demo: top as SVG, the page as PNG.

Usage: tools/pictures.py BUILD_DIR NODE_DIR OUT_DIR     (make pictures)
"""
import html
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "tests", name) for name in ("terminal", "page", "http")]

# pylint: disable=wrong-import-position
from browser import Browser
from harness import free_port, wait_for
from tmux import Terminal

AT_S = 130  # of the demo: the flood has filled the table
WIDTH, HEIGHT = 100, 14
CELL_W, CELL_H = 8.4, 17
COLOURS = ["#1b1f24", "#ff7b72", "#56d364", "#e3b341", "#79b8ff", "#d2a8ff", "#56d4dd", "#e6edf3"]
PAPER, INK = "#0d1117", "#e6edf3"


def colour(codes, at):
    """The colour of an SGR sequence from `at` on, and how many codes it took."""
    if codes[at] in (38, 48):
        number = codes[at + 2]
        if number < 16:
            return COLOURS[number % 8], 3
        if number >= 232:
            return "#{0:02x}{0:02x}{0:02x}".format(8 + 10 * (number - 232)), 3
        levels = (0, 95, 135, 175, 215, 255)
        number -= 16
        return "#%02x%02x%02x" % (levels[number // 36], levels[number // 6 % 6],
                                  levels[number % 6]), 3
    return COLOURS[codes[at] % 10], 1


class Pen:
    def __init__(self):
        self.clear()

    def clear(self):
        self.ink, self.paper, self.bold, self.reverse = INK, None, False, False

    def take(self, codes):
        at = 0
        while at < len(codes):
            code, took = codes[at], 1
            if code == 0:
                self.clear()
            elif code in (1, 22):
                self.bold = code == 1
            elif code in (7, 27):
                self.reverse = code == 7
            elif code == 39:
                self.ink = INK
            elif code == 49:
                self.paper = None
            elif 30 <= code <= 38 or 90 <= code <= 97:
                self.ink, took = colour(codes, at)
            elif 40 <= code <= 48 or 100 <= code <= 107:
                self.paper, took = colour(codes, at)
            at += took


def draw(screen):
    """What tmux captured, with escape sequences, as SVG."""
    pen, out = Pen(), []
    lines = screen.split("\n")[:HEIGHT]
    for row, line in enumerate(lines):
        x = 0
        for part in re.split(r"(\x1b\[[\d;]*m|\x1b\(.|\x0f|\x0e)", line):
            if part.startswith("\x1b["):
                pen.take([int(code or 0) for code in part[2:-1].split(";")])
                continue
            if not part or part[0] in "\x1b\x0f\x0e":
                continue
            ink, paper = (pen.paper or PAPER, pen.ink) if pen.reverse else (pen.ink, pen.paper)
            if paper:
                out.append(f'<rect x="{x * CELL_W:.1f}" y="{row * CELL_H + 4}" width="'
                           f'{len(part) * CELL_W:.1f}" height="{CELL_H}" fill="{paper}"/>')
            if part.strip():
                out.append(f'<text x="{x * CELL_W:.1f}" y="{row * CELL_H + 17}" fill="{ink}" '
                           f'textLength="{len(part) * CELL_W:.1f}"'
                           f'{" font-weight=%sbold%s" % (chr(34), chr(34)) if pen.bold else ""}>'
                           f'{html.escape(part).replace(chr(32), chr(160))}</text>')
            x += len(part)
    width, height = WIDTH * CELL_W + 16, HEIGHT * CELL_H + 16
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -4 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" font-family="DejaVu Sans Mono,Menlo,'
            'Consolas,monospace" font-size="14" xml:space="preserve">\n'
            f'<rect x="-8" y="-4" width="{width:.0f}" height="{height:.0f}" rx="6" fill="{PAPER}"/>\n'
            + "\n".join(out) + "\n</svg>\n")


def picture_top(build, runtime, out):
    with tempfile.TemporaryDirectory() as directory:
        terminal = Terminal(directory, WIDTH, HEIGHT)
        terminal.run(f"exec {build}/conntide top --runtime-dir {runtime}")
        terminal.wait_for("FULL")
        time.sleep(3)
        with open(os.path.join(out, "top.svg"), "w", encoding="utf-8") as file:
            file.write(draw(terminal.attributes()))
        terminal.keys("q")


def picture_page(url, node, out):
    browser = Browser(node)
    browser.do(open=url, width=1100, height=1150)
    browser.wait("document.querySelectorAll('#chart polygon.area').length", "the chart")
    browser.do(shot=os.path.join(out, "page.png"), full=False)
    browser.close()


def main():
    build, node, out = sys.argv[1:]
    port = free_port()
    # pylint: disable=consider-using-with
    demo = subprocess.Popen([os.path.join(build, "conntide"), "demo", "--at", str(AT_S),
                             f"--web.listen-address=127.0.0.1:{port}"], text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        wait_for(demo.stdout.readline, 60, "the demo")
        runtime = demo.stdout.readline().split()[-1]
        picture_top(os.path.abspath(build), runtime, out)
        picture_page(f"http://127.0.0.1:{port}/", node, out)
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.wait(30)


if __name__ == "__main__":
    main()
