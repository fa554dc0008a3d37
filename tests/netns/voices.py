# SPDX-License-Identifier: GPL-2.0-or-later
"""What every voice says at one moment, and whether they contradict each other.

A voice is whatever conntide says something with: each address of the HTTP API that
openapi.json lists, as JSON and as text, /metrics in both formats, the page, and each
command that --help lists. Claims are taken from them by their shape, not by their place, so
that a voice nobody thought of is heard, too.

The agent is stopped (SIGSTOP) while they are asked: what is published stands still, and the
claims must be equal, not about equal.
"""
import collections
import json
import os
import re
import signal
import subprocess
import time

import agent as agent_module
from harness import parse_metrics

LEVELS = ["UNKNOWN", "OK", "HIGH", "CRITICAL", "FULL"]
CHECK_WORDS = {"UNKNOWN": "UNKNOWN", "OK": "OK", "HIGH": "WARNING", "CRITICAL": "CRITICAL",
               "FULL": "CRITICAL"}
# Need no agent, or run until they are stopped; check has exit statuses of its own, see _check().
NOT_ASKED = {"check", "top", "incidents", "explain", "record", "replay", "run", "demo", "flow", "completion",
             "help"}
# Past forecasts, the past, and what is served of addresses.
NO_VOICE = ("/api/v1/openapi.json", "/api/v1/incidents", "/api/v1/forecast/history",
            "/api/v1/history/", "{")
OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}
RULES = os.path.join(agent_module.ROOT, "dashboards", "rules.yml")
STILL_SECONDS = 2  # of the three for which a number may be called exact

Claim = collections.namedtuple("Claim", "kind value voice")


def commands():
    """Those that --help lists, but for NOT_ASKED."""
    done = subprocess.run([agent_module.CLI, "--help"], text=True, check=True,
                          stdout=subprocess.PIPE)
    block = done.stdout.split("Commands:\n")[1].split("\n\n")[0]
    names = re.findall(r"(?m)^  ([a-z]+) ", block)
    assert "status" in names and "whatif" in names
    return [name for name in names if name not in NOT_ASKED]


def addresses(exporter):
    """What openapi.json lists, but for NO_VOICE and what is for those who may see hosts."""
    paths = exporter.get("/api/v1/openapi.json").json()["paths"]
    found = [path for path in paths if path.startswith("/api/v1/") and
             not any(part in path for part in NO_VOICE)]
    found = [path for path in found if exporter.get(path).status != 403]
    assert "/api/v1/status" in found and "/api/v1/whatif" in found
    return found


def from_json(voice, value):
    """Members of the outermost object and of those in it that are not in a list."""
    for name, member in value.items() if isinstance(value, dict) else ():
        if name == "level":
            yield Claim("level", member, voice)
        elif name in ("settles_at_entries", "quality", "entries", "rehearsal"):
            yield Claim(name, member, voice)
        elif name == "max":
            yield Claim("limit", member, voice)
        elif name == "limit" and isinstance(member, dict):
            yield Claim("limit", member["entries"], voice)
        elif name in ("forecast", "status") and isinstance(member, dict):
            yield from from_json(voice, member)
        elif name in ("verdict", "verdict_code", "level_reason_code"):
            yield Claim(name, member, voice)


def from_text(voice, text):
    """Sentences for people; headings in capitals are not about the level."""
    lines = [line for line in text.splitlines() if re.search("[a-z]", line)]
    for line in lines:
        for level in re.findall(r"\b(UNKNOWN|OK|HIGH|CRITICAL|FULL)\b[:,<]", line):
            yield Claim("level", level, voice)
        for number in re.findall(r"settles (?:at )?(\d+) entries(?! lower)", line):
            yield Claim("settles_at_entries", int(number), voice)
        if re.search(r"cannot say where it settles|does not settle below", line):
            yield Claim("settles_at_entries", None, voice)
        for entries, limit in re.findall(
                r"(\d+) of (\d+) entries(?: \([^)]*\))?(?:, [\d.]+ % full| are in use)", line):
            yield Claim("entries", int(entries), voice)
            yield Claim("limit", int(limit), voice)
        for word in re.findall(r"quality:? +(exact|verified|not exact)", line):
            yield Claim("quality", word.replace(" ", "_"), voice)
    yield Claim("rehearsal", "REHEARSAL" in "\n".join(text.splitlines()[:1]), voice)


