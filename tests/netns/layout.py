# SPDX-License-Identifier: GPL-2.0-or-later
"""Where in the segment what is: from lib/shm/layout.h and what make lint keeps of it."""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def layout():
    """"struct field" or "struct size" -> bytes; make lint compares it with lib/shm/layout.h."""
    with open(os.path.join(ROOT, "tests", "lint", "layout.golden"),
              encoding="ascii") as file:
        return {line.rsplit(" ", 1)[0]: line.rsplit(" ", 1)[1] for line in file}


def section_names():
    """In their order in the table of sections."""
    with open(os.path.join(ROOT, "lib", "shm", "layout.h"), encoding="utf-8") as file:
        body = re.search(r"enum shm_section_id \{(.*?)SHM_SECTION_COUNT", file.read(), re.S)[1]
    return [name.lower() for name in re.findall(r"SHM_SECTION_(\w+)", body)]


LAYOUT = layout()
SECTION_NAMES = section_names()
