# SPDX-License-Identifier: GPL-2.0-or-later
"""Random torture of what *exact* means: see torture.py.

make test-torture TORTURE_SECONDS=3600 SEED=n plays for longer, and one game of a number.
"""
import os
import time

import pytest

import torture

SECONDS = float(os.environ.get("TORTURE_SECONDS", "60"))
SEED = int(os.environ.get("SEED") or "1")


@pytest.mark.slow
@pytest.mark.global_sysctl
def test_exact_is_no_lie(lab, pair, start_agent, flood, machine_sysctls):
    """Random mischief; every cell compared all the while."""
    machine_sysctls()
    agent = start_agent(lab.middle)
    game = torture.Torture(lab, pair, agent, flood, SEED)
    judge = torture.Judge(lab, agent)
    judge.start()
    deadline = time.monotonic() + SECONDS
    try:
        while time.monotonic() < deadline and not judge.lies and not judge.error:
            game.step()
    finally:
        judge.stop()
    report = "\n".join(game.done[-40:])
    assert not judge.lies, f"SEED={SEED}\n{judge.lies[0]}\n{report}\n{agent.log()[-3000:]}"
    # It was looked at, and quality did not hide behind "not exact" or "verified".
    print(f"looks {dict(judge.looks)}, longest lie {judge.longest}, {len(game.done)} deeds")
    assert sum(judge.looks.values()) > SECONDS / 2, judge.looks
    game.unmask()
    lab.middle.conntrack_sysctl("events", 1)
    agent.wait_equal(60, label=f"after the torture, SEED={SEED}")
