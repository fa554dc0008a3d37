# SPDX-License-Identifier: GPL-2.0-or-later
"""A browser that does what visit.js understands, and its answers."""
import json
import os
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))


class Browser:
    def __init__(self, node):
        # pylint: disable=consider-using-with
        self.process = subprocess.Popen(["node", os.path.join(HERE, "visit.js"), node], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.told = {}

    def do(self, **step):
        self.process.stdin.write(json.dumps(step) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, (step, answer["error"])
        self.told = answer
        return answer

    def run(self, code):
        """The value of `return ...` in the page."""
        return self.do(run=code).get("value")

    def wait(self, code, what, seconds=30):
        end = time.monotonic() + seconds
        while not (value := self.run(f"return {code};")):
            assert time.monotonic() < end, f"{what}: not within {seconds} s"
            time.sleep(0.1)
        return value

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()
