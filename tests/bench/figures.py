# SPDX-License-Identifier: GPL-2.0-or-later
"""Rounds of one figure, their median and spread, goals, and tables of them."""
import statistics


def median(values):
    return statistics.median(values)


def number(value):
    """Three significant digits, thousands apart."""
    if value >= 1000:
        return f"{value:,.0f}"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}" if value < 1 else f"{value:.{1 if value >= 10 else 2}f}"


def spread(values):
    return f"{number(min(values))} to {number(max(values))}" if len(values) > 1 else ""


def ratios(values, base):
    """Round by round: both were measured within seconds of each other."""
    return [value / other for value, other in zip(values, base)]


def table(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |"
                     for line in lines) + "\n"


class Goal:
    """A ratio or a size that is to be at most, or at least, so much."""

    def __init__(self, what, values, limit, at_least=False, note=""):
        self.what, self.values, self.limit = what, list(values), limit
        self.at_least, self.note = at_least, note

    def reached(self):
        value = median(self.values)
        return value >= self.limit if self.at_least else value <= self.limit

    def row(self):
        sign = "≥" if self.at_least else "≤"
        return [self.what, f"{sign} {number(self.limit)}", number(median(self.values)),
                spread(self.values), "reached" if self.reached() else "**not reached**",
                self.note]


def goal_table(goals):
    return table(["goal", "limit", "here", "spread", "", "remark"],
                 [goal.row() for goal in goals])


def figure_table(head, rows):
    """rows: (name, values, ratios or None...)."""
    out = []
    for name, *columns in rows:
        cells = [name]
        for values in columns:
            cells += [number(median(values)), spread(values)] if values else ["", ""]
        out.append(cells)
    return table(["", *(cell for name in head for cell in (name, "spread"))], out)
