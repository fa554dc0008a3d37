# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration file of exporter-toolkit: TLS, client certificates, users, reload."""
import base64
import crypt
import http.client
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest
from harness import EXPORTER, total, wait_for

COST = 8  # quick, but long enough to be told from no hash at all


def bcrypt(password, rounds=1 << COST):
    return crypt.crypt(password, crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=rounds)).replace(
        "$2b$", "$2y$")


def basic(user, password):
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


def openssl(*argv, **kwargs):
    subprocess.run(["openssl", *argv], check=True, capture_output=True, **kwargs)


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """A CA, a server, a good, a foreign and an expired client, and another server."""
    path = tmp_path_factory.mktemp("pki")

    def key(name):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out",
                path / f"{name}.key")

    def authority(name):
        key(name)
        openssl("req", "-x509", "-new", "-key", path / f"{name}.key", "-subj", f"/CN={name}",
                "-days", "30", "-out", path / f"{name}.crt")

    def signed(name, ca="ca", days=("-days", "30")):
        key(name)
        openssl("req", "-new", "-key", path / f"{name}.key", "-subj", f"/CN={name}",
                "-out", path / f"{name}.csr")
        (path / "ext").write_text(f"subjectAltName=DNS:{name},IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", path / f"{name}.csr", "-CA", path / f"{ca}.crt",
                "-CAkey", path / f"{ca}.key", "-CAcreateserial", *days,
                "-extfile", path / "ext", "-out", path / f"{name}.crt")
    authority("ca")
    authority("foreign-ca")
    for name in ("server", "server2", "client"):
        signed(name)
    signed("foreign", ca="foreign-ca")
    # x509 has no -enddate in OpenSSL 3.0: -days -1 makes one that ended yesterday.
    signed("expired", days=("-days", "-1"))
    for parent in [path, *path.parents][:3]:
        os.chmod(parent, 0o755)
    for file in path.iterdir():
        os.chmod(file, 0o644)
    return path


@pytest.fixture
def config(directory):
    """Writes the file anew, as an editor does: another inode, another time."""
    path = os.path.join(directory, "web.yml")

    def write(text):
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)
        return path
    return write


def https(exporter, pki, target="/-/healthy", client=None, headers=None, ca="ca", **limits):
    context = ssl.create_default_context(cafile=pki / f"{ca}.crt")
    for name, value in limits.items():
        setattr(context, name, value)
    if client:
        context.load_cert_chain(pki / f"{client}.crt", pki / f"{client}.key")
    connection = http.client.HTTPSConnection("127.0.0.1", exporter.port, context=context,
                                             timeout=5)
    try:
        return exporter.get(target, headers, connection=connection), connection
    finally:
        connection.close()


def tls_text(pki, more=""):
    return (f"tls_server_config:\n  cert_file: {pki}/server.crt\n  key_file: {pki}/server.key\n"
            + more)


GOOD = ("users", "everything", "tls", "empty", "rate")


def good_text(name, pki):
    return {
        "users": f"basic_auth_users:\n  alice: {bcrypt('secret')}\n",
        "everything": tls_text(pki, f"  client_ca_file: {pki}/ca.crt\n"
                               "  client_auth_type: RequireAndVerifyClientCert\n"
                               "  min_version: TLS12\n  max_version: TLS13\n"
                               "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n"
                               "  prefer_server_cipher_suites: true\n"
                               "  curve_preferences: [X25519, CurveP256]\n")
        + "http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n"
          "    Strict-Transport-Security: max-age=60\n"
        + f"basic_auth_users:\n  alice: {bcrypt('secret')}\n",
        "tls": tls_text(pki), "empty": "", "rate": "rate_limit:\n  interval: 1s\n  burst: 3\n",
    }[name]


@pytest.mark.parametrize("name", GOOD)
def test_what_promtool_accepts_is_accepted(name, pki, config, segment, start):
    # pylint: disable=unused-argument
    path = config(good_text(name, pki))
    if name != "rate":  # newer than promtool 2.42
        subprocess.run(["promtool", "check", "web-config", path], check=True)
    start("--web.config.file", path)


