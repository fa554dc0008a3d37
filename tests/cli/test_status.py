# SPDX-License-Identifier: GPL-2.0-or-later
"""conntide status: the network first, in lines that fit a terminal; the tool when asked."""
import re

ORDER = ["level", "table", "losses", "forecast", "peak", "ports", "quality", "netns"]
TOOL = ["chains", "agent", "mirror", "events"]


def labels(text):
    return [word for word in re.findall(r"^(\w+) {2,}", text, re.M) if word.islower()]


def test_the_network_before_the_tool(nginx):
    nginx.do(*[f"sample seconds {7000 + s} 7000 262144 30 28 0 {100 - s}" for s in range(100)],
             "sample minutes 200000 7000 262144 30 28 0 7200")
    text = nginx.run("status").stdout
    assert labels(text) == ORDER
    assert max(map(len, text.splitlines())) <= 80, text
    assert re.search(r"^peak +last hour: 7099 entries, \S+Z\n +last day: 200000 entries, \S+Z$",
                     text, re.M)
    assert re.search(r"^ports +tcp/80 inbound \(http\) +3752, 50 %: TIME_WAIT 3750",
                     text, re.M)
    assert len(re.findall(r"^ {12}(?:tcp|udp)/", text, re.M)) == 2, "the top three"
    told = nginx.run("status", "--verbose").stdout
    assert labels(told.split("\n\n")[0]) == ORDER + TOOL and "PROTO" in told


def test_losses_per_second(nginx):
    nginx.do("live dropped_milli_per_s 2500", "live evicted_milli_per_s 41000",
             "live stat_drop 17")
    text = nginx.run("status").stdout
    assert re.search(r"^losses +dropped 2\.5/s, evicted 41/s\n +since boot: dropped 17, ", text, re.M)


def test_one_peak_is_said_once(nginx):
    nginx.do("sample seconds 9000 7000 262144 30 28 0 5",
             "sample minutes 8000 7000 262144 30 28 0 60")
    text = nginx.run("status").stdout
    assert re.search(r"^peak +last hour and day: 9000 entries", text, re.M)
    assert "8000" not in text
