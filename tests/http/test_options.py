# SPDX-License-Identifier: GPL-2.0-or-later
"""One name for one thing on every command line, and `conntide run` hands options on."""
import os
import shutil
import subprocess

import pytest
from harness import CLI

NOTE = """#!/bin/sh
for word; do echo "$word"; done > "$0.args"
sleep 60 &
trap 'kill $!' TERM
wait
"""


def cli(*words, program=CLI):
    return subprocess.run([program, *words], capture_output=True, text=True, check=False,
                          timeout=60)


@pytest.mark.parametrize("words", [
    ["--name", "blue", "status"], ["--name=blue", "status"], ["status", "--name", "blue"],
    ["ports", "--name=blue"], ["incidents", "--name", "blue"], ["run", "--name", "blue"],
    ["run", "--name=blue"]], ids=" ".join)
def test_name_is_refused_with_a_hint(words):
    done = cli(*words)
    assert done.returncode == 2 and not done.stdout
    assert len(done.stderr.splitlines()) == 1 and "--name" in done.stderr
    assert "use --netns" in done.stderr


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "x" * 48, "a\nb"])
@pytest.mark.parametrize("words", [["--netns", "NAME", "status"], ["status", "--netns", "NAME"],
                                   ["incidents", "--netns=NAME"], ["run", "--netns", "NAME"]],
                         ids=" ".join)
def test_a_bad_name_of_a_table(words, name):
    done = cli(*[word.replace("NAME", name) for word in words])
    assert done.returncode == 2 and "--netns" in done.stderr, done.stderr


@pytest.mark.parametrize("words", [["--netnsx", "a", "status"], ["--runtime-dirs=a", "status"]],
                         ids=" ".join)
def test_longer_names_are_other_options(words):
    assert "unknown option" in cli(*words).stderr


@pytest.mark.parametrize("before, after", [
    ([], ["--netns", "blue"]), ([], ["--netns=blue"]), (["--netns", "blue"], []),
    (["--netns=red"], ["--netns", "blue"])], ids=str)
def test_run_gives_the_name_to_both(tmp_path, before, after):
    program = shutil.copy(CLI, tmp_path / "conntide")
    notes = [tmp_path / "conntide-agent.args", tmp_path / "conntide-exporter.args"]
    for note in notes:
        note.with_suffix("").write_text(NOTE, encoding="ascii")
        note.with_suffix("").chmod(0o755)
    with subprocess.Popen([program, *before, "run", *after, "--audit-rate", "1",
                           "--web.max-series=1"], env=dict(os.environ, PATH="/usr/bin:/bin")) as run:
        while not all(note.exists() and note.read_text().splitlines()[-1:] in
                      (["1"], ["--web.max-series=1"]) for note in notes):
            assert run.poll() is None
        run.terminate()
        assert run.wait(60) == 0
    for note, own in zip(notes, (["--audit-rate", "1"], ["--web.max-series=1"])):
        text = note.read_text().replace("=blue", "\nblue").replace("=red", "\nred")
        assert text.splitlines()[-2 - len(own):] == ["--netns", "blue", *own], text
