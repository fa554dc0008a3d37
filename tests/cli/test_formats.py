# SPDX-License-Identifier: GPL-2.0-or-later
"""conntide-segment(5) and conntide-trace(5): what they say is enough to read and to write one."""
import os
import pathlib
import re
import struct
import subprocess

import harness

MAN = pathlib.Path(harness.ROOT) / "docs" / "man"
SIZES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q"}


def header_fields():
    """{name: (offset, type)} as the page lists them."""
    text = (MAN / "conntide-segment.5").read_text(encoding="utf-8")
    found = re.findall(r"^(\d+) +(\S+) +(\w+)", text.split(".EX\n")[1].split(".EE")[0], re.M)
    return {name: (int(offset), kind) for offset, kind, name in found}


def test_the_page_agrees_with_the_layout():
    frozen = dict(re.findall(r"^shm_header (\w+) (\d+)$",
                             (pathlib.Path(harness.ROOT) / "tests" / "lint" / "layout.golden")
                             .read_text(encoding="utf-8"), re.M))
    fields = header_fields()
    assert len(fields) == 17
    for name, (offset, _) in fields.items():
        assert int(frozen[name]) == offset, name


def test_a_segment_is_read_as_the_page_says(tmp_path):
    with open(harness.SMALL, encoding="ascii") as file:
        made = harness.Segment(str(tmp_path), file.read())
    data = pathlib.Path(made.path).read_bytes()
    fields = header_fields()

    def field(name):
        offset, kind = fields[name]
        if kind.startswith("char"):
            return data[offset:offset + int(kind[5:-1])].split(b"\0")[0].decode()
        return struct.unpack_from("=" + SIZES[kind], data, offset)[0]
    assert data[:8] == b"CONNTIDE" and field("ready") == field("magic")
    assert field("netns_name") == "host" and field("agent_version") == "fixture"
    assert field("agent_pid") == made.process.pid and field("version_major") >= 1
    sections = [struct.unpack_from("=QQII", data, fields["sections"][0] + 24 * i)
                for i in range(field("section_count"))]
    names = re.search(r"In this order: (.*?)\.", (MAN / "conntide-segment.5").read_text(
        encoding="utf-8"), re.S).group(1)
    assert names.startswith("live, cells") and len(sections) == 23
    hosts = os.path.getsize(made.hosts_path)
    assert field("total_bytes") == len(data) + hosts
    offset, size, element, elements = sections[1]
    assert element == 4 and size >= 4 * elements
    cells = memoryview(data)[offset:offset + 4 * elements].cast("I")
    assert sum(count for count in cells if count) == 1239
    assert any(one[0] >= len(data) for one in sections), "hosts are in the other file"
    made.close()


def test_the_trace_of_the_page_is_read():
    text = (MAN / "conntide-trace.5").read_text(encoding="utf-8")
    trace = text.split(".SH EXAMPLE\n.EX\n")[1].split(".EE")[0]
    done = subprocess.run([os.path.join(harness.BUILD, "conntide-replay"), "-"], input=trace,
                          text=True, capture_output=True, check=False)
    assert done.returncode == 0 and not done.stderr, done
    assert "tcp" in done.stdout or "0 entries" in done.stdout, done.stdout
