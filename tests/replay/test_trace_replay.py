# SPDX-License-Identifier: GPL-2.0-or-later
"""conntide-replay: what it says of traces, good and bad."""
import json
import os
import random
import subprocess

import pytest
import recording

PROGRAMS = pytest.mark.parametrize("program", [
    os.path.join(recording.BUILD, "conntide-replay"),
    os.path.join(recording.BUILD, "asan", "conntide-replay")], ids=["plain", "asan"])

HEAD = "#meta,version=1,max=100,buckets=64,day_s=86400,horizon=3600\n"
ENTRY = "tcp,10.0.0.1,10.0.0.2,40000,443"
GOOD = HEAD + f"""0,SYSCTL,tcp_timeout_close,10
0,DUMP,1,{ENTRY},ESTABLISHED,1,432000
0,DUMP,2,udp,fd00::1,fd00::2,5000,53,REPLIED,0,29
0,STAT,2,100,0,0
5000000,NEW,3,icmp,10.0.0.1,10.0.0.2,7,2048,UNREPLIED,0,30
900000000,UPDATE,1,{ENTRY},TIME_WAIT,1,120
950000000,DESTROY,2,udp,fd00::1,fd00::2,5000,53,REPLIED,0,0
1000000000,STAT,2,100,0,0
1000000000,EVAL,0
2000000000,STAT,3,100,5,6
2000000000,EVAL,17
"""


def run(program, *args, text=GOOD, stdout=subprocess.PIPE):
    if isinstance(text, str):
        text = text.encode()
    done = subprocess.run([program, *args], input=text, stdout=stdout, stderr=subprocess.PIPE,
                          timeout=60, check=False)
    out = done.stdout.decode() if done.stdout is not None else None
    return done.returncode, out, done.stderr.decode()


@PROGRAMS
def test_cells(program):
    status, out, err = run(program, "--cells")
    assert (status, err) == (0, "")
    assert sorted((row["l4proto"], row["direction"], row["port"], row["state"], row["entries"])
                  for row in json.loads(out)) == [
        ("icmp", "forwarded", 0, "unreplied", 1), ("tcp", "forwarded", 443, "TIME_WAIT", 1)]


@PROGRAMS
def test_summary(program):
    status, out, err = run(program, "--json")
    assert (status, err) == (0, "")
    summary = json.loads(out)
    verdict = summary.pop("verdict")
    assert summary == {
        "seconds": 2.0, "dump_lines": 2, "new_lines": 1, "update_lines": 1, "destroy_lines": 1,
        "stat_lines": 3, "eval_lines": 2, "events_lost": 0, "mirror_entries": 2, "entries": 3,
        "entries_peak": 3, "max": 100, "drop": 5, "early_drop": 6, "unknown_entries": 0,
        "refused_entries": 0}
    status, out, err = run(program)
    assert (status, err) == (0, "") and verdict in out
    for part in ("2.0 s", "2 entries at the start", "2 in the mirror at the end",
                 "the kernel counted 3", "room for 100", "5 dropped, 6 early",
                 "the kernel counted 1 more", "tcp port 443", "icmp\n"):
        assert part in out, part


@PROGRAMS
def test_answers(program):
    status, out, err = run(program, "--forecast")
    assert (status, err) == (0, "")
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["k"] for answer in answers] == [0, 17]
    assert list(answers[0]) == ["k", "count", "tte", "p_full", "alarm", "p_drop"]
    status, out, err = run(program, "--forecast", "--words")
    assert all({"verdict", "reasons"} <= set(json.loads(line)) for line in out.splitlines())
    assert run(program, "--forecast") == run(program, "--forecast")


@PROGRAMS
def test_unknown_is_skipped(program):
    """Kinds, columns, timeouts, states and protocols to come; comments; line ends of others."""
    more = (GOOD.replace("\n", "\r\n") + "# a comment\n\n2000000000,FUTURE\n"
            "2000000000,SYSCTL,a_timeout_to_come,5\n"
            "2000000001,NEW,5,a_protocol,1.2.3.4,1.2.3.5,1,2,A_STATE,0,30,more,columns\n"
            "2000000002,LOST,3\n")
    status, out, err = run(program, "--json", text=more)
    assert (status, err) == (0, "")
    assert json.loads(out)["mirror_entries"] == 3
    assert json.loads(out)["events_lost"] == 3
    # The last line may lack its end.
    assert run(program, "--json", text=GOOD[:-1]) == run(program, "--json")


NEXT = GOOD.count("\n") + 1