def from_page(voice, text):
    main = text.split("<main>")[1]
    yield from from_text(voice + " title", re.search("<title>(.*?)</title>", text).group(1))
    for level in re.findall(r'class="level (\w+)">(\w+)<', main):
        assert level[0] == level[1]
        yield Claim("level", level[0], voice)
    plain = re.sub("<[^>]+>", "\n", main)
    for claim in from_text(voice, plain):
        if claim.kind not in ("rehearsal", "level"):
            yield claim
    quality = re.search(r"<dt>Quality</dt><dd[^>]*>(exact|verified|not exact)", main)
    yield Claim("quality", quality.group(1).replace(" ", "_"), voice)


def from_metrics(voice, text):
    samples = parse_metrics(text)

    def one(name, label):
        on = [dict(labels)[label] for (have, labels), value in samples.items()
              if have == name and value == 1]
        assert len(on) == 1, f"{voice}: {name}: {on}"
        return on[0]
    yield Claim("level", one("conntide_level", "level"), voice)
    yield Claim("level_reason_code", one("conntide_level_reason", "reason"), voice)
    yield Claim("quality", one("conntide_quality", "quality"), voice)
    plain = {name: value for (name, _), value in samples.items()}
    yield Claim("settles_at_entries", plain.get("conntide_forecast_settles_at_entries"), voice)
    yield Claim("entries", plain["nf_conntrack_count"], voice)
    yield Claim("limit", plain["nf_conntrack_max"], voice)
    yield Claim("limit", plain["conntide_limit_entries"], voice)
    yield Claim("rehearsal", plain["conntide_rehearsal"] == 1, voice)
    yield from alerts(voice, samples)


def alerts(voice, samples):
    """Which of the rules about level and quality would fire: that is a claim, too."""
    with open(RULES, encoding="utf-8") as file:
        rules = file.read()
    found = re.findall(r'conntide_(level|quality)\{\w+=~?"([\w|]+)"\}\) == 1', rules)
    assert len(found) >= 3, found
    for name, values in found:
        for (have, labels), value in samples.items():
            if have == f"conntide_{name}" and value == 1:
                yield Claim("alert", (name, values, dict(labels)[name] in values.split("|")), voice)


class Voices:
    """Of one agent and its exporter."""

    def __init__(self, agent, exporter):
        self.agent = agent
        self.exporter = exporter
        self.commands = commands()
        self.addresses = addresses(exporter)
        self.samples = 0

    def _http(self):
        for path in self.addresses:
            for fmt in ("json", "text"):
                reply = self.exporter.get(f"{path}?format={fmt}")
                assert reply.status == 200, (path, reply.text)
                voice = f"GET {path}?format={fmt}"
                yield Claim("level", reply.headers["Conntide-Level"], voice + " header")
                yield Claim("quality", reply.headers["Conntide-Quality"], voice + " header")
                yield Claim("rehearsal", "Conntide-Rehearsal" in reply.headers, voice + " header")
                if fmt == "json":
                    yield from from_json(voice, reply.json())
                else:
                    yield from from_text(voice, reply.text)
        for headers in ({}, OPENMETRICS):
            yield from from_metrics(f"GET /metrics {headers}",
                                    self.exporter.get("/metrics", headers).text)
        yield from from_page("GET /", self.exporter.get("/").text)

    def _cli(self):
        for command in self.commands:
            for argv in ([], ["--json"]):
                done = agent_module.cli(self.agent.runtime, command, *argv)
                voice = " ".join([command, *argv])
                yield Claim("exit status", done.returncode, voice)
                if argv:
                    yield from from_json(voice, json.loads(done.stdout))
                else:
                    yield from from_text(voice, done.stdout)
        done = agent_module.cli(self.agent.runtime, "top", "--batch")
        yield Claim("exit status", done.returncode, "top --batch")
        yield from from_text("top --batch", done.stdout)

    def _check(self):
        """What a monitoring system is told: the same, and a word that follows the level."""
        done = agent_module.cli(self.agent.runtime, "check")
        word = re.match("(OK|WARNING|CRITICAL|UNKNOWN) - ", done.stdout).group(1)
        assert ["OK", "WARNING", "CRITICAL", "UNKNOWN"][done.returncode] == word, done
        yield from from_text("check", done.stdout.partition(" - ")[2])
        told = json.loads(agent_module.cli(self.agent.runtime, "check", "--json").stdout)
        assert told["check"] == word == CHECK_WORDS[told["level"]], (word, told)
        yield from from_json("check --json", told)

    def hear(self):
        """All claims of one moment; None when it took too long to be one."""
        self.agent.signal(signal.SIGSTOP)
        try:
            time.sleep(0.2)  # the exporter keeps a snapshot for a tenth of a second
            began = time.monotonic()
            claims = [*self._http(), *self._cli(), *self._check()]
            took = time.monotonic() - began
        except (AssertionError, KeyError, ValueError):
            # In the middle of a write: nobody can read until it goes on.
            if agent_module.cli(self.agent.runtime, "status").returncode == 0:
                raise
            return None
        finally:
            self.agent.signal(signal.SIGCONT)
        return claims if took < STILL_SECONDS * agent_module.patience() else None

    def check(self):
        """One moment: no contradiction. The status, or None when nothing was to be heard."""
        claims = self.hear()
        if claims is None:
            return None
        said = agree(claims)
        sensible(said)
        self.samples += 1
        return said


