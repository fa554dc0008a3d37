# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages, as an operator meets them: built from what is committed, clean by lintian, the
same bits twice, installed with apt in a bare Debian root, used there, purged without a trace."""
import contextlib
import glob
import json
import os
import time

import pytest

from debian import (BUILD, DEBS, ROOT, BareRoot, build, check_with_lintian, digests, file_list,
                    run)

# "Within a minute", with slack for a busy machine and a slow archive.
INSTALL_S = 180

FILES = {
    "conntide": {"/usr/bin/conntide", "/usr/bin/conntide-agent", "/usr/bin/conntide-record",
                 "/usr/bin/conntide-flow",
                 "/usr/bin/conntide-replay", "/etc/default/conntide-agent",
                 "/lib/systemd/system/conntide-agent.service",
                 "/usr/lib/sysusers.d/conntide.conf", "/usr/lib/tmpfiles.d/conntide.conf",
                 "/usr/share/man/man1/conntide.1.gz", "/usr/share/man/man8/conntide-agent.8.gz"},
    "conntide-exporter": {"/usr/bin/conntide-exporter", "/etc/default/conntide-exporter",
                          "/lib/systemd/system/conntide-exporter.service",
                          "/lib/systemd/system/conntide-exporter.socket",
                          "/usr/share/man/man8/conntide-exporter.8.gz"},
    "libconntide-dev": {"/usr/include/conntide.h"},
    "conntide-dashboards": {"/usr/share/conntide/grafana/conntide-fleet.json",
                            "/usr/share/conntide/grafana/conntide-host.json",
                            "/usr/share/conntide/grafana/conntide-cost.json",
                            "/usr/share/conntide/alertmanager/alertmanager.yml",
                            "/usr/share/conntide/alertmanager/conntide.tmpl",
                            "/usr/share/doc/conntide-dashboards/runbooks/ConntideTableFillsSoon.md",
                            "/usr/share/conntide/prometheus/rules.yml"},
}


@pytest.fixture(scope="session")
def debs():
    return build("deb", BUILD / "packages")


@pytest.mark.parametrize("name", DEBS)
def test_files_are_where_they_belong(debs, name):
    [package] = debs.glob(f"{name}_*.deb")
    assert FILES[name] <= file_list(package)


def test_nothing_is_left_out(debs):
    """All that `make install` installs is in one of the packages, and in one only."""
    lists = [file_list(next(debs.glob(f"{name}_*.deb"))) for name in DEBS]
    programs = [path for files in lists for path in files if path.startswith("/usr/bin/")]
    assert sorted(programs) == sorted(
        "/usr/bin/" + line.split()[-1] for line in run(
            "make", "-s", "-C", str(ROOT), "print-programs").splitlines())


def test_lintian_has_nothing_to_say(debs):
    check_with_lintian(debs)


def test_two_builds_give_the_same_bits(debs, tmp_path):
    """In another folder, at another time."""
    assert digests(build("deb", tmp_path / "elsewhere")) == digests(debs)


def test_rpms():
    directory = build("rpm", BUILD / "packages")
    names = {**{name: name for name in DEBS}, "libconntide-dev": "conntide-devel"}
    listed = {name: set(run("rpm", "-qlp", *glob.glob(f"{directory}/{names[name]}-0*.[xna]*.rpm"))
                        .splitlines()) for name in DEBS}
    for name, files in FILES.items():
        wanted = {path.removesuffix(".gz").replace("/lib/systemd/system", "/usr/lib/systemd/system")
                  for path in files if not path.startswith("/etc/default")}
        wanted = {path.replace("/usr/usr/", "/usr/") for path in wanted}
        assert wanted <= {path.removesuffix(".gz") for path in listed[name]}, name


def test_sbom_names_every_library():
    """What the loader loads is in the document, with version and owner."""
    run(os.environ.get("MAKE", "make"), "--no-print-directory", "sbom", f"BUILD={BUILD}", cwd=ROOT)
    document = json.loads((BUILD / "conntide.spdx.json").read_text())
    names = {package["name"] for package in document["packages"]}
    assert {"conntide", "conntide-agent", "conntide-exporter", "libmnl0", "libcjson1",
            "libmicrohttpd12", "libnetfilter-conntrack3", "libseccomp2"} <= names
    assert all(package["versionInfo"] for package in document["packages"])
    ids = {package["SPDXID"] for package in document["packages"]} | {"SPDXRef-DOCUMENT"}
    assert all(row["spdxElementId"] in ids and row["relatedSpdxElement"] in ids
               for row in document["relationships"])


# --- a bare root ----------------------------------------------------------------


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    with contextlib.closing(BareRoot(tmp_path_factory.mktemp("bare") / "root",
                                     "ca-certificates", "curl")) as root:
        yield root


@pytest.fixture(scope="session")
def installed(bare, debs):
    for package in debs.glob("conntide*.deb"):
        if "dbgsym" not in package.name:
            run("cp", str(package), str(bare.path / "tmp"))
    before = bare.all_files()
    began = time.monotonic()
    # A bare root has no init to start services; nothing else is unusual.
    bare.shell("apt-get update -q; apt-get install -yq --no-install-recommends /tmp/conntide*.deb")
    return before, time.monotonic() - began


def test_answers_right_after_apt_install(bare, installed):
    """apt install ./conntide*.deb, start it, curl localhost:10371."""
    said = bare.shell("conntide run >/tmp/log 2>&1 & "
                      "for i in $(seq 300); do curl -fs localhost:10371/-/ready >/dev/null && "
                      "break; sleep 0.1; done; "
                      "curl -fsS localhost:10371/api/v1/status || { cat /tmp/log; exit 1; }; "
                      "curl -fsS localhost:10371/metrics | grep ^conntide_up; "
                      "kill $!; wait", network=False)
    assert '"entries"' in said and "conntide_up" in said
    _, seconds = installed
    print(f"apt install took {seconds:.0f} s")
    assert seconds < INSTALL_S


def test_users_are_there(bare, installed):
    said = bare.shell("getent passwd conntide conntide-agent; getent group conntide; "
                      "id conntide-agent")
    assert "nologin" in said and "conntide" in said


def test_units_are_valid_where_they_are_installed(bare, installed):
    units = [f"{bare.path}/lib/systemd/system/{unit}" for unit in (
        "conntide-agent.service", "conntide-exporter.service", "conntide-exporter.socket")]
    said = run("systemd-analyze", "verify", "--man=no", f"--root={bare.path}", *(
        os.path.basename(unit) for unit in units))
    assert "conntide" not in said, said


def test_purge_leaves_nothing(bare, installed):
    """Users stay, as Debian's policy has it; files do not. Must be the last of this root."""
    before, _ = installed
    bare.shell("apt-get purge -yq 'conntide*'; apt-get autopurge -yq")
    left = {path for path in bare.all_files() - before if "conntide" in path}
    assert not left
