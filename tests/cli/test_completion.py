# SPDX-License-Identifier: GPL-2.0-or-later
"""The completions, asked in the shells themselves."""
import os
import subprocess

import pytest
from harness import BUILD, ROOT

FILES = os.path.join(ROOT, "packaging", "completion")
PATH = BUILD + ":/usr/bin:/bin"

BASH = """
source "$1"
COMP_WORDS=("${@:2}") COMP_CWORD=$(($# - 2))
_conntide
printf '%s\\n' "${COMPREPLY[@]}"
"""


def shell(*argv, **environment):
    done = subprocess.run(argv, text=True, capture_output=True, check=False, timeout=60,
                          stdin=subprocess.DEVNULL, env={"PATH": PATH, **environment})
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout.split("\n")


def bash(*words):
    return shell("bash", "-c", BASH, "bash", os.path.join(FILES, "conntide.bash"), *words)


@pytest.mark.parametrize("words, there, missing", [
    (["conntide", ""], {"status", "ports", "help", "--version"}, {"--json"}),
    (["conntide", "st"], {"status"}, {"ports"}),
    (["conntide", "--netns", "blue", "po"], {"ports"}, {"blue"}),
    (["conntide", "ports", "--"], {"--format", "--port", "--help"}, {"--stage", "--src"}),
    (["conntide", "ports", "TIME"], {"TIME_WAIT"}, {"tcp"}),
    (["conntide", "ports", "--format", ""], {"csv", "ndjson"}, {"--json"}),
    (["conntide", "ports", "--format", "=", "c"], {"csv"}, {"json"}),
    (["conntide", "incidents", "--stage", ""], {"high", "recovered"}, {"--json"}),
    (["conntide", "help", "fo"], {"forecast"}, {"status"}),
    (["conntide", "completion", ""], {"bash", "zsh", "fish"}, {"man"}),
    (["conntide", "replay", "--f"], {"--forecast"}, {"--words"}),
    (["conntide", "whatif", "not"], {"notrack="}, set()),
], ids=str)
def test_bash(words, there, missing):
    offered = set(bash(*words))
    assert there <= offered and not missing & offered, offered


@pytest.mark.parametrize("line, there, missing", [
    ("conntide ", {"status", "ports", "help"}, {"--json"}),
    ("conntide ports --f", {"--format"}, {"--stage"}),
    ("conntide ports TIME", {"TIME_WAIT"}, {"udp"}),
    ("conntide ports --format ", {"csv", "ndjson"}, {"--json"}),
    ("conntide replay --f", {"--forecast"}, set()),
    ("conntide help fo", {"forecast"}, {"status"}),
], ids=str)
def test_fish(tmp_path, line, there, missing):
    offered = {one.split("\t")[0] for one in shell(
        "fish", "--no-config", "-c", f"source {FILES}/conntide.fish; complete -C '{line}'",
        HOME=str(tmp_path))}
    assert there <= offered and not missing & offered, offered


ZSH = """
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1=""; fpath=('"$1"' $fpath); autoload -Uz compinit; compinit -u -d '"$2"'/dump'
zpty -w z 'bindkey "^I" complete-word; zstyle ":completion:*" list-prompt ""; LISTMAX=0'
zpty -w z 'echo re""ady'
zpty -r z line '*ready*'
zpty -n -w z "$3"$'\\t'
zpty -r -m z line "*$4*" && print -r -- found
zpty -d z
"""


@pytest.mark.parametrize("line, there", [
    ("conntide por", "ports"), ("conntide ports --form", "format"),
    ("conntide ports TIME_", "TIME_WAIT"), ("conntide ports --format nd", "ndjson"),
    ("conntide incidents --stage reco", "recovered"), ("conntide help forec", "forecast"),
    ("conntide replay --fore", "--forecast"),
], ids=str)
def test_zsh(tmp_path, line, there):
    assert "found" in shell("zsh", "-f", "-c", ZSH, "zsh", FILES, str(tmp_path), line, there,
                            HOME=str(tmp_path), TERM="dumb")


def test_zsh_syntax():
    shell("zsh", "-n", os.path.join(FILES, "_conntide"))
