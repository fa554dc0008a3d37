# SPDX-License-Identifier: GPL-2.0-or-later
"""Files over 500 lines and functions over 100 are asked what their second job is. And each
file says under which licence it stands, each header what it is for."""
import re
import warnings

import source

SOURCES = list(source.files("lib", "agent", "exporters"))
TESTS = list(source.files("tests"))

FILE_MOST, FILE_ASKED, FUNCTION_MOST = 800, 500, 100

# Over 500 lines, and why that is one job.
ASKED = {
    "exporters/http/server.c": "all that libmicrohttpd is told, which enters through one file",
    "tests/unit/advice_patterns.c": "each pattern beside its healthy neighbour",
    "tests/unit/advice_whatif.c": "one model, and what it refuses",
    "tests/unit/test_tracker.c": "a case for each rule",
    "tests/unit/test_incident_file.c": "one format, and each way in which it can be wrong",
    "tests/unit/test_segment.c": "writer and reader of one file",
    "tests/unit/test_parser.c": "one parser",
    "tests/unit/test_resync_model.c": "one model",
}


def test_files():
    for path in SOURCES + TESTS:
        lines = source.read(path).count("\n")
        assert lines <= FILE_MOST, f"{path} has {lines} lines"
        if lines > FILE_ASKED and path not in ASKED:
            warnings.warn(f"{path} has {lines} lines: what is its second job?")


def functions(path):
    """(name, lines): in this style a body begins and ends in the first column."""
    name, start = "?", None
    for number, line in enumerate(source.code(path).split("\n")):
        called = re.match(r"[a-z_].*?(\w+)\s*\(", line)
        if start is None and called:
            name = called[1]
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            yield name, number - start - 1
            start = None


def test_functions():
    wrong = [f"{path}: {name}() has {lines} lines"
             for path in SOURCES + TESTS for name, lines in functions(path)
             if lines > FUNCTION_MOST]
    assert not wrong, "\n".join(wrong)


def test_functions_are_found():
    """A lint that sees nothing would pass for ever."""
    assert dict(functions("lib/mirror/flow_table.c"))["flow_insert"] > 10


def test_licence_lines():
    wrong = []
    for path in source.files("lib", "agent", "exporters", "tests", "tools", "dashboards", "docs",
                             "packaging", suffixes=(".c", ".h", ".py", ".mk")):
        if "SPDX-License-Identifier: GPL-2.0-or-later" not in "".join(
                source.read(path).splitlines(True)[:2]):
            wrong.append(path)
    assert not wrong, "\n".join(wrong)


def test_headers_explain_themselves():
    """After the licence a comment, before anything else."""
    wrong = [path for path in source.files("lib", "agent", "exporters", suffixes=(".h", ".def"))
             if not re.match(r"// SPDX[^\n]*\n/\*\s*\S", source.read(path))]
    assert not wrong, "\n".join(wrong)


def test_include_guards():
    for path in source.files("lib", "agent", "exporters", "tests", suffixes=(".h",)):
        guard = re.search(r"#ifndef (\w+)\n#define (\w+)\n", source.read(path))
        assert guard and guard[1] == guard[2], path
        assert guard[1].startswith("CONNTIDE_") and guard[1].endswith("_H"), path
