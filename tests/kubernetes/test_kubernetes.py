# SPDX-License-Identifier: GPL-2.0-or-later
"""packaging/kubernetes: every overlay rendered by kubectl, checked against the schemas of the API,
and for the rights that it gives: no more than it says."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).parent
BUILD = pathlib.Path(os.environ["CONNTIDE_BUILD"])
sys.path.insert(0, str(ROOT / "tests" / "http"))

import harness  # noqa: E402  pylint: disable=wrong-import-position

OVERLAYS = sorted(path.name for path in (ROOT / "packaging/kubernetes/overlays").iterdir())
BASE = ["DaemonSet", "Namespace", "NetworkPolicy", "Service"]
ADDS = {"base": [], "grafana": ["ConfigMap"] * 3, "keep-incidents": [],
        "node-problem-detector": ["ConfigMap"], "show-hosts": [],
        "prometheus-operator": ["PodMonitor", "PrometheusRule"]}
# Directories of the node, by overlay.
HOST_PATHS = {"keep-incidents": {"/var/lib/conntide"}, "node-problem-detector": {"/run/conntide"}}


def output(*command, **options):
    done = subprocess.run(command, text=True, capture_output=True, check=False, **options)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def assembled(tmp_path_factory):
    directory = tmp_path_factory.mktemp("kubernetes")
    version = re.search(r"(?m)^VERSION := (\S+)", (ROOT / "Makefile").read_text()).group(1)
    output(str(ROOT / "packaging/kubernetes/assemble"), str(directory), version)
    return directory


@pytest.fixture(scope="module")
def rendered(assembled):
    """The objects of base and of each overlay."""
    paths = {"base": assembled / "base",
             **{name: assembled / "overlays" / name for name in OVERLAYS}}
    return {name: list(yaml.safe_load_all(output("kubectl", "kustomize", str(path))))
            for name, path in paths.items()}


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    """What package-lock.json names, from npm."""
    directory = tmp_path_factory.mktemp("schemas")
    for name in ("package.json", "package-lock.json", "validate.mjs"):
        shutil.copy(HERE / name, directory)
    output("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=directory)
    return directory


def pod(objects):
    [daemonset] = [one for one in objects if one["kind"] == "DaemonSet"]
    return daemonset["spec"]["template"]["spec"]


def validate(schemas, objects):
    return subprocess.run(["node", "validate.mjs"], input=json.dumps(objects), text=True,
                          capture_output=True, check=False, cwd=schemas)


def test_every_overlay_is_known():
    assert set(OVERLAYS) == set(ADDS) - {"base"}


@pytest.mark.parametrize("name", ADDS)
def test_objects(rendered, schemas, name):
    objects = rendered[name]
    assert sorted(one["kind"] for one in objects) == sorted(BASE + ADDS[name])
    assert all(one["metadata"].get("namespace", "conntide") == "conntide" for one in objects)
    done = validate(schemas, objects)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_schemas_find_faults(rendered, schemas):
    """Else the test above would say nothing."""
    broken = json.loads(json.dumps(rendered["prometheus-operator"]))
    for one in broken:
        if one["kind"] == "DaemonSet":
            one["spec"]["template"]["spec"]["hostNetwork"] = "yes"
        elif one["kind"] == "PodMonitor":
            one["spec"]["podMetricsEndpoints"] = {}
        elif one["kind"] == "PrometheusRule":
            one["spec"]["groups"][0]["rules"][0]["expr"] = ["a"]
    said = validate(schemas, broken).stdout
    for kind in ("DaemonSet", "PodMonitor", "PrometheusRule"):
        assert kind in said, said


@pytest.mark.parametrize("name", ADDS)
def test_rights(rendered, name):
    spec = pod(rendered[name])
    assert spec["hostNetwork"] is True and not spec.get("hostPID") and not spec.get("hostIPC")
    assert spec["automountServiceAccountToken"] is False
    containers = {one["name"]: one for one in spec["containers"]}
    assert set(containers) == {"agent", "exporter"}
    agent, exporter = containers["agent"], containers["exporter"]
    assert agent["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_ADMIN"]}
    assert exporter["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert exporter["securityContext"]["runAsNonRoot"] is True
    for container in (agent, exporter):
        context = container["securityContext"]
        assert context["privileged"] is False and context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
    assert all(mount.get("readOnly") for mount in exporter["volumeMounts"])
    host_paths = {volume["hostPath"]["path"] for volume in spec["volumes"] if "hostPath" in volume}
    assert host_paths == HOST_PATHS.get(name, set())
    assert all(len(set(volume) - {"name"}) == 1 for volume in spec["volumes"]), spec["volumes"]


@pytest.mark.parametrize("name", OVERLAYS)
def test_each_overlay_says_what_right_it_adds(name):
    text = (ROOT / "packaging/kubernetes/overlays" / name / "kustomization.yaml").read_text()
    head = re.sub(r"\n# ?", " ", text.split("apiVersion")[0])
    assert re.search(r"[Aa]dds (no|the) right|right to write", head), head


def test_arguments_are_understood(rendered):
    """By the programs that are built here."""
    for name in ADDS:
        for container in pod(rendered[name])["containers"]:
            program = BUILD / os.path.basename(container["command"][0])
            said = output(str(program), "--help")
            for argument in container.get("args", []):
                assert argument.split("=")[0] in said, argument


def test_rules_and_dashboards_are_the_hosts(rendered):
    rules = yaml.safe_load((ROOT / "dashboards/rules.yml").read_text())
    [made] = [one for one in rendered["prometheus-operator"] if one["kind"] == "PrometheusRule"]
    assert made["spec"] == rules
    for one in rendered["grafana"]:
        if one["kind"] == "ConfigMap":
            [(name, text)] = one["data"].items()
            assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
            assert json.loads(text) == json.loads((ROOT / "dashboards" / name).read_text())


@pytest.mark.parametrize("entries, status, word", [(7512, 0, "OK"), (220000, 1, "WARNING"),
                                                   (262144, 1, "CRITICAL"), (None, 2, "UNKNOWN")])
def test_condition_of_the_node(assembled, tmp_path, entries, status, word):
    """node-problem-detector takes 0, 1, 2 and a message of max_output_length bytes."""
    folder = assembled / "overlays/node-problem-detector"
    config = json.loads((folder / "conntide-problems.json").read_text())
    text = (ROOT / "tests/golden/nginx.segment").read_text()
    segment = harness.Segment(str(tmp_path), "\n".join(
        line for line in text.splitlines() if line and not line.startswith("#")))
    try:
        segment.do(*([f"live count_entries {entries}"] if entries else ["silent", "age 60"]))
        done = subprocess.run([folder / "check-conntide.sh"], text=True, capture_output=True,
                              check=False, env={"PATH": "/usr/bin:/bin", "CONNTIDE": harness.CLI,
                                                "CONNTIDE_ARGS": f"--runtime-dir {tmp_path}"})
    finally:
        segment.close()
    assert done.returncode == status and done.stdout.startswith(word + " - "), done
    assert len(done.stdout.strip()) <= config["pluginConfig"]["max_output_length"]
    assert config["rules"][0]["condition"] == config["conditions"][0]["type"]
    assert config["rules"][0]["path"].endswith("/check-conntide.sh")