BROKEN = {
    "unknown: 1\n": "unknown key: unknown",
    "tls_server_config:\n  cert: x\n": "line 2",
    "tls_server_config:\n  cert_file: /nonexistent\n  key_file: /nonexistent\n": "No such file",
    "tls_server_config:\n  key_file: x\n": "needs cert_file",
    "basic_auth_users:\n  alice: plaintext\n": "bcrypt",
    "basic_auth_users: [a, b]\n": "line 1",
    "http_server_config:\n  headers:\n    X-Evil: 1\n": "cannot be set",
    "a: [\n": "line",
    "basic_auth_users:\n  a: b\n  a: b\n": "line",
    "\t\n": "line",
    "tls_server_config:\n  min_version: SSL3\n": "SSL3",
    "\x00\x01": "line",
}


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_broken_files_are_refused_in_one_line(text, config, directory):
    path = config(text)
    done = subprocess.run([EXPORTER, "--runtime-dir", directory, "--web.listen-address",
                           "127.0.0.1:0", "--web.config.file", path], capture_output=True,
                          text=True, check=False, timeout=5)
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and BROKEN[text] in lines[0], done.stderr


def test_passwords(config, segment, start):  # pylint: disable=unused-argument
    path = config(f"basic_auth_users:\n  alice: {bcrypt('secret')}\n  bob: {bcrypt('other')}\n")
    exporter = start("--web.config.file", path)
    for target in ("/metrics", "/", "/-/healthy", "/api/v1/status", "/nope"):
        reply = exporter.get(target)
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"].startswith("Basic realm=")
        assert "secret" not in reply.text
    assert exporter.get("/metrics", basic("alice", "secret")).status == 200
    assert exporter.get("/metrics", basic("bob", "other")).status == 200
    for user, password in (("alice", "other"), ("alice", ""), ("", ""), ("bob", "secret"),
                           ("alice", "secret\u00e9"), ("Alice", "secret")):
        assert exporter.get("/metrics", basic(user, password)).status == 401
    for header in ("Basic", "Basic ", "Basic !!!!", "Basic YWxpY2U=", "Bearer x", "Basic " + "A" * 2000,
                   "Digest username=alice"):
        assert exporter.get("/metrics", {"Authorization": header}).status == 401
    samples = exporter.metrics(headers=basic("alice", "secret"))
    assert total(samples, "conntide_http_refused_total", reason="auth") == 18


def test_unknown_users_take_as_long_as_wrong_passwords(config, segment, start):
    # pylint: disable=unused-argument
    path = config(f"basic_auth_users:\n  alice: {bcrypt('secret', 1 << 10)}\n")
    exporter = start("--web.config.file", path)

    def seconds(user, number):
        time.sleep(0.25)  # within the budget for guesses
        began = exporter.cpu_seconds()
        assert exporter.get("/metrics", basic(user, f"wrong{number}")).status == 401
        return exporter.cpu_seconds() - began
    wrong = sorted(seconds("alice", number) for number in range(7))
    unknown = sorted(seconds(f"user{number}", number) for number in range(7))
    ratio = unknown[3] / wrong[3]
    print(f"wrong password {wrong[3] * 1e3:.1f} ms, unknown user {unknown[3] * 1e3:.1f} ms")
    assert wrong[3] > 0.005, "a hash was computed"
    assert 0.5 < ratio < 2


