# SPDX-License-Identifier: GPL-2.0-or-later
"""Every metric that is named anywhere stands in lib/shm/metrics.def, and the reverse."""
import os
import re

import source

# Not paths and files, not recording rules (level:metric:operation), not "conntide_http_*".
NAME = re.compile(r"(?<![\w/.:-])((?:conntide|node_nf_conntrack|nf_conntrack)_[a-z0-9_]*[a-z0-9])"
                  r"\b(?!:|[/(.-]\w|_)")
SUFFIXES = ("_bucket", "_sum", "_count")

# Names of the kernel's or of programs that look like metrics and are none.
OTHERS = {"nf_conntrack_buckets", "nf_conntrack_events", "nf_conntrack_expect_max", "nf_conntrack_netlink",
          "nf_conntrack_acct", "nf_conntrack_timestamp"}


def families():
    return dict(re.findall(r'FAMILY\(\w+,\s*"(\w+)",\s*(\w+),', source.read("lib/shm/metrics.def")))


def known(name, table):
    if name in table or name in OTHERS:
        return True
    for suffix in SUFFIXES:
        if name.endswith(suffix) and table.get(name[:-len(suffix)]) == "HISTOGRAM":
            return True
    return False


def texts():
    return source.files("dashboards", "docs", suffixes=(".json", ".yml", ".py", ".md", ".1", ".5",
                                                        ".7", ".8"))


def test_names_in_texts_are_metrics():
    table = families()
    wrong = sorted({f"{path}: {name}" for path in texts() for name in NAME.findall(source.read(path))
                    if not known(name, table)})
    assert not wrong, "\n".join(wrong)


def test_every_metric_is_documented():
    path = os.path.join("docs", "metrics.md")
    if not os.path.exists(os.path.join(source.ROOT, path)):
        return
    text = source.read(path)
    assert not [name for name in families() if name not in text]


def test_golden_files_name_metrics():
    table = families()
    folder = os.path.join("tests", "golden")
    wrong = set()
    for path in source.files(folder, suffixes=(".prom", ".openmetrics")):
        for name in re.findall(r"^([a-z_]\w*)[{ ]", source.read(path), re.M):
            if not known(name, table):
                wrong.add(f"{path}: {name}")
    assert not wrong, "\n".join(sorted(wrong))


def test_names_and_types():
    """Counters end in _total and nothing else does; node_exporter's names are its own."""
    for name, kind in families().items():
        if name.startswith("node_"):
            continue
        assert name.endswith("_total") == (kind == "COUNTER"), name
        assert not name.endswith(SUFFIXES) or name == "nf_conntrack_count", name


def test_fields_are_unique():
    fields = re.findall(r"^(?:FIELD|VALUE)\((\w+),", source.read("lib/shm/metrics.def"), re.M)
    assert len(fields) == len(set(fields)) and len(fields) > 40
