# SPDX-License-Identifier: GPL-2.0-or-later
"""What was tried to go below the floor: each way beside the one that is used.

Ways to receive are compared by readers that do nothing else (reader.c), ways to keep
and parse by programs that do nothing else (mirror_speed.c, parse_speed.c).
"""
import lzma
import os
import re
import subprocess
import tempfile

import agent as agent_module
import events
import figures
import lab

MIRROR_SPEED = os.path.join(agent_module.BUILD, "tests", "mirror_speed")
PARSE_SPEED = os.path.join(agent_module.BUILD, "tests", "parse_speed")
FEED = os.path.join(lab.HERE, "lives.feed.xz")


class Plan(events.Plan):
    """Shorter rounds than those of the goals: ways are compared, not costs told."""

    def __init__(self, quick):
        super().__init__(quick)
        self.rounds = 1 if quick else 3
        self.ring = 10000 if quick else 20000
        self.lives = 10000 if quick else 40000
        self.rush_lives = 5000 if quick else 20000
        self.mirrors = (100000,) if quick else (1000000, 4000000)


# Receiving: arguments of reader, and how many of the seven events of a life arrive.
WAYS = {"as used: 128 a call, pause by the rate": ((), 7),
        "pause of 1 ms, always": (("-p", 1000), 7),
        "pause of 10 ms, always": (("-p", 10000), 7),
        "32 a call": (("-n", 32), 7),
        "512 a call": (("-n", 512), 7),
        "room of 512 bytes a message, not 1,024": (("-s", 512), 7),
        "a socket for each group": (("-m",), 7),
        "a filter drops UPDATEs": (("-f",), 2),
        "no subscription to UPDATEs": (("-g", 5), 2)}
# A busy reader costs a whole CPU whatever comes: only what it does to the rate is told.
RUSH_WAYS = {**WAYS, "busy polling, never asleep": None}


def readers(ways, pinned):
    """{way: what makes its reader in a place}"""
    def maker(argv):
        return lambda place: lab.Reader(place, *map(str, argv), pinned=pinned)
    return {way: maker((*told[0], "paced") if told else ("spin",)) for way, told in ways.items()}


def check_received(place, reader, plan, of_each):
    """That it was told what it was to be told, and nothing else; the reader ends."""
    lost, got = place.lost(), reader.messages()
    # The first time round nobody is destroyed.
    want = (plan.ring + plan.lives) * of_each - plan.ring
    assert got + lost == want, f"{got} events received, {lost} lost; {want} expected"


def receive_costs(plan, say):
    """us of CPU for each event that was made: also of those it does not get."""
    def cost(place, reader, way):
        value = events.cost_of_lives(place, reader, plan)
        check_received(place, reader, plan, WAYS[way][1])
        return value
    return lab.in_turn(plan.rounds, readers(WAYS, True), cost, say)


def receive_rushes(plan, say):
    """TCP lives a second."""
    return lab.in_turn(plan.rounds, readers(RUSH_WAYS, False),
                       lambda place, *_: events.rush(place, True, plan), say)


def receive_section(costs, rates):
    used = next(iter(WAYS))
    rows = []
    for way in RUSH_WAYS:
        cost = costs.get(way)
        share = figures.ratios(cost, costs[used]) if cost else None
        rate = figures.ratios(rates[way], rates[used])
        rows.append([way, figures.number(figures.median(cost)) if cost else "a whole CPU",
                     figures.number(figures.median(share)) if share else "",
                     figures.spread(share) if share else "",
                     figures.number(figures.median(rate)), figures.spread(rate)])
    return ("### Tried: ways to receive, TCP lives\n\nEach event that is made counts, also "
            "where it is not delivered. The rate is that of TCP lives with all CPUs busy "
            "making them.\n\n" + figures.table(
                ["", "us an event", "of what is used", "spread", "rate, of what is used",
                 "spread"], rows))


def mirror_ns(entries, *argv):
    text = subprocess.run([MIRROR_SPEED, "-n", str(entries), "-r", "5", *argv], check=True,
                          text=True, stdout=subprocess.PIPE).stdout
    return [float(value) for value in re.findall(r"[\d.]+", text)]


MEMORY_WAYS = {"as used: lines, records and overflow lines fetched before": ("-d", "3"),
               "nothing fetched before": ("-d", "0"),
               "lines fetched before": ("-d", "1"),
               "lines and records": ("-d", "2"),
               "as used, in small pages": ("-d", "3", "-S"),
               "nothing fetched before, in small pages": ("-d", "0", "-S")}


def memory_section(plan, say):
    rows = []
    for way, argv in MEMORY_WAYS.items():
        row = [way]
        for entries in plan.mirrors:
            least, median, most = mirror_ns(entries, *argv)
            say(f"{way}: {entries} entries: {median:.0f} ns")
            row += [figures.number(median), f"{figures.number(least)} to {figures.number(most)}"]
        rows.append(row)
    head = [cell for entries in plan.mirrors for cell in (f"{entries:,} entries, ns", "spread")]
    return ("### Tried: memory of the mirror\n\nUPDATEs of entries chosen at random, parsed "
            "already.\n\n" + figures.table(["", *head], rows))


def parse_section(say):
    with tempfile.NamedTemporaryFile(prefix="conntide-bench-") as file, lzma.open(FEED) as feed:
        file.write(feed.read())
        file.flush()
        text = subprocess.run([PARSE_SPEED, file.name], check=True, text=True,
                              stdout=subprocess.PIPE).stdout
    say(f"parsing: {text.strip()}")
    values = [float(value) for value in re.findall(r"[\d.]+", text)]
    rows = [[name, figures.number(values[at + 1]),
             f"{figures.number(values[at])} to {figures.number(values[at + 2])}"]
            for name, at in (("agent/netlink/parser.c, the keyed hash included", 0),
                             ("nfct_nlmsg_parse() of libnetfilter_conntrack", 3))]
    return "### Tried: parsing an event\n\n" + figures.table(["", "ns", "spread"], rows)


def run(plan, say):
    """(no goals, texts)"""
    say("ways to receive")
    texts = [receive_section(receive_costs(plan, say), receive_rushes(plan, say))]
    say("memory, parsing")
    return [], [*texts, memory_section(plan, say), parse_section(say)]