def test_guessing_does_not_stop_a_scrape(config, segment, start):
    # pylint: disable=unused-argument
    # Cheap enough that guesses come faster than they are allowed on a busy machine, too.
    path = config(f"basic_auth_users:\n  alice: {bcrypt('secret', 1 << 6)}\n")
    exporter = start("--web.config.file", path)
    good = basic("alice", "secret")
    assert exporter.get("/metrics", good).status == 200
    codes = []
    for number in range(60):
        codes.append(exporter.get("/metrics", basic("alice", f"guess{number}")).status)
        if number % 20 == 19:
            # The best of three: a busy machine is late now and then, guesses are in the way
            # every time.
            took = []
            while len(took) < 3 and min(took, default=1) >= 1:
                began = time.monotonic()
                assert exporter.get("/metrics", good).status == 200
                took.append(time.monotonic() - began)
            assert min(took) < 1, took
    assert set(codes) == {401, 429}


def test_wrong_passwords_hold_up_nobody(config, segment, start):
    """At cost 12 a hash takes a quarter of a second: others are served meanwhile."""
    # pylint: disable=unused-argument
    path = config(f"basic_auth_users:\n  alice: {bcrypt('secret', 1 << 12)}\n")
    exporter = start("--web.config.file", path)
    good = basic("alice", "secret")
    assert exporter.get("/metrics", good).status == 200
    guesses = []
    for number in range(8):
        sock = socket.create_connection(("127.0.0.1", exporter.port), 5)
        token = basic("alice", f"guess{number}")["Authorization"]
        sock.sendall(f"GET /metrics HTTP/1.0\r\nAuthorization: {token}\r\n\r\n".encode())
        guesses.append(sock)
    began = time.monotonic()
    assert exporter.get("/metrics", good).status == 200
    seconds = time.monotonic() - began
    answered = len(select.select(guesses, [], [], 0)[0])
    print(f"a scrape took {seconds:.3f} s, {answered} of 8 guesses were answered before it")
    # Not by the clock: in line behind the guesses it came after all of them.
    assert answered <= 4
    for sock in guesses:
        sock.settimeout(60)
        assert sock.recv(12) in (b"HTTP/1.0 401", b"HTTP/1.0 429", b"HTTP/1.1 401",
                                 b"HTTP/1.1 429")
        sock.close()
    assert exporter.get("/metrics", good).status == 200


def test_tls(pki, config, segment, start):  # pylint: disable=unused-argument
    path = config(tls_text(pki) + "http_server_config:\n  headers:\n"
                  "    Strict-Transport-Security: max-age=60\n"
                  "    X-Content-Type-Options: nosniff\n")
    socket_path = os.path.join(os.path.dirname(path), "http.sock")
    exporter = start("--web.config.file", path, listen=["127.0.0.1:0"])
    exporter.port = int(exporter.log().rsplit("127.0.0.1:", 1)[1].split('"')[0])
    reply, _ = https(exporter, pki, "/metrics")
    assert reply.status == 200 and "conntide_up" in reply.text
    assert reply.headers["Strict-Transport-Security"] == "max-age=60"
    assert exporter.raw(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 2).count(b" 200 ") == 0
    with pytest.raises(ssl.SSLError):
        https(exporter, pki, ca="foreign-ca")
    with pytest.raises((ssl.SSLError, OSError)):
        https(exporter, pki, maximum_version=ssl.TLSVersion.TLSv1_1)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert https(exporter, pki, minimum_version=version,
                     maximum_version=version)[0].status == 200
    assert not os.path.exists(socket_path)


def test_relative_file_names(pki, config, segment, start, directory):
    # pylint: disable=unused-argument
    for name in ("server.crt", "server.key"):
        with open(os.path.join(directory, name), "wb") as file:
            file.write((pki / name).read_bytes())
    path = config("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n")
    assert https(start("--web.config.file", path), pki)[0].status == 200


def test_client_certificates(pki, config, segment, start):  # pylint: disable=unused-argument
    path = config(tls_text(pki, f"  client_ca_file: {pki}/ca.crt\n"
                           "  client_auth_type: RequireAndVerifyClientCert\n"))
    exporter = start("--web.config.file", path)
    assert https(exporter, pki, client="client")[0].status == 200
    for client in (None, "foreign", "expired"):
        with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
            https(exporter, pki, client=client)
    assert https(exporter, pki, client="client")[0].status == 200


