#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The words of docs/terms.md that are not ours (its last column, and its list of filler), in
texts that people read. What there was of them stands in terms.golden, by file, and may only
become less.

    tests/lint/terms.py             where they are
    tests/lint/terms.py --update    after a text was mended, or moved to another file
"""
import collections
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import source  # noqa: E402  pylint: disable=wrong-import-position

PAGE = "docs/terms.md"
GOLDEN = os.path.join("tests", "lint", "terms.golden")

# Right for something else, which no program can tell: a TCP connection, conntide status, the
# load of a server, the usage of a program, a traffic class, what was found, a DNS record, the
# label of an alert.
ELSEWHERE = {"flow", "connection", "record", "status", "usage", "load", "class", "found", "stage", "severity",
             "drops"}

STRING = re.compile(r'"((?:\\.|[^"\\\n])*)"')


def unwanted(page):
    """The words, from the tables and the filler line of docs/terms.md."""
    words = set()
    for row in re.findall(r"^\|(.*)\|$", page, re.M):
        cells = [cell.strip() for cell in row.split("|")]
        if len(cells) == 3 and cells[2] not in ("not", "---"):
            words.update(word.strip() for word in
                         re.sub(r"\(.*?\)", "", cells[2]).split(",") if word.strip())
    filler = re.search(r"No filler:(.*)", page)[1]
    return words - ELSEWHERE | set(re.findall(r'"(.*?)"', filler))


def texts():
    """(path, text) of what people read: strings of programs, manuals, docs, dashboards."""
    for path in source.files("agent", "exporters", "lib", suffixes=(".c", ".h", ".def")):
        code = re.sub(r"^#\s*include.*$", "", source.code(path), flags=re.M)
        yield path, "\n".join(STRING.findall(re.sub(r'"\s*\n\s*"', "", code)))
    generated = {"docs/metrics.md", PAGE}
    for path in [*source.files("docs", suffixes=(".md", ".1", ".8")),
                 *source.files("dashboards", suffixes=(".yml", ".md")), "README.md"]:
        if path not in generated:
            yield path, source.read(path)


def found(text, words):
    """Word -> how often. "steady" is found in steady_entries, and in any case of letters."""
    plain = re.sub(r"\s+", " ", text)
    counts = {word: len(re.findall(rf"(?<![a-z]){re.escape(word)}s?(?![a-z])", plain, re.I))
              for word in words}
    return {word: count for word, count in counts.items() if count}


def now():
    """(path, word) -> how often."""
    words = unwanted(source.read(PAGE))
    return {(path, word): count for path, text in texts()
            for word, count in found(text, words).items()}


def golden():
    counts = {}
    for line in source.read(GOLDEN).splitlines():
        path, word, count = line.split("\t")
        counts[path, word] = int(count)
    return counts


def more(counts, before):
    return [f"{path}: \"{word}\" {count} times, {before.get((path, word), 0)} before"
            for (path, word), count in sorted(counts.items())
            if count > before.get((path, word), 0)]


def by_word(counts):
    totals = collections.Counter()
    for (_, word), count in counts.items():
        totals[word] += count
    return totals


def test_no_word_that_is_not_ours():
    wrong = more(now(), golden())
    assert not wrong, "docs/terms.md has another word for it:\n" + "\n".join(wrong)


def test_words_are_read_from_the_page():
    words = unwanted(source.read(PAGE))
    assert {"comes to rest", "culprit", "so many", "there", "ceiling"} <= words
    assert not words & ELSEWHERE


def test_a_new_one_is_found():
    assert found("Where it comes to\nrest: STEADY_entries, mutes", {
        "comes to rest", "steady", "mute", "soft"}) == {"comes to rest": 1, "steady": 1, "mute": 1}
    assert found("unsteady softly", {"steady", "soft"}) == {}
    assert more({("a", "soft"): 2}, {("a", "soft"): 1}) and not more({("a", "soft"): 1},
                                                                     {("a", "soft"): 2})
    assert any(path == "exporters/cli/help.c" and "usage: conntide" in text
               for path, text in texts())


def main():
    counts = now()
    if "--update" not in sys.argv:
        for (path, word), count in sorted(counts.items()):
            print(f"{path}: \"{word}\" {count}")
        return
    path = os.path.join(source.ROOT, GOLDEN)
    if os.path.exists(path):
        grown = by_word(counts) - by_word(golden())
        if grown:
            sys.exit(f"more than before: {dict(grown)}")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{where}\t{word}\t{count}\n"
                        for (where, word), count in sorted(counts.items()))


if __name__ == "__main__":
    main()
