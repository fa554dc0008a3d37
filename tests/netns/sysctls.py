# SPDX-License-Identifier: GPL-2.0-or-later
"""The sysctls that belong to the whole machine, changed and put back.

nf_conntrack_max, nf_conntrack_buckets and nf_conntrack_expect_max are global. Their values before the first
change are written to a file at once; whoever finds that file later, because a run was
killed, puts them back before anything else.
"""
import contextlib
import fcntl
import json
import os

STATE = "/run/conntide-tests.sysctls"
LOCK = "/run/conntide-tests.lock"
BASE = "/proc/sys/net/netfilter/nf_conntrack_"
KEYS = ("max", "buckets", "expect_max")


def read(key):
    with open(BASE + key, encoding="ascii") as file:
        return int(file.read())


def write(key, value):
    with open(BASE + key, "w", encoding="ascii") as file:
        file.write(str(value))


_changing = False


def _put_back():
    """Puts back what the file says, and removes it. Harmless when there is none."""
    try:
        with open(STATE, encoding="ascii") as file:
            saved = json.load(file)
    except (OSError, ValueError):
        return
    # The hash first: changing it may not touch max, changing max never touches the hash.
    for key in ("buckets", "max", "expect_max"):
        if key in saved and read(key) != saved[key]:
            write(key, saved[key])
    with contextlib.suppress(OSError):
        os.unlink(STATE)


def restore_leftovers():
    """After a run that was killed. What a living run has changed is left alone."""
    with open(LOCK, "w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        _put_back()


def restore_at_exit():
    """The last net, under the `finally` of changed()."""
    if _changing:
        _put_back()


@contextlib.contextmanager
def changed(**values):
    """Holds the machine's lock, sets the values, puts the old ones back at the end."""
    global _changing  # pylint: disable=global-statement
    with open(LOCK, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _put_back()
        with open(STATE + ".new", "w", encoding="ascii") as file:
            json.dump({key: read(key) for key in KEYS}, file)
            file.flush()
            os.fsync(file.fileno())
        os.rename(STATE + ".new", STATE)
        _changing = True
        try:
            for key, value in values.items():
                write(key, value)
            yield
        finally:
            _put_back()
            _changing = False