def test_only_named_clients(pki, config, segment, start):  # pylint: disable=unused-argument
    text = tls_text(pki, f"  client_ca_file: {pki}/ca.crt\n"
                    "  client_auth_type: RequireAndVerifyClientCert\n"
                    "  client_allowed_sans: [client]\n")
    exporter = start("--web.config.file", config(text))
    assert https(exporter, pki, client="client")[0].status == 200
    with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
        https(exporter, pki, client="server2")


def reload_state(exporter, headers=None):
    samples = exporter.metrics(headers=headers)
    return total(samples, "conntide_config_last_reload_successful")


@pytest.mark.parametrize("how", ["file", "signal"])
def test_reload_of_users(config, segment, start, how):  # pylint: disable=unused-argument
    exporter = start("--web.config.file", config(f"basic_auth_users:\n  a: {bcrypt('1')}\n"))
    assert exporter.get("/metrics", basic("a", "1")).status == 200
    config(f"basic_auth_users:\n  a: {bcrypt('2')}\n")
    if how == "signal":
        exporter.process.send_signal(signal.SIGHUP)
    wait_for(lambda: exporter.get("/metrics", basic("a", "2")).status == 200, 4, "reload")
    assert exporter.get("/metrics", basic("a", "1")).status == 401


def test_the_last_file_wins(config, segment, start):
    """Nine reloads as quick as they come, a half-open connection on each of them."""
    # pylint: disable=unused-argument
    passwords = [f"password{number}" for number in range(10)]
    texts = [f"basic_auth_users:\n  a: {bcrypt(password, 1 << 4)}\n" for password in passwords]
    exporter = start("--web.config.file", config(texts[0]))
    half_open = []
    for number, text in enumerate(texts[1:], 1):
        for _ in range(2):
            half_open.append(socket.create_connection(("127.0.0.1", exporter.port), 5))
            half_open[-1].sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nX-Half:")
        config(text)
        os.kill(exporter.pid, signal.SIGHUP)
        wait_for(lambda n=number: exporter.log().count("loaded") + exporter.log().count(
            "refuses") >= n, 20, "the signal was taken")
    assert "refuses" not in exporter.log()
    wait_for(lambda: exporter.get("/metrics", basic("a", passwords[-1])).status == 200, 20,
             "the last one is in force")
    for password in passwords[:-1]:
        wait_for(lambda old=password: exporter.get("/metrics", basic("a", old)).status != 429, 30,
                 "there is room for a guess")
        assert exporter.get("/metrics", basic("a", password)).status == 401
    for sock in half_open:
        sock.close()


def test_a_change_that_clocks_do_not_show(config, segment, start):
    """Written in place, as long as before, at the same time: seen all the same."""
    # pylint: disable=unused-argument
    path = config("http_server_config:\n  headers:\n    X-Frame-Options: aaaa\n")
    exporter = start("--web.config.file", path)
    before = os.stat(path)
    with open(path, "r+", encoding="ascii") as file:
        file.write("http_server_config:\n  headers:\n    X-Frame-Options: bbbb\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    wait_for(lambda: exporter.get("/-/healthy").headers["X-Frame-Options"] == "bbbb", 20,
             "the new one is in force")


def test_what_was_missing_comes_later(pki, config, segment, start, directory):
    """The file itself does not change again: it is tried until its certificate is there."""
    # pylint: disable=unused-argument
    exporter = start("--web.config.file", config(""))
    config("tls_server_config:\n  cert_file: later.crt\n  key_file: later.key\n")
    wait_for(lambda: "later.crt" in exporter.log(), 20, "it is missed")
    time.sleep(2.5)
    assert exporter.log().count("later.crt") == 1, "and said once"
    for name in ("key", "crt"):
        shutil.copy(pki / f"server.{name}", os.path.join(directory, f"later.{name}"))
        os.chmod(os.path.join(directory, f"later.{name}"), 0o644)

    def speaks_tls():
        try:
            return https(exporter, pki)[0].status == 200
        except OSError:
            return False
    wait_for(speaks_tls, 20, "TLS")


