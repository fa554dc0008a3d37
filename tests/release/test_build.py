# SPDX-License-Identifier: GPL-2.0-or-later
"""The version is never stale and said in one place, and warnings stop us but not packagers."""
import os
import re
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INFO, OTHER = "build/lib/base/build_info.o", "build/lib/base/crc32.o"


def run(*argv, **env):
    drop = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "CI", "WERROR", "SANITIZE", "BUILD", "STAGES")
    clean = {name: value for name, value in os.environ.items() if name not in drop}
    return subprocess.run(argv, check=True, capture_output=True, text=True,
                          env={**clean, **env}).stdout.strip()


def make(tree, *targets, **env):
    return run("make", "-C", str(tree), f"CC={os.environ.get('CC', 'cc')}", *targets, **env)


def git(tree, *words):
    who = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    return run("git", "-C", str(tree), *who, *words)


def says(tree, path=INFO):
    with open(os.path.join(tree, path), "rb") as file:
        return file.read()


@pytest.fixture
def tree(tmp_path):
    """The files of the tree as they are, and no history."""
    to = tmp_path / "tree"
    listed = run("git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "lib", "packaging",
                 "Makefile", "tests/*.mk").split("\n")
    for name in listed:
        if os.path.exists(os.path.join(ROOT, name)):
            os.makedirs(to / os.path.dirname(name), exist_ok=True)
            shutil.copy(os.path.join(ROOT, name), to / name)
    return to


def commit(tree):  # pylint: disable=redefined-outer-name
    git(tree, "add", "-A", ":!build")
    git(tree, "commit", "-q", "--allow-empty", "-m", "x")
    return git(tree, "rev-parse", "--short", "HEAD")


def test_revision_follows_a_commit(tree):  # pylint: disable=redefined-outer-name
    git(tree, "init", "-q")
    first = commit(tree)
    make(tree, INFO, OTHER)
    assert first.encode() in says(tree)
    before = os.stat(tree / OTHER).st_mtime_ns, os.stat(tree / INFO).st_mtime_ns
    make(tree, INFO, OTHER)
    assert (os.stat(tree / OTHER).st_mtime_ns, os.stat(tree / INFO).st_mtime_ns) == before
    second = commit(tree)
    assert second != first
    make(tree, INFO, OTHER)
    assert second.encode() in says(tree) and first.encode() not in says(tree)
    assert os.stat(tree / OTHER).st_mtime_ns == before[0], "all was compiled again"


def test_without_git(tree):  # pylint: disable=redefined-outer-name
    make(tree, INFO)
    assert b"unknown" in says(tree)
    make(tree, INFO, "REVISION=1.2-3")
    assert b"1.2-3" in says(tree)


def test_repository_around_an_archive(tree):  # pylint: disable=redefined-outer-name
    git(tree.parent, "init", "-q")
    git(tree.parent, "commit", "-q", "--allow-empty", "-m", "another project")
    make(tree, INFO)
    assert b"unknown" in says(tree)


@pytest.mark.parametrize("env, stops", [({}, False), ({"WERROR": "1"}, True), ({"CI": "1"}, True),
                                        ({"CI": "1", "WERROR": ""}, False)], ids=str)
def test_warnings(tree, env, stops):  # pylint: disable=redefined-outer-name
    with open(tree / "lib/base/crc32.c", "a", encoding="ascii") as file:
        file.write("\nint unwanted(int unused);\nint unwanted(int unused)\n{\n\treturn 1;\n}\n")
    if stops:
        with pytest.raises(subprocess.CalledProcessError) as wrong:
            make(tree, OTHER, **env)
        assert "unused" in wrong.value.stderr
    else:
        make(tree, OTHER, **env)


def test_version_is_in_one_place():
    """Packages name it, as they must, and agree; nobody else does."""
    version = re.search(r"^VERSION := (\S+)$", read("Makefile"), re.M)[1]
    assert read("packaging/debian/changelog").startswith(f"conntide ({version}-")
    assert f"conntide_version {version}}}" in read("packaging/rpm/conntide.spec")
    found = run("git", "-C", ROOT, "grep", "-lwF", version, "--", "*.c", "*.h", "*.mk", "*.def",
                "docs/man", "Makefile").split()
    assert found == ["Makefile"]


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def test_changelog():
    """Keep a Changelog: what is not released stands first; then versions with their dates."""
    heads = re.findall(r"^## (.*)$", read("CHANGELOG.md"), re.M)
    assert heads[0] == "[Unreleased]"
    for head in heads[1:]:
        assert re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", head), head
    groups = set(re.findall(r"^### (.*)$", read("CHANGELOG.md"), re.M))
    assert groups and groups <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
