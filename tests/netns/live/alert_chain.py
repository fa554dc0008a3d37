# SPDX-License-Identifier: GPL-2.0-or-later
"""From a table to the message: agent, exporter, Prometheus, Alertmanager, webhook."""
import contextlib
import http.server
import json
import os
import re
import subprocess
import threading
import time

import yaml

import agent as agent_module
from harness import Exporter, Prometheus, free_port, wait_for
from live.loads import Load
import netns

DASHBOARDS = os.path.join(agent_module.ROOT, "dashboards")


class Webhook:
    """What a person would be sent: (seconds, status, labels, annotations) of each alert."""

    def __init__(self):
        self.messages = []
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                now = time.monotonic()
                hook.messages += [(now, alert["status"], alert["labels"], alert["annotations"])
                                  for alert in body["alerts"]]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, instance, name=None, status=None):
        return [message for message in list(self.messages)
                if message[2].get("instance") == instance
                and name in (None, message[2]["alertname"]) and status in (None, message[1])]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Alertmanager:
    """Debian's, with the configuration conntide ships; only the receiver's address and the time
    messages are held back for others to join are the test's."""

    def __init__(self, directory, hook):
        self.port = free_port()
        path = os.path.join(DASHBOARDS, "alertmanager", "alertmanager.yml")
        with open(path, encoding="utf-8") as file:
            config = yaml.safe_load(re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{hook.port}",
                                           file.read()))
        config["templates"] = [os.path.join(DASHBOARDS, "alertmanager", "conntide.tmpl")]
        config["route"].update(group_wait="1s", group_interval="5s")
        self.config = os.path.join(directory, "alertmanager.yml")
        with open(self.config, "w", encoding="utf-8") as file:
            json.dump(config, file)
        with open(os.path.join(directory, "alertmanager.log"), "wb") as log:
            # pylint: disable=consider-using-with
            self.process = subprocess.Popen(
                ["prometheus-alertmanager", f"--config.file={self.config}",
                 f"--storage.path={directory}/alertmanager", "--cluster.listen-address=",
                 f"--web.listen-address=127.0.0.1:{self.port}"], stdout=log, stderr=log)

    def close(self):
        self.process.terminate()
        self.process.wait(20)


def rules(directory, **config):
    """The rules as the mixin makes them with these settings; without any, the ones shipped."""
    if not config:
        return os.path.join(DASHBOARDS, "rules.yml")
    program = ('local m = (import "mixin.libsonnet") + {_config+:: ' + json.dumps(config) + "}; "
               "{groups: m.prometheusRules.groups + m.prometheusAlerts.groups}")
    path = os.path.join(directory, "rules.yml")
    with open(path, "wb") as file:
        file.write(subprocess.run(["jsonnet", "-J", os.path.join(DASHBOARDS, "mixin"), "-e",
                                   program], check=True, stdout=subprocess.PIPE).stdout)
    return path


class Scene:
    """One host under one load; `limit` is rehearsed, the kernel's own is the whole machine's."""

    def __init__(self, name, limit, timeouts, load, **options):
        self.name, self.limit = name, limit
        self.host = netns.Host()
        for timeout, seconds in timeouts.items():
            self.host.conntrack_sysctl(timeout, seconds)
        self.agent = agent_module.Agent(self.host, "--assume-max", str(limit))
        os.chmod(self.agent.runtime, 0o755)
        self.exporter = Exporter(self.agent.runtime)
        self.instance = f"127.0.0.1:{self.exporter.port}"
        self.load = None
        self.load_options = {"rate": load, "seed": len(name), **options}
        self.passed = {}  # share of the limit: when it was passed
        self.most = 0

    def begin(self):
        self.load = Load(self.host, **self.load_options)

    def look(self):
        count = self.host.count()
        self.most = max(self.most, count)
        for share in (0.2, 0.8, 1.0):
            if count >= share * self.limit:
                self.passed.setdefault(share, time.monotonic())
        return count

    def relieve(self):
        """What an operator would do: end what opens the entries, delete them."""
        self.load.stop()
        self.load = None
        self.host.conntrack("-F")

    def close(self):
        """All of it, whatever fails."""
        with contextlib.ExitStack() as stack:
            for part in (self.host, self.agent, self.exporter):
                stack.callback(part.close)
            if self.load:
                stack.callback(self.load.stop)


class Chain:
    """All scenes behind one Prometheus, one Alertmanager and one webhook."""

    def __init__(self, directory, scenes, **config):
        self.scenes = scenes
        self.hook = Webhook()
        self.alertmanager = Alertmanager(directory, self.hook)
        self.prometheus = Prometheus(directory, [scene.exporter for scene in scenes],
                                     rules(directory, **config), self.alertmanager)
        wait_for(lambda: len(self.prometheus.api("alertmanagers")["activeAlertmanagers"]) == 1,
                 20, "Prometheus knows its Alertmanager")

    def close(self):
        self.prometheus.close()
        self.alertmanager.close()
        self.hook.close()