def test_old_tls_lets_nobody_in(pki, config, segment, start, directory):
    """A request that was half sent before client certificates were asked for is not served."""
    # pylint: disable=unused-argument
    exporter = start("--web.config.file", config(""))
    for name in ("server.key", "server.crt", "ca.crt"):
        shutil.copy(pki / name, directory)
        os.chmod(os.path.join(directory, name), 0o644)
    with socket.create_connection(("127.0.0.1", exporter.port), 5) as half:
        half.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n")
        time.sleep(0.2)
        config("tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
               "  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n")
        os.kill(exporter.pid, signal.SIGHUP)
        wait_for(lambda: "loaded" in exporter.log(), 20, "reload")
        half.sendall(b"\r\n")
        half.settimeout(10)
        answer = half.recv(4096)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 503")


def test_a_broken_file_leaves_the_old_one_in_force(config, segment, start):
    # pylint: disable=unused-argument
    exporter = start("--web.config.file", config(f"basic_auth_users:\n  a: {bcrypt('1')}\n"))
    good = basic("a", "1")
    assert reload_state(exporter, good) == 1
    for text in ("basic_auth_users:\n  a: plain\n", "{", "tls_server_config:\n  cert_file: x\n"):
        config(text)
        wait_for(lambda: reload_state(exporter, good) == 0, 4, "said in a metric")
        assert exporter.get("/metrics").status == 401, "still locked"
    assert "stays in force" in exporter.log()
    assert "[-]web-config" in exporter.get("/-/healthy?verbose", good).text
    config(f"basic_auth_users:\n  a: {bcrypt('1')}\n")
    wait_for(lambda: reload_state(exporter, good) == 1, 4, "repaired")


def test_certificates_are_renewed(pki, config, segment, start, directory):
    # pylint: disable=unused-argument
    def install(name):
        for kind in ("crt", "key"):
            path = os.path.join(directory, f"live.{kind}")
            with open(path + ".new", "wb") as file:
                file.write((pki / f"{name}.{kind}").read_bytes())
            os.rename(path + ".new", path)

    def served():
        pem = ssl.get_server_certificate(("127.0.0.1", exporter.port))
        return "server2" if pem.strip() == (pki / "server2.crt").read_text().strip() else "server"
    install("server")
    exporter = start("--web.config.file", config(
        "tls_server_config:\n  cert_file: live.crt\n  key_file: live.key\n"))
    assert served() == "server"
    fds = exporter.open_fds()
    install("server2")
    wait_for(lambda: served() == "server2", 6, "the new certificate")
    install("expired")
    wait_for(lambda: "has expired" in exporter.log(), 6, "a word about the expired one")
    for _ in range(3):
        install("server")
        wait_for(lambda: served() == "server", 6)
        install("server2")
        wait_for(lambda: served() == "server2", 6)
    wait_for(lambda: exporter.open_fds() <= fds, 10, "old daemons are gone")


def test_rate_limit(config, segment, start):  # pylint: disable=unused-argument
    exporter = start("--web.config.file", config("rate_limit:\n  interval: 1s\n  burst: 3\n"))
    codes = [exporter.get("/-/healthy").status for _ in range(6)]
    assert codes[:3] == [200, 200, 200] and 429 in codes
    assert exporter.get("/-/healthy").headers["Retry-After"]


def test_unix_socket_beside_tls(pki, config, segment, start, directory):
    # pylint: disable=unused-argument
    sock = os.path.join(directory, "http.sock")
    start("--web.config.file", config(tls_text(pki)), listen=[f"unix:{sock}"])
    done = subprocess.run(["curl", "-s", "--unix-socket", sock, "http://localhost/-/ready"],
                          capture_output=True, text=True, check=True)
    assert "is ready" in done.stdout
