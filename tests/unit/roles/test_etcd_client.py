"""How the modules and programs of the fleet reach etcd, by TLS and in plain text, against a small server."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from werkzeug import Request

from tests.unit.roles.etcd_modules import client, etcd_call
from tests.unit.roles.json_server import answering, certify
from tests.unit.roles.modules import ROLES, Run, load
from tools.fleet import probe

in_sight = load(ROLES / "postgres/files/clients_in_sight.py")
leader = load(ROLES / "postgres/files/etcd_leader_elsewhere.py")
SERVES = {"plain": "http://10.0.0.1:2379", "tls": "https://10.0.0.1:2379"}
Serve = Callable[[bool], int]


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """The certificate of this host, in the files of every client."""
    for module, settings in ((client, "SETTINGS"), (probe, "ETCD_SETTINGS")):
        monkeypatch.setattr(module, "TLS", tmp_path)
        monkeypatch.setattr(module, settings, tmp_path / "fleet.conf")
    for program in (in_sight, leader):
        for name, file in (("CA", "ca.pem"), ("CERTIFICATE", "cert.pem"), ("KEY", "key.pem")):
            monkeypatch.setattr(program, name, str(tmp_path / file))
    return certify(tmp_path)


@pytest.fixture
def serve(context: ssl.SSLContext) -> Iterator[Serve]:
    """Start a member that serves TLS or plain text; returns its port."""

    def answer(request: Request) -> tuple[int, Any]:
        return (503, {"message": "no leader"}) if request.path == "/broken" else (200, {"asked": request.path})

    with ExitStack() as stack:
        yield lambda tls: stack.enter_context(answering(answer, tls=context if tls else None))


def settle(folder: Path, *serves: str) -> None:
    """Write what this host's member serves."""
    urls = ",".join(SERVES[name] for name in serves)
    (folder / "fleet.conf").write_text(
        f"[Service]\nEnvironment=ETCD_LISTEN_CLIENT_URLS={urls}\nEnvironment=OTHER=http://\n"
    )


@pytest.mark.parametrize(
    ("own", "other_by_tls"),
    [
        pytest.param(["tls"], True, id="only TLS"),
        pytest.param(["plain"], False, id="only plain text"),
        pytest.param(["plain", "tls"], True, id="on the way: the other has changed"),
        pytest.param(["plain", "tls"], False, id="on the way: the other has not changed yet"),
    ],
)
def test_a_member_is_asked_in_the_way_that_it_serves(
    tmp_path: Path, serve: Serve, own: list[str], other_by_tls: bool
) -> None:
    settle(tmp_path, *own)
    assert client.call("127.0.0.1", "/health", None, serve(other_by_tls)) == (200, {"asked": "/health"})


def test_a_member_that_speaks_plain_text_is_not_asked_once_the_fleet_has_changed(tmp_path: Path, serve: Serve) -> None:
    settle(tmp_path, "tls")
    with pytest.raises(OSError, match=r"SSL|reset|EOF"):
        client.call("127.0.0.1", "/health", None, serve(False))


def test_a_member_of_another_ca_is_not_asked_in_plain_text_either(tmp_path: Path, serve: Serve) -> None:
    settle(tmp_path, "plain", "tls")
    port = serve(True)
    certify(tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        client.call("127.0.0.1", "/health", None, port)


def test_the_module_reports_an_answer_and_why_there_is_none(tmp_path: Path, serve: Serve, run_module: Run) -> None:
    settle(tmp_path, "tls")
    given = {"address": "127.0.0.1", "port": serve(True), "timeout": 2}
    good = run_module(etcd_call, given | {"path": "/v3/kv/range", "body": {}})
    assert (good["status"], good["json"], good["changed"]) == (200, {"asked": "/v3/kv/range"}, False)
    refused = run_module(etcd_call, given | {"path": "/broken"})
    assert (refused["status"], refused["failed"]) == (503, True)
    assert refused["msg"] == "etcd at 127.0.0.1 did not answer /broken: status 503, no leader."
    nobody = run_module(etcd_call, given | {"path": "/health", "port": 1})
    assert (nobody["status"], nobody["json"]) == (0, {})
    assert "Connection refused" in nobody["msg"]


@pytest.mark.usefixtures("context")
def test_the_programs_use_the_scheme_of_the_url(serve: Serve) -> None:
    for tls in (True, False):
        server = f"{'https' if tls else 'http'}://127.0.0.1:{serve(tls)}"
        assert in_sight.request(server, "POST", "/x", {}) == {"asked": "/x"}
        assert leader.call(server, "POST", "/x", {}) == (200, {"asked": "/x"})


@pytest.mark.usefixtures("context")
def test_a_host_without_a_key_says_why_it_cannot_take_over(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server = f"https://127.0.0.1:{serve(True)}"
    monkeypatch.setattr(in_sight, "KEY", str(tmp_path / "nowhere.key"))
    config = tmp_path / "patroni.yml"
    api = {"connect_address": "127.0.0.1:1", "authentication": {"username": "patroni", "password": "x"}}
    config.write_text(json.dumps({"scope": "main", "name": "db1", "restapi": api}))
    monitor = in_sight.Monitor(in_sight.Patroni(str(config)), in_sight.Etcd([server], "main"), lambda: True)
    for _ in range(3):
        monitor.check()
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"this host cannot take over, because etcd does not answer: {server}: ")
    assert "No such file" in line


def test_status_asks_a_member_in_the_way_that_it_serves(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tls in (True, False):
        settle(tmp_path, "tls" if tls else "plain")
        monkeypatch.setattr(probe, "ETCD_PORT", serve(tls))
        assert probe.ask_etcd("127.0.0.1", "/v3/kv/range", {}) == {"asked": "/v3/kv/range"}
