# SPDX-License-Identifier: GPL-2.0-or-later
"""A terminal that a test can type into and look at: a tmux server of its own."""
import itertools
import os
import subprocess
import time

PATIENCE_S = 60
NUMBERS = itertools.count()


class Terminal:
    """Runs a shell; `run` types a command line into it."""

    def __init__(self, directory, width=80, height=24, **environment):
        self.socket = os.path.join(directory, f"tmux.{os.getpid()}.{next(NUMBERS)}")
        clean = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PS1": "$ ", **environment}
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height),
                  "env", "-i", *(f"{name}={value}" for name, value in clean.items()),
                  "TERM=screen-256color", "sh")
        self.wait_for("$")

    def tmux(self, *command):
        return subprocess.run(["tmux", "-S", self.socket, *command], check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def run(self, line):
        self.tmux("send-keys", "-l", line)
        self.tmux("send-keys", "Enter")

    def keys(self, *names):
        self.tmux("send-keys", *names)

    def text(self):
        return self.tmux("capture-pane", "-p")

    def lines(self):
        return self.text().splitlines()

    def attributes(self):
        """With the escape sequences of colours."""
        return self.tmux("capture-pane", "-p", "-e")

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def wait(self, condition, what):
        """Until the condition holds of the text shown; the text."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            text = self.text()
            if condition(text):
                return text
            time.sleep(0.05)
        raise AssertionError(f"{what}; the terminal shows:\n{self.text()}")

    def wait_for(self, part):
        return self.wait(lambda text: part in text, f"no {part!r}")

    def wait_without(self, part):
        return self.wait(lambda text: part not in text, f"still {part!r}")

    def alternate(self):
        """Does a program have the whole screen?"""
        return self.tmux("display-message", "-p", "#{alternate_on}").strip() == "1"

    def cursor_shown(self):
        return self.tmux("display-message", "-p", "#{cursor_flag}").strip() == "1"

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], check=False)
