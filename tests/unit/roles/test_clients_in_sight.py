"""When a primary that no client reaches switches over, and to which standby. Etcd and Patroni are faked."""

from __future__ import annotations

import json
import socket
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug import Request

from tests.unit.roles.json_server import Etcd, answering
from tests.unit.roles.modules import PASSWORD, ROLES, load

program = load(ROLES / "postgres/files/clients_in_sight.py")


class Servers:
    """etcd, and the part of Patroni's API that the program uses."""

    def __init__(self) -> None:
        self.etcd = Etcd()
        self.primary = True
        self.refuses = False
        self.standby = {"name": "db2", "role": "sync_standby", "state": "streaming"}
        self.candidates: list[str] = []

    def answer(self, request: Request) -> tuple[int, Any]:
        """Return the status and JSON for a request."""
        match request.path:
            case "/primary":
                return (200 if self.primary else 503), {}
            case "/cluster":
                return 200, {"members": [{"name": "db1", "role": "leader", "state": "running"}, self.standby]}
            case "/switchover":
                login = request.authorization
                self.candidates.append(request.get_json()["candidate"] if login else "a request without a login")
                return (503 if self.refuses else 200), {}
        return 200, self.etcd.answer(request.path, request.get_json(force=True))


class Host:
    """One host of the cluster, and whether it reaches a client."""

    def __init__(self, name: str, address: str, folder: Path) -> None:
        config = folder / f"{name}.yml"
        api = {"connect_address": address, "authentication": {"username": "patroni", "password": PASSWORD}}
        config.write_text(json.dumps({"scope": "main", "name": name, "restapi": api}))
        patroni = program.Patroni(str(config))
        self.reaches_client = True
        self.monitor = program.Monitor(patroni, program.Etcd([address], patroni.scope), lambda: self.reaches_client)

    def check(self, results: str) -> None:
        """Run some checks, each of which reaches a client (+) or not (-)."""
        for result in results:
            self.reaches_client = result == "+"
            self.monitor.check()


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
def hosts(servers: Servers, tmp_path: Path) -> Iterator[list[Host]]:
    """The primary and the standby."""
    with answering(servers.answer) as port:
        yield [Host(name, f"127.0.0.1:{port}", tmp_path) for name in ("db1", "db2")]


@pytest.mark.parametrize(
    ("standby", "primary", "change", "candidates"),
    [
        pytest.param("+", "--", {}, [], id="two failed checks may be a coincidence"),
        pytest.param("+", "---", {}, ["db2"], id="three failed checks"),
        pytest.param("+", "--+--", {}, [], id="one client is reached"),
        pytest.param("+", "---------+---------", {}, ["db2"], id="a flapping network moves the primary once"),
        pytest.param("-----", "-----", {}, [], id="all clients are down"),
        pytest.param("+", "-----", {"role": "replica"}, [], id="the standby is not synchronous"),
        pytest.param("+", "-----", {"state": "stopped"}, [], id="the standby does not stream"),
    ],
)
def test_a_primary_without_clients_switches_over_to_a_standby_that_reaches_one(
    servers: Servers, hosts: list[Host], standby: str, primary: str, change: dict[str, str], candidates: list[str]
) -> None:
    servers.standby |= change
    hosts[1].check(standby)
    hosts[0].check(primary)
    assert servers.candidates == candidates


def test_a_standby_without_clients_does_nothing(servers: Servers, hosts: list[Host]) -> None:
    servers.primary = False
    hosts[1].check("-----")
    assert servers.candidates == []


def test_a_switchover_that_patroni_refuses_is_retried(
    servers: Servers, hosts: list[Host], capsys: pytest.CaptureFixture[str]
) -> None:
    primary, standby = hosts
    standby.check("+")
    servers.refuses = True
    primary.check("-----")
    servers.refuses = False
    primary.check("-")
    assert servers.candidates == ["db2"] * 4
    assert len(capsys.readouterr().out.splitlines()) == 2, "an unchanged message is logged once"


def test_a_key_is_kept_alive_and_written_again_after_it_has_expired(servers: Servers, hosts: list[Host]) -> None:
    hosts[1].check("+++")
    assert len(servers.etcd.leases) == 1
    servers.etcd.leases[0] = "expired"
    servers.etcd.data.clear()
    hosts[1].check("+")
    assert [b64decode(key) for key in servers.etcd.data] == [b"/flaskfleet/main/clients-in-sight/db2"]


def test_a_refused_connection_counts_as_reached_and_a_timeout_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, socket.create_server(("127.0.0.1", 0)) as server:
        silent, answering = (f"127.0.0.1:{one.getsockname()[1]}" for one in (deaf, server))
        with socket.create_connection(deaf.getsockname()):  # fills the backlog
            assert not program.reaches_any([silent])
            assert program.reaches_any([silent, silent, answering])
            server.close()
            assert program.reaches_any([answering, silent])