def agree(claims):
    """One value for each kind of claim; fails at the first contradiction."""
    said = {}
    for claim in claims:
        kind = claim.kind if claim.kind != "alert" else (claim.kind, *claim.value[:2])
        value = claim.value if claim.kind != "alert" else claim.value[2]
        first = said.setdefault(kind, Claim(kind, value, claim.voice))
        assert first.value == value, \
            f"{kind}: {claim.voice} says {value!r}, {first.voice} says {first.value!r}"
    return {kind: claim.value for kind, claim in said.items()}


def sensible(said):
    """What is said of one thing must fit what is said of another."""
    level = LEVELS.index(said["level"])
    verdict, settles = said["verdict_code"], said["settles_at_entries"]
    assert said["exit status"] == 0
    assert verdict != "filling" or level >= LEVELS.index("HIGH"), said
    assert verdict != "full" or level == LEVELS.index("FULL"), said
    assert level < LEVELS.index("FULL") or verdict != "filling", said
    if verdict in ("watching", "unknown"):
        assert settles is None and said["verdict"].startswith("cannot say"), said
    if settles is not None and verdict in ("draining", "levels-off", "steady"):
        # What waits for the collector is no part of where it settles.
        slack = 20 + 0.2 * said["entries"]
        assert verdict != "draining" or settles < said["entries"] + slack, said
        assert verdict != "levels-off" or settles > said["entries"] - slack, said
        share = re.search(r"([\d.]+) %", said["verdict"])
        assert abs(float(share.group(1)) - 100 * settles / said["limit"]) <= 0.51, said
    for kind, value in said.items():
        if isinstance(kind, tuple):
            assert value == (said[kind[1]] in kind[2].split("|")), (kind, said)


def check_silent(agent, exporter):
    """The agent does not run: every voice says so before any number, or says nothing else."""
    for command in commands():
        for argv in ([], ["--json"], ["--format", "csv"]):
            done = agent_module.cli(agent.runtime, command, *argv)
            if done.returncode == 2:
                continue  # it has no such format
            assert done.returncode == 3, (command, argv, done)
            if argv == ["--json"]:
                told = json.loads(done.stdout)
                assert told["agent_up"] is False and told["level"] == "UNKNOWN", (command, told)
            elif argv:
                assert not done.stdout, (command, argv)
            else:
                first = re.sub(r"^REHEARSAL.*\n", "", done.stdout)
                assert first.startswith("NO CURRENT NUMBERS: "), (command, done.stdout)
            assert "nothing to do" not in done.stdout and "nothing is lost" not in done.stdout
    done = agent_module.cli(agent.runtime, "check")
    assert done.returncode == 3 and done.stdout.startswith("UNKNOWN - "), done
    assert "no current numbers" in done.stdout and "|" not in done.stdout, done
    done = agent_module.cli(agent.runtime, "top", "--batch")
    assert done.returncode == 3, done
    assert re.match(r"(REHEARSAL: .*\n)?NO CURRENT NUMBERS: ", done.stdout), done
    for path in addresses(exporter):
        reply = exporter.get(path)
        if reply.status == 200:
            assert reply.json()["level"] == "UNKNOWN" and reply.json()["agent_up"] is False, path
        else:
            assert reply.status == 503, path
    samples = exporter.metrics()
    assert samples[("conntide_level", frozenset({("netns", "host"), ("level", "UNKNOWN")}))] == 1
    assert not [name for name, _ in samples if name.startswith(("nf_", "conntide_forecast_"))]
    page = exporter.get("/").text.split("<main>")[1]
    assert page.index("No current numbers") < re.search(r"\d+ (of \d+ )?entries", page).start()
