# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/patterns.md says what the code does: every threshold of every pattern, as it stands in the
sources, and how sure each can be."""
import glob
import os
import re

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
ADVICE = os.path.join(ROOT, "exporters", "advice")


def percent(value):
    return f"{100 * value:.0f} %"


def plain(value):
    return f"{value:.4g}"


def seconds(value):
    return f"{value:.0f} s"


def word(text, expected):
    """A number that the page has as a word: the word stands for this value alone."""
    def as_word(value):
        assert value == expected, f"{text} is {expected}, not {value}"
        return text
    return as_word


# Of each pattern: #define in the sources -> how the page has it.
PAGE = {
    "table-full": {},
    "chain-drops": {},
    "expectations": {"EXPECT_RATIO": percent},
    "nat-pool": {"POOL_SHARE": percent, "POOL_SOON_S": seconds},
    "nat-collisions": {"FOUND_MIN": plain, "FOUND_PER_NEW": word("every tenth", 0.1),
                       "INSERT_FAILED_MIN": plain},
    "insert-clash": {"INSERT_FAILED_MIN": plain, "DNS_SHARE": word("a tenth", 0.1)},
    "upstream-without-keepalive": {
        "UPSTREAM_SHARE": percent, "UPSTREAM_CLOSING": word("half", 0.5),
        "UPSTREAM_OPEN": word("a fifth open", 0.2), "RATIO_LIKELY": word("0.5 to 2", 2),
        "RATIO_SURE": word("0.8 to 1.25", 1.25), "TOGETHER_MIN": word("six", 6)},
    "health-checks": {"UPSTREAM_SHARE": percent, "CLOCK_LEAST": word("5 a second", 50),
                      "CLOCK_FRAMES_MIN": word("a minute", 6), "POOL_SURE": word("two", 2),
                      "POOL_AGE_S": seconds},
    "time-wait-pile": {"TIME_WAIT_SHARE": percent},
    "asymmetric-routing": {
        "REQUESTS_SHARE": percent, "REQUESTS_OF": word("half of the row", 0.5),
        "INVALID_MIN": word("an invalid packet for each new entry", 1),
        "ANSWERS_SHARE": percent, "ANSWERS_PORTS": plain, "CLIENT_PORT": plain,
        "ANSWERS_UNASSURED": word("four fifths", 0.8), "ALIKE_MIN": word("three at least", 3),
        "ANSWERS_INVALID_MIN": word("one invalid for every two new ones", 0.5)},
    "dead-backend": {"SYN_SHARE": percent, "SYN_OF": word("half of the row", 0.5),
                     "SERVICE_MOST": word("half", 0.5), "SERVICE_FEW": word("a tenth", 0.1)},
    "syn-flood": {"SYN_SHARE": percent, "SYN_OF": word("half of the row", 0.5),
                  "TRIES_PER_SOURCE": word("every fourth", 4)},
    "udp-query-storm": {"UDP_SHARE": percent, "UDP_SHORT": percent, "UDP_STAY_MAX_S": seconds,
                        "UDP_UNREPLIED": percent},
    "udp-streams": {"UDP_SHARE": percent, "UDP_SHORT": percent, "UDP_PAUSE_S": seconds,
                    "UDP_PAUSED": word("half", 0.5)},
    "leftovers": {"LEFT_SHARE": percent, "UNUSED_S": seconds, "TURNOVER_MIN": plain,
                  "TURNOVER_ENDED": word("half", 0.5), "POOL_USED": word("a tenth", 0.1),
                  "UNHEARD_MOST": percent},
    "idle-established": {
        "IDLE_SHARE": percent, "IDLE_OPEN": percent, "IDLE_TIMEOUT_S": word("a day", 86400),
        "IDLE_SURE": word("half", 0.5), "IDLE_LONG_S": word("ten minutes", 600),
        "IDLE_ENDED": word("a fifth", 0.2), "IDLE_BUSY": word("a tenth", 0.1),
        "UNUSED_S": seconds, "IDLE_WATCH_S": word("10 minutes", 600)},
    "close-wait-leak": {"CLOSE_WAIT_SHARE": percent, "CLOSE_WAIT_OF": percent},
    "one-host": {"HOST_SHARE": percent, "HOST_SOURCES": plain, "HOST_SHARE_FEW": percent,
                 "HOST_FEW": plain, "HOST_FORWARDED": percent},
    "peer-to-peer": {"MANY_PORTS": plain, "MANY_SHARE": percent,
                     "MANY_PER_ROW": word("one to three", 3),
                     "ANSWERED_MIN": word("a tenth answered", 0.1),
                     "UNANSWERED_MIN": word("a tenth not", 0.1),
                     "DESTINATION_MOST": word("a tenth", 0.1)},
    "port-scan": {"MANY_PORTS": plain, "MANY_SHARE": percent,
                  "MANY_PER_ROW": word("one to three", 3)},
    "long-timeout": {"LONG_SHARE": percent, "LONG_TIMES": word("twice", 2)},
    "other-protocol": {"OTHER_SHARE": percent},
}

# Of how they are computed, not of when they are shown.
WITHIN = {"RECENT_FRAMES", "RECENT_SPAN", "ALIKE_RATIO", "ALIKE_NEW", "UPSTREAM_PART", "COST_RATIO",
          "COST_PART", "FRONTS", "GROUPS", "RATE_MIN", "CHANGE_LEAST_ENTRIES", "CHANGE_LEAST_ROOTS",
          "CLOCK_FRAMES", "CLOCK_SPREAD_ROOTS", "CLOCK_SPREAD_MIN", "CLOCK_STRAY_OF", "SIDE_PORTS",
          "TOLD_NEARLY_ALL", "ROW_TEXT_BYTES", "DNS_PORT", "MIN_ENTRIES", "MIN_ENTRIES_LEAST"}
# Where one pattern says it for another.
SAID_WITH = {"NAT_HIGH_RATIO": os.path.join(ROOT, "exporters", "render", "nat.h")}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def sources():
    return sorted(glob.glob(os.path.join(ADVICE, "patterns*.[ch]"))
                  + glob.glob(os.path.join(ADVICE, "together.[ch]")))


def defines(text):
    return dict(re.findall(r"^#define (\w+)[ \t]+([\w.]+)", text, re.M))


def value_of(text):
    if text in SAID_WITH:
        return value_of(defines(read(SAID_WITH[text]))[text])
    return float(text.rstrip("u"))


def rows():
    """{pattern: what it looks like, thresholds, how sure}"""
    table = {}
    for line in read(os.path.join(ROOT, "docs", "patterns.md")).split("## Savings")[0].splitlines():
        if line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            assert len(cells) == 5, line
            table[cells[0].strip("`")] = cells[1:4]
    return table


def test_every_threshold_is_on_the_page():
    known = {}
    for path in sources():
        known.update(defines(read(path)))
    said, page = set(), rows()
    assert set(page) == set(PAGE)
    for pattern, thresholds in PAGE.items():
        text = " ".join(page[pattern])
        for name, shown in thresholds.items():
            expected = shown(value_of(known[name]))
            assert re.search(rf"(?<![\d.]){re.escape(expected)}(?![\d.]*\d)", text), \
                f"{pattern}: {name} is {known[name]}, and the page does not say {expected!r}"
            said.add(name)
    left = {name for name in known if known[name][0].isdigit() or known[name] in SAID_WITH}
    assert left == said | (WITHIN & left), left - said - WITHIN
    assert WITHIN <= left, WITHIN - left


def functions(text):
    """{name: body} of a C file in this style."""
    found = {}
    for name, body in re.findall(r"^\w[^\n;]*?\b(\w+)\((?:[^;{}]|\n)*?\)\n{\n(.*?)^}", text,
                                 re.M | re.S):
        found[name] = body
    return found


def confidences():
    """{PATTERN_X: how sure the functions that add it can be, with those that they call for it}"""
    found = {}
    for path in sources():
        bodies = functions(read(path))
        grades = {name: set(re.findall(r"\bCONFIDENCE_(SURE|LIKELY|NOT_SURE)\b", body))
                  for name, body in bodies.items()}
        for name, body in bodies.items():
            for pattern in re.findall(r"look_add\(\s*look, (PATTERN_\w+)", body):
                grade = set(grades[name])
                for other, more in grades.items():
                    if other != name and "look_add" not in bodies[other] and \
                            re.search(rf"\b{other}\(", body):
                        grade |= more
                found.setdefault(pattern, set()).update(grade)
    return found


def test_how_sure_is_on_the_page():
    table = read(os.path.join(ADVICE, "patterns.c"))
    ids = dict(re.findall(r"\[(PATTERN_\w+)\] =\s*\{\{\"([a-z-]+)\"", table))
    grades, page = confidences(), rows()
    assert len(ids) == len(page) and set(grades) == set(ids), set(ids) ^ set(grades)
    for pattern, name in ids.items():
        cell = page[name][2]
        said = {grade for grade, words in (("SURE", r"(?<!not )\bsure\b"), ("LIKELY", r"\blikely\b"),
                                           ("NOT_SURE", r"\bnot sure\b")) if re.search(words, cell)}
        assert said == grades[pattern], f"{name}: the page says {said}, the code {grades[pattern]}"
