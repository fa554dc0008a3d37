# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands that README, docs and man pages tell people to type."""
import pathlib
import re
import shlex

import harness

ROOT = pathlib.Path(harness.ROOT)
MANUALS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs/man").iterdir())
TEXTS = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "dashboards/README.md",
         *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("**/*.md"))]
PROGRAM = re.compile(r"(?:\S*/)?(conntide(?:-(?:agent|exporter|record|replay|flow|demo))?)$")
# What may stand before a program: it runs what follows.
WRAPPERS = [("sudo",), ("exec",), ("ip", "netns", "exec", None)]
# Stands for something, and what it may stand for. An ID is that of an incident.
PLACES = {"N": "20000", "NAME": "tcp_time_wait", "SECONDS": "30",
          "FILE": "/dev/null", "DIR": "/tmp", "HOST": "localhost",
          "ID": "20260101T000000Z-00000001"}


def text_of(name):
    return (ROOT / name).read_text(encoding="utf-8")


def _markdown(text):
    """Lines of code, those that go on on the next one joined."""
    fenced, going_on = False, ""
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
            continue
        # Drawings and output are indented further, or not at all.
        code = line if fenced else line[4:] if re.match(r" {4}\S", line) or going_on else ""
        code = going_on + code.strip()
        going_on = code[:-1] if code.endswith("\\") else ""
        if code and not going_on:
            yield re.sub(r"^\$ ", "", code)
    for words in re.findall(r"`((?:conntide|curl|make)(?:-[a-z]+)?(?: [^`]*)?)`", text):
        yield words.replace("\n", " ")


def _manual(text):
    for block in re.findall(r"^\.EX\n(.*?)^\.EE", text, re.M | re.S):
        yield from block.replace("\\-", "-").replace("\\e", "\\").splitlines()


def lines_of(name):
    """What looks like a line for a shell."""
    yield from (_manual if name in MANUALS else _markdown)(text_of(name))


def _pipeline(line):
    """The commands of a line, as lists of words."""
    try:
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:  # a quote that is an apostrophe
        return
    command = []
    for word in [*words, "|"]:
        if re.fullmatch(r"[|;&]+", word):
            yield command
            command = []
        else:
            command.append(word)


def _without_wrapper(words):
    for wrapper in WRAPPERS:
        if len(words) > len(wrapper) and all(
                want in (None, word) for want, word in zip(wrapper, words)):
            return words[len(wrapper):]
    return words


def _until_redirection(words):
    for at, word in enumerate(words):
        if re.match(r"[<>]", word):
            return words[:at]
    return words


def programs_of(line):
    """Each call of a program of ours in the line: its name and arguments."""
    for words in _pipeline(line):
        words = _without_wrapper(words)
        for at, word in enumerate(words):
            found = PROGRAM.match(word)
            # In the middle of a command only by its path: conntide is a group, too.
            if found and (at == 0 or word.startswith("/usr/bin/")):
                yield [found.group(1), *_until_redirection(words[at + 1:])]
                break


def filled(words, **places):
    """With something in place of what stands for it."""
    pattern = r"\b(" + "|".join(PLACES) + r")\b"
    return [re.sub(pattern, lambda found: {**PLACES, **places}[found.group(1)], word)
            for word in words]


def is_form(words):
    """A form of a command ("conntide record ..."), no command."""
    return any(re.search(r"\.\.\.|[\[\]]$|^[A-Z]{5,}$", word) for word in words)


def targets_of(line):
    """What make is asked to make."""
    for words in _pipeline(line):
        words = [word for word in words if not re.match(r"\w+=", word)]
        if words[:1] == ["make"]:
            yield from (word for word in words[1:] if re.fullmatch(r"[a-z][a-z-]*", word))
