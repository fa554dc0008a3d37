#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Draws the folders and who includes whom into docs/architecture.md, from the #include lines.

Usage: tools/architecture.py            writes it (make architecture)
       tools/architecture.py --check    exit status 1 when it is stale
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(ROOT, "docs", "architecture.md")
TOP = ("lib", "agent", "exporters")
INCLUDE = re.compile(r'^#\s*include\s+"([^"]+)"', re.M)
BEGIN, END = "<!-- tools/architecture.py: begin -->\n", "<!-- tools/architecture.py: end -->\n"


def sources(root):
    for top in TOP:
        for where, _, names in sorted(os.walk(os.path.join(root, top))):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".def")):
                    yield os.path.relpath(os.path.join(where, name), root)


def graph(root):
    """Folder -> folders that files in it include."""
    found = {}
    for path in sources(root):
        folder = os.path.dirname(path)
        with open(os.path.join(root, path), encoding="utf-8") as file:
            own = {os.path.dirname(name) for name in INCLUDE.findall(file.read())}
        found.setdefault(folder, set()).update(own - {folder})
    return found


def reach(folders, start):
    """Everything that `start` includes, directly or through others."""
    seen, todo = set(), [start]
    while todo:
        for other in folders.get(todo.pop(), ()):
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


def arrows(folders):
    """Who includes whom, without what follows from other arrows."""
    for folder in sorted(folders):
        for other in sorted(folders[folder]):
            if not any(other in reach(folders, third) for third in folders[folder] - {other}):
                yield folder, other


def floors(folders):
    """The folders by how much lies below them: on floor 0 nothing does."""
    height = {}

    def of(folder, above=()):
        if folder in above:
            raise ValueError(f"a circle: {' -> '.join([*above, folder])}")
        if folder not in height:
            height[folder] = max((of(other, (*above, folder)) + 1
                                  for other in folders.get(folder, ())), default=0)
        return height[folder]
    for folder in folders:
        of(folder)
    return [sorted(folder for folder in height if height[folder] == number)
            for number in range(max(height.values()) + 1)]


def drawing(folders):
    lines = ["```mermaid", "flowchart TB"]
    for top in TOP:
        lines.append(f"  subgraph {top}_[\"{top}/\"]")
        lines += [f"    {folder.replace('/', '_')}[\"{folder}\"]"
                  for folder in sorted(folders) if folder.split("/")[0] == top]
        lines.append("  end")
    lines += [f"  {one.replace('/', '_')} --> {other.replace('/', '_')}"
              for one, other in arrows(folders)]
    lines += ["```", "", "The same as floors; a folder includes only what stands below it:", "", "```"]
    lines += [" ".join([f"{number:2} ", *names]) for number, names in
              reversed(list(enumerate(floors(folders))))]
    lines += ["```", "", "| folder | includes |", "|---|---|"]
    lines += [f"| {folder} | {', '.join(sorted(folders[folder])) or '-'} |"
              for folder in sorted(folders)]
    return "\n".join(lines) + "\n"


def page():
    """(as it is, as it should be)"""
    with open(PAGE, encoding="utf-8") as file:
        text = file.read()
    before, rest = text.split(BEGIN)
    return text, before + BEGIN + drawing(graph(ROOT)) + END + rest.split(END)[1]


def main():
    old, new = page()
    if "--check" in sys.argv:
        sys.exit(None if old == new else "docs/architecture.md is stale: make architecture")
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(new)


if __name__ == "__main__":
    main()
