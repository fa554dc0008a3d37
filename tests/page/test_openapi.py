# SPDX-License-Identifier: GPL-2.0-or-later
"""openapi.json under a linter that others wrote."""
import json
import os
import subprocess


def lint(node, path):
    env = dict(os.environ, REDOCLY_TELEMETRY="off", REDOCLY_SUPPRESS_UPDATE_NOTICE="true")
    done = subprocess.run(["npx", "--no-install", "redocly", "lint", "--extends=recommended",
                           "--format=json", path], cwd=node, env=env, capture_output=True,
                          text=True, check=False)
    said = json.loads(done.stdout)
    return {problem["ruleId"] for problem in said["problems"]}


def test_the_linter_has_nothing_to_say(exporter, node, tmp_path):
    path = tmp_path / "openapi.json"
    path.write_bytes(exporter.get("/api/v1/openapi.json").body)
    assert lint(node, str(path)) == set()


def test_the_linter_sees_what_is_wrong(exporter, node, tmp_path):
    document = exporter.get("/api/v1/openapi.json").json()
    del document["paths"]["/api/v1/status"]["get"]["operationId"]
    del document["servers"]
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document))
    assert {"operation-operationId", "no-empty-servers"} <= lint(node, str(path))
