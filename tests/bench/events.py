# SPDX-License-Identifier: GPL-2.0-or-later
"""What an event costs whoever listens, and what listening costs the kernel."""
import json
import os
import re
import signal
import subprocess
import tempfile
import time

import figures
import lab


class Plan:
    """How much of everything; the quick one is to find out whether it works at all."""

    def __init__(self, quick):
        self.rounds = 1 if quick else 5
        self.ring = 20000 if quick else 100000
        self.lives = 20000 if quick else 60000
        self.lives_per_s = 12000
        self.flows = 50000 if quick else 300000
        self.flows_per_s = 80000
        self.pause_s = 1 if quick else 4
        self.rush_flows = 50000 if quick else 150000
        self.rush_lives = 10000 if quick else 30000
        self.sizes = (10000, 100000) if quick else (10000, 100000, 1000000, 4000000)


# Cost of an event

LISTENERS = {"receive only (the floor)": lambda place: lab.Reader(place, "paced"),
             "conntide-agent": lab.Conntide,
             "conntrack -E > /dev/null": lab.ConntrackE,
             "ulogd2, NFCT": lab.Ulogd}


def live_traffic(place, plan, lives, rate, ring=None, space=0):
    ring = ring or plan.ring
    return place.flood("-L", "-N", ring, "-M", space or ring, "-D", ring // 8, "-P", 50,
                       "-r", rate, "-n", lives)


def cost_of_lives(place, listener, plan):
    """us of CPU an event: NEW, five UPDATEs and DESTROY of each life alike."""
    live_traffic(place, plan, plan.ring, 0)
    listener.cpu_end()
    return _cost(place, listener, lambda: live_traffic(place, plan, plan.lives, plan.lives_per_s),
                 plan.lives * lab.EVENTS_A_LIFE)


def cost_of_flows(place, listener, plan):
    """us of CPU an event: NEW of UDP, into a mirror that grows."""
    return _cost(place, listener,
                 lambda: place.flood("-P", 50, "-r", plan.flows_per_s, "-n", plan.flows),
                 plan.flows)


MASQUERADE = """
table ip nat {
    chain postrouting { type nat hook postrouting priority srcnat; oifname "sink" masquerade; }
}
"""


def cost_of_translated(place, listener, plan):
    """The same where the watched namespace masquerades every flow: NAT pools count them, too."""
    place.watched.nft(MASQUERADE)
    return cost_of_flows(place, listener, plan)


def _cost(place, listener, traffic, events):
    lost = place.lost()
    listener.cpu_begin()
    traffic()
    seconds = listener.cpu_end()
    return 1e6 * seconds / (events - (place.lost() - lost))


def measure_cost(plan, measure, say):
    """{listener: [us an event, round by round]}"""
    return lab.in_turn(plan.rounds, LISTENERS,
                       lambda place, listener, _: measure(place, listener, plan), say)


def check_events(plan):
    """That the traffic gives the events it is said to give; otherwise no figure is right."""
    with lab.road() as place:
        reader = lab.Reader(place, "paced")
        try:
            reader.ready()
            live_traffic(place, plan, 2 * plan.ring, plan.lives_per_s)
            reader.cpu_end()
            lost, got = place.lost(), reader.messages()
        finally:
            reader.close()
    # The first time round nobody is destroyed.
    want = 2 * plan.ring * lab.EVENTS_A_LIFE - plan.ring
    assert (got, lost) == (want, 0), f"{got} events, {lost} lost; {want} expected"


def measure_growth(plan, say):
    """{entries: [us an event]}: lives here and there in tables of several sizes."""
    result = {}
    for entries in plan.sizes:
        for turn in range(min(3, plan.rounds)):
            with lab.road() as place:
                listener = lab.Conntide(place)
                try:
                    listener.ready()
                    place.flood("-L", "-k", 1, "-N", entries, "-D", 1, "-P", 50, "-r", 150000,
                                "-n", entries)
                    ring = min(plan.ring, entries)
                    # Once round to bring the ring into TIME_WAIT; then it is measured.
                    live_traffic(place, plan, ring, 20000, ring, entries)
                    listener.cpu_end()
                    lives = plan.lives
                    value = _cost(place, listener,
                                  lambda r=ring, e=entries, n=lives: live_traffic(
                                      place, plan, n, plan.lives_per_s, r, e),
                                  lives * lab.EVENTS_A_LIFE)
                    say(f"round {turn + 1}: {entries} entries: {value:.2f} us an event")
                finally:
                    listener.close()
            result.setdefault(entries, []).append(value)
    return result