BAD = {
    "cut in a column": (GOOD + "2000000000,STAT,3,1", NEXT),
    "cut before the kind": (GOOD + "2000000000", NEXT),
    "not a time": (GOOD + "x,EVAL,1\n", NEXT),
    "negative": (GOOD + "-5,EVAL,1\n", NEXT),
    "time runs backwards": (GOOD + "1,EVAL,1\n", NEXT),
    "number with letters": (GOOD + "2000000000,EVAL,1x\n", NEXT),
    "number too large": (GOOD + "2000000000,STAT,99999999999,1,0,0\n", NEXT),
    "port too large": (HEAD + "0,NEW,1,tcp,10.0.0.1,10.0.0.2,70000,443,CLOSE,0,5\n", 2),
    "source address": (HEAD + "0,NEW,1,tcp,10.0.0,10.0.0.2,7,443,CLOSE,0,5\n", 2),
    "two families": (HEAD + "0,DUMP,1,tcp,10.0.0.1,fd00::1,7,443,CLOSE,0,5\n", 2),
    "empty column": (HEAD + "0,NEW,1,tcp,10.0.0.1,10.0.0.2,7,443,,0,5\n", 2),
    "another version": ("#meta,version=2\n" + GOOD, 1),
    "no version": ("#meta,max=5\n" + GOOD, 1),
    "line too long": (GOOD + "2" * 5000 + "\n", NEXT),
    "compressed": (b"\xfd7zXZ\0\0\4\xe6\xd6\xb4\x46\n" * 5, 1),
    "zero bytes": (GOOD.encode() + b"\0\0\0\0\n", NEXT),
}


@PROGRAMS
@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("option", ["--json", "--forecast"])
def test_malformed(program, name, option):
    """One line that names the line; what came before was answered."""
    text, line = BAD[name]
    status, out, err = run(program, option, text=text)
    assert status == 1
    assert err.startswith(f"conntide-replay: -: line {line}: ") and err.count("\n") == 1, err
    assert len(out.splitlines()) == (2 if option == "--forecast" and line == NEXT else 0)


@PROGRAMS
def test_files(program, tmp_path):
    empty = tmp_path / "empty"
    empty.touch()
    for path, what in ((empty, "empty"), (tmp_path / "none", "No such file"),
                       (tmp_path, "Is a directory")):
        status, out, err = run(program, str(path))
        assert (status, out) == (1, "")
        assert err.startswith(f"conntide-replay: {path}: ") and what in err, err
    with open("/dev/full", "wb") as full:
        for option in ("--forecast", "--cells", "--json", "--words"):
            status, _, err = run(program, option, stdout=full)
            assert status == 1 and "standard output: No space left on device" in err, option


@PROGRAMS
@pytest.mark.parametrize("argv", [["--nonsense"], ["--cells", "--json"],
                                  ["--forecast", "--cells"], ["one", "two"]])
def test_wrong_usage(program, argv):
    status, out, err = run(program, *argv)
    assert (status, out) == (2, "") and err.count("\n") == 1 and "--help" in err


@PROGRAMS
def test_damaged_traces(program):
    """Whatever is in it: the end, or a line that is named."""
    seed = int(os.environ.get("SEED", "1"))
    print("SEED", seed)
    draw = random.Random(seed)
    ends = set()
    for _ in range(200):
        data = bytearray(GOOD.encode())
        for _ in range(draw.randrange(1, 6)):
            at = draw.randrange(len(data))
            if draw.random() < 0.3:
                del data[at:at + draw.randrange(1, 9)]
            else:
                data[at] = draw.choice(b"0123456789,\n:.#ADENPST\0\xff-")
        status, _, err = run(program, "--words", text=bytes(data))
        assert status in (0, 1), err
        assert "Sanitizer" not in err and "runtime error" not in err, err
        assert status == 0 or err.startswith("conntide-replay: -: line "), err
        ends.add(status)
    assert ends == {0, 1}


@PROGRAMS
def test_a_dump_line_in_every_place(program):
    """Once at each place, with every other line doubled: never below zero, never a crash."""
    lines = GOOD.splitlines(keepends=True)
    for at in range(1, len(lines)):
        when = lines[at - 1].split(",")[0] if at > 1 else "0"
        for entry in (f"1,{ENTRY},CLOSE,0,5", f"9,{ENTRY},CLOSE,0,5",
                      "4,udp,10.9.9.9,10.9.9.8,1,2,UNREPLIED,0,5"):
            text = "".join(lines[:at]) + f"{when},DUMP,{entry}\n" * 2 + "".join(
                line * 2 for line in lines[at:])
            status, out, err = run(program, "--cells", text=text)
            assert (status, err) == (0, "")
            assert 1 <= sum(row["entries"] for row in json.loads(out)) <= 4
