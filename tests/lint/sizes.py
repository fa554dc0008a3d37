# SPDX-License-Identifier: GPL-2.0-or-later
"""Files over 500 lines are asked what their second job is. A function of the product has at
most 60 lines, or a comment with "Long: WHY" before it; one of the tests 100. More than six
parameters are a struct. And each file says under which licence it stands, each header what it
is for."""
import re
import warnings

import source

SOURCES = list(source.files("lib", "agent", "exporters"))
TESTS = list(source.files("tests"))

FILE_MOST, FILE_ASKED, FUNCTION_MOST, TEST_FUNCTION_MOST, PARAMETERS_MOST = 800, 500, 60, 100, 6

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


# Signatures that a library wants, by the type it has for them.
GIVEN = {"on_request": "MHD_AccessHandlerCallback"}


def functions(text):
    """(name, lines, reason) of each function: in this style a body begins and ends in the first
    column. A reason is what follows "Long:" in the comment before the function."""
    raw = text.split("\n")
    name, start, head = "?", None, 0
    for number, line in enumerate(source.blank_comments(text).split("\n")):
        called = re.match(r"[a-z_].*?(\w+)\s*\(", line)
        if start is None and called:
            name = called[1]
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            reason = re.search(r"\bLong: *(\w[^*]*)", "\n".join(raw[head:start]))
            yield name, number - start - 1, reason and reason[1].strip()
            start, head = None, number + 1
        elif line.startswith("}") and start is None:
            head = number + 1


def parameters(text):
    """(name, count) of each function that is declared or defined."""
    starts = r"^(?!typedef\b|#)[a-z_][\w \*\n\t]*?\b(\w+)\("
    code = source.blank_comments(text)
    for match in re.finditer(starts, code, re.M):
        depth, commas, at = 1, 0, match.end()
        while depth and at < len(code) and code[at] not in ";{":
            depth += (code[at] == "(") - (code[at] == ")")
            commas += code[at] == "," and depth == 1
            at += 1
        if not depth:
            inside = code[match.end():at - 1].strip()
            yield match[1], 0 if inside in ("", "void") else commas + 1


def too_long(path, text):
    most = FUNCTION_MOST if path in SOURCES else TEST_FUNCTION_MOST
    return [f"{path}: {name}() has {lines} lines: divide it, or say \"Long: WHY\" before it"
            for name, lines, reason in functions(text)
            if lines > most and (not reason or path not in SOURCES)]


def too_many_parameters(path, text):
    return [f"{path}: {name}() has {count} parameters: take a struct"
            for name, count in parameters(text) if count > PARAMETERS_MOST and name not in GIVEN]


def test_functions():
    wrong = [line for path in SOURCES + TESTS
             for line in too_long(path, source.read(path))]
    assert not wrong, "\n".join(wrong)


def test_parameters():
    wrong = [line for path in SOURCES
             for line in too_many_parameters(path, source.read(path))]
    assert not wrong, "\n".join(wrong)


def made(lines, comment="", parameters="void"):  # pylint: disable=redefined-outer-name
    return (f"struct before {{\n\tint x;\n}};\n\n{comment}static int "
            f"made({parameters})\n{{\n" + "\tstep();\n" * lines + "}\n")


def test_long_functions_are_found():
    """A lint that sees nothing would pass for ever."""
    path = "lib/mirror/flow_table.c"
    assert path in SOURCES
    found = {name: lines for name, lines, _ in functions(source.read(path))}
    assert found["flow_insert"] > 10
    assert not too_long(path, made(60))
    assert "made() has 61 lines" in too_long(path, made(61))[0]
    assert too_long(path, made(61, "/* What it does. */\n"))
    assert too_long(path, made(61, "/* Long: */\n"))
    assert not too_long(path, made(61, "/* Long: one table, a row a metric. */\n"))
    assert not too_long(path, made(61, "/*\n * What it does.\n * Long: one table.\n */\n"))
    # The reason of one is not that of the next.
    assert too_long(path, made(61, "/* Long: one table. */\n") + made(61))
    assert not too_long("tests/unit/made.c", made(100))
    assert too_long("tests/unit/made.c", made(101, "/* Long: no excuse in tests */\n"))


def test_parameters_are_counted():
    six = "int a, const char *b, struct x *c, int (*d)(int, int), char e[2],\n\t\tint f"
    path = "lib/mirror/flow_table.c"
    assert dict(parameters(made(1, "", six)))["made"] == 6
    assert dict(parameters(made(1)))["made"] == 0
    assert not too_many_parameters(path, made(1, "", six))
    assert "7 parameters" in too_many_parameters(path, made(1, "", six + ", int g"))[0]
    assert too_many_parameters(path, f"int\nmade({six}, int g);\n"), "a declaration"
    assert not too_many_parameters(path, "/* " + f"int made({six}, int g);" + " */\n")
    assert not too_many_parameters(path, made(1).replace("step()", "step(1, 2, 3, 4, 5, 6, 7)"))
    found = dict(parameters(source.read("agent/record/feed.c")))
    assert found["recorder_answer"] == 6


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