# The pause between reads

PAUSE_RATES = (1000, 10000, 60000, 150000)


# Less is between the batches of one read: the shortest pause is 1 ms.
PAUSE_LEAST_MS = 0.5


def pauses_ms(path):
    """From the end of each read of events to the next, by the kernel's clock: sleeping, being woken
    and all work in between, but not while there is nothing to read."""
    text = subprocess.run(["perf", "script", "-i", path, "-F", "time,event"], check=True,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    read = waits = None
    waited = 0.0
    for when, edge, call in re.findall(
            r"([\d.]+):\s+syscalls:sys_(enter|exit)_(recvmmsg|epoll_p?wait)", text):
        now = 1e3 * float(when)
        if call != "recvmmsg":
            waited += now - waits if edge == "exit" and waits is not None else 0.0
            waits = now if edge == "enter" else None
        elif edge == "exit":
            read, waited = now, 0.0
        elif read is not None and now - read - waited >= PAUSE_LEAST_MS:
            yield now - read - waited


PAUSE_CALLS = ("recvmmsg", "epoll_wait" if os.uname().machine == "x86_64" else "epoll_pwait")


def measure_pauses(plan, say):
    """{events a second: [ms]}; {} without perf's tracepoints."""
    traced = [arg for call in PAUSE_CALLS for edge in ("enter", "exit")
              for arg in ("-e", f"syscalls:sys_{edge}_{call}")]
    result = {}
    for rate in PAUSE_RATES:
        with lab.road() as place, tempfile.TemporaryDirectory(prefix="conntide-bench-") as scratch:
            path = os.path.join(scratch, "perf.data")
            agent = lab.Conntide(place)
            try:
                agent.ready()
                with subprocess.Popen(
                        ["perf", "record", "-q", *traced, "-o", path, "-t",
                         str(agent.process.pid)], stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL) as perf:
                    time.sleep(0.5)
                    place.flood("-P", 50, "-r", rate, "-n", rate * plan.pause_s)
                    perf.send_signal(signal.SIGINT)
                found = sorted(pauses_ms(path)) if perf.wait() in (0, -2, 130) else []
            finally:
                agent.close()
        if not found:
            say("pauses: perf cannot trace system calls here")
            return {}
        say(f"{rate} events a second: {len(found)} pauses, the longest {found[-1]:.2f} ms")
        result[rate] = found
    return result


def pause_goals(found):
    """By rate all but one in a hundred: what the machine adds by chance is in the remark."""
    if not found:
        return []
    return [figures.Goal("a. pause between reads, ms, p99 at "
                         f"{PAUSE_RATES[0]:,} to {PAUSE_RATES[-1]:,} events a second",
                         [max(values[(len(values) - 1) * 99 // 100] for values in found.values())],
                         8.0, note="the longest of all: " + figures.number(
                             max(values[-1] for values in found.values())))]


def pool_goal():
    """By the counts that `make test-instructions` holds; no clock is that exact."""
    with open(os.path.join(lab.HERE, "instructions.json"), encoding="ascii") as file:
        kept = json.load(file)
    shares = [counts["event, translated"] / counts["event, translated, no pools"]
              for counts in kept.values()]
    return figures.Goal("a. instructions an event, all translated, of those without NAT pools",
                        shares, 1.05, note="spread: compilers")


# What listening costs the kernel

RUSH_LISTENERS = {
    "no listener": lambda place: None,
    "filter that drops all (the floor)": lambda place: lab.Reader(place, "drop", pinned=False),
    "receive only, paced": lambda place: lab.Reader(place, "paced", pinned=False),
    "conntide-agent": lambda place: lab.Conntide(place, pinned=False),
    "one message a wake-up": lambda place: lab.Reader(place, "one", pinned=False)}


def rush(place, lives, plan):
    """New connections a second with every CPU busy making them; all told."""
    processes = []
    for index, cpu in enumerate(lab.CPUS):
        what = (["-L", "-N", plan.rush_lives, "-D", plan.rush_lives // 8, "-n",
                 2 * plan.rush_lives] if lives else ["-n", plan.rush_flows])
        processes.append(place.flood_begin("-f", index << 22, "-r", 0, "-P", 50, *what, cpu=cpu))
    done = [place.flood_end(process) for process in processes]
    return sum(sent for sent, _ in done) / max(seconds for _, seconds in done)


def measure_rush(plan, lives, say):
    """({listener: [connections a second]}, {listener: most events lost})"""
    losses = dict.fromkeys(RUSH_LISTENERS, 0)

    def measure(place, _, name):
        value = rush(place, lives, plan)
        losses[name] = max(place.lost(), losses[name])
        return value
    return lab.in_turn(plan.rounds, RUSH_LISTENERS, measure, say), losses


# Words

def cost_section(title, costs):
    names = list(costs)
    floor = costs[names[0]]
    return f"### {title}\n\n" + figures.figure_table(
        ["us an event", "of the floor"],
        [(name, costs[name], figures.ratios(costs[name], floor)) for name in names])


def rush_section(title, rates, losses):
    names = list(rates)
    nobody, floor = rates[names[0]], rates[names[1]]
    rows = []
    for name in names:
        share = figures.ratios(rates[name], nobody)
        of_floor = figures.ratios(rates[name], floor)
        rows.append([name, figures.number(figures.median(rates[name])),
                     figures.number(figures.median(share)), figures.spread(share),
                     figures.number(figures.median(of_floor)), figures.spread(of_floor),
                     f"{losses[name]:,}"])
    return f"### {title}\n\n" + figures.table(
        ["", "a second", "of no listener", "spread", "of the floor", "spread", "events lost"],
        rows)


def run(plan, say):
    """(goals, text) of a, b and of the growth."""
    check_events(plan)
    goals, text = [], []
    for title, key, measure in (("TCP lives: NEW, UPDATE, DESTROY", "lives", cost_of_lives),
                                ("new UDP flows: NEW", "flows", cost_of_flows),
                                ("new UDP flows, every one masqueraded", "translated flows",
                                 cost_of_translated)):
        say(f"cost of an event, {key}")
        costs = measure_cost(plan, measure, say)
        floor, ours, conntrack_e = (costs[name] for name in list(costs)[:3])
        goals.append(figures.Goal(f"a. CPU an event, {key}, of the floor",
                                  figures.ratios(ours, floor), 1.35))
        goals.append(figures.Goal(f"a. CPU an event, {key}, of conntrack -E",
                                  figures.ratios(ours, conntrack_e), 0.30))
        text.append(cost_section(title, costs))
    goals.append(pool_goal())
    goals += pause_goals(measure_pauses(plan, say))
    say("cost of an event by size of the table")
    growth = measure_growth(plan, say)
    base = figures.median(growth[plan.sizes[0]])
    worst = max(plan.sizes, key=lambda size: figures.median(growth[size]))
    goals.append(figures.Goal(
        f"a. CPU an event, {plan.sizes[0]:,} to {plan.sizes[-1]:,} entries, worst of the first",
        [value / base for value in growth[worst]], 1.3, note=f"worst at {worst:,}"))
    text.append("### TCP lives in tables of several sizes\n\n" + figures.figure_table(
        ["us an event", f"of {plan.sizes[0]:,}"],
        [(f"{size:,} entries", growth[size], [value / base for value in growth[size]])
         for size in plan.sizes]))
    for title, key, lives in (("new UDP flows", "flows", False), ("TCP lives", "lives", True)):
        say(f"connections a second, {key}")
        rates, losses = measure_rush(plan, lives, say)
        nobody, floor = rates["no listener"], rates["filter that drops all (the floor)"]
        goals.append(figures.Goal(
            f"b. new connections a second, {key}, of a filter that drops all",
            figures.ratios(rates["conntide-agent"], floor), 0.82, at_least=True,
            note="which leaves " + figures.number(
                figures.median(figures.ratios(floor, nobody))) + " of no listener"))
        text.append(rush_section(f"Connections a second with all {os.cpu_count()} CPUs making "
                                 f"them: {title}", rates, losses))
    return goals, text
