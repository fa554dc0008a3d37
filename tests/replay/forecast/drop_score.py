# SPDX-License-Identifier: GPL-2.0-or-later
"""Scores p_drop, the probability that a packet is dropped within 600 or 3600 s.

A sample is (p, dropped, known): what was said at an instant outside a spell at the limit, whether
the kernel's drop counter (truth.csv) then moved within the horizon, and whether no shock of the
scenario lies between the instant and the first drop or else the horizon.

brier      mean of (p - dropped)^2; 0 is perfect
climate    what one gets who always says the share of samples that dropped: share (1 - share)
skill      1 - brier / climate, in %: 100 perfect, 0 as good as climate, negative worse
reliable   samples by p: of those with p in a bucket, mean p and the share that dropped; alike if p
           can be taken at its word
"""
import math

HORIZONS = (600, 3600)
BUCKETS = (0.0, 0.02, 0.1, 0.3, 0.7, 0.9, 1.0)


def first_drop(drops, t, horizon):
    """Seconds from t to the first drop, inf when there is none. drops: the counter, by second."""
    start = int(t)
    end = min(start + horizon, len(drops) - 1)
    if drops[end] <= drops[start]:
        return math.inf
    low, high = start, end      # the counter never falls: drops[low] == drops[start] < drops[high]
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if drops[middle] > drops[start] else (middle, high)
    return high - t


def samples(trace, answers, horizon):
    out = []
    for k, t in trace.evals:
        if k not in answers or "p_drop" not in answers[k] or trace.time_to_full(t) is None or not trace.seen(t, horizon):
            continue
        wait = first_drop(trace.drops, t, horizon)
        out.append((answers[k]["p_drop"][str(horizon)], wait < math.inf, trace.known(t, t + min(wait, horizon))))
    return out


def brier(found):
    return sum((p - dropped) ** 2 for p, dropped, _ in found) / len(found)


def climate(found):
    share = sum(dropped for _, dropped, _ in found) / len(found)
    return share * (1.0 - share)


def skill(found):
    worst = climate(found) if found else 0.0
    return 100.0 * (1.0 - brier(found) / worst) if worst else math.nan


def reliable(found):
    """[(low, high, n, mean p, share dropped)]; the last bucket includes its end."""
    out = []
    for low, high in zip(BUCKETS, BUCKETS[1:]):
        here = [s for s in found if low <= s[0] < high or s[0] == high == 1.0]
        n = len(here)
        out.append((low, high, n, sum(s[0] for s in here) / n if n else math.nan,
                    sum(s[1] for s in here) / n if n else math.nan))
    return out


def print_scores(name, by_horizon):
    """by_horizon: {horizon: samples}."""
    for horizon, found in by_horizon.items():
        for label, use in (("all", found), ("known", [s for s in found if s[2]])):
            if use:
                print("p_drop %4d s, %-5s %-12s brier %.4f  climate %.4f  skill %5.1f %%  n %d, dropped %d" % (
                    horizon, label, name, brier(use), climate(use), skill(use), len(use), sum(s[1] for s in use)))


def print_reliable(name, by_horizon):
    for horizon, found in by_horizon.items():
        print("p_drop %4d s, known, %s, when it said .. : n, mean said, dropped" % (horizon, name))
        for low, high, n, said, dropped in reliable([s for s in found if s[2]]):
            print("    %3.0f to %3.0f %%  %5d  %5.1f %%  %5.1f %%" % (100 * low, 100 * high, n, 100 * said, 100 * dropped))
