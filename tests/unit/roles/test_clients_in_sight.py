"""When a primary that no client reaches switches over, and to which standby. Etcd and Patroni are faked."""

from __future__ import annotations

import json
import socket
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.json_server import Request, answering
from tests.unit.roles.modules import ROLES, load

program = load("clients_in_sight", ROLES / "postgres/files/clients_in_sight.py")


class Servers:
    """The parts of etcd and of Patroni's API that the program uses."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.leases: list[str] = []
        self.primary = True
        self.refuses = False
        self.members = [
            {"name": "db1", "role": "leader", "state": "running"},
            {"name": "db2", "role": "sync_standby", "state": "streaming"},
        ]
        self.candidates: list[str] = []
        self.logins: list[str] = []

    def answer(self, request: Request) -> tuple[int, Any]:
        """Return the status and JSON for a request."""
        if request.path == "/primary":
            return (200 if self.primary else 503), {}
        if request.path == "/cluster":
            return 200, {"members": self.members}
        if request.path == "/switchover":
            self.logins.append(request.login)
            self.candidates.append(request.body["candidate"])
            return (503 if self.refuses else 200), {}
        return 200, self._etcd(request.path, request.body)

    def _etcd(self, path: str, body: Any) -> Any:
        if path == "/v3/lease/grant":
            self.leases.append(str(len(self.leases) + 1))
            return {"ID": self.leases[-1]}
        if path == "/v3/lease/keepalive":
            return {"result": {"ID": body["ID"], "TTL": "6"} if body["ID"] in self.leases else {"ID": body["ID"]}}
        if path == "/v3/kv/txn":
            key = b64decode(body["success"][0]["request_put"]["key"]).decode()
            if body["compare"] and key in self.keys:
                return {}
            self.keys.add(key)
            return {"succeeded": True}
        key = b64decode(body["key"]).decode()
        if path == "/v3/kv/deleterange":
            self.keys.discard(key)
            return {}
        return {"kvs": [{"key": body["key"]}]} if key in self.keys else {}


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
def address(servers: Servers) -> Iterator[str]:
    with answering(servers.answer) as port:
        yield f"127.0.0.1:{port}"


class Host:
    """One host of the cluster, and whether it reaches a client."""

    def __init__(self, config: Path, etcd: str) -> None:
        patroni = program.Patroni(str(config))
        self.reaches_client = True
        self.monitor = program.Monitor(patroni, program.Etcd([etcd], patroni.scope), lambda: self.reaches_client)

    def check(self, times: int = 1, *, reaches: bool = False) -> None:
        """Run some checks."""
        self.reaches_client = reaches
        for _ in range(times):
            self.monitor.check()


def host(name: str, address: str, folder: Path) -> Host:
    config = folder / f"{name}.yml"
    login = {"username": "patroni", "password": "not-a-secret-of-anybody"}
    config.write_text(
        json.dumps({"scope": "main", "name": name, "restapi": {"connect_address": address, "authentication": login}})
    )
    return Host(config, address)


@pytest.fixture
def primary(address: str, tmp_path: Path) -> Host:
    return host("db1", address, tmp_path)


@pytest.fixture
def standby(address: str, tmp_path: Path) -> Host:
    return host("db2", address, tmp_path)


def test_a_primary_without_clients_switches_over_to_a_standby_that_reaches_one(
    servers: Servers, primary: Host, standby: Host
) -> None:
    standby.check(reaches=True)
    primary.check(2)
    assert servers.candidates == [], "two failed checks may be a coincidence"
    primary.check()
    assert servers.candidates == ["db2"]
    assert servers.logins[0].startswith("Basic ")


def test_a_primary_that_reaches_one_client_stays_primary(servers: Servers, primary: Host, standby: Host) -> None:
    standby.check(reaches=True)
    primary.check(2)
    primary.check(reaches=True)
    primary.check(2)
    assert servers.candidates == []


def test_there_is_no_switchover_if_all_clients_are_down(servers: Servers, primary: Host, standby: Host) -> None:
    standby.check(5)
    primary.check(5)
    assert servers.candidates == []


def test_a_standby_without_clients_does_nothing(servers: Servers, standby: Host) -> None:
    servers.primary = False
    standby.check(5)
    assert servers.candidates == []


@pytest.mark.parametrize("change", [{"role": "replica"}, {"state": "stopped"}])
def test_only_a_streaming_synchronous_standby_takes_over(
    servers: Servers, primary: Host, standby: Host, change: dict[str, str]
) -> None:
    standby.check(reaches=True)
    servers.members[1] |= change
    primary.check(5)
    assert servers.candidates == []


def test_a_flapping_network_moves_the_primary_once(servers: Servers, primary: Host, standby: Host) -> None:
    standby.check(reaches=True)
    primary.check(9)
    primary.check(reaches=True)
    primary.check(9)
    assert servers.candidates == ["db2"]


def test_a_switchover_that_patroni_refuses_is_retried(
    servers: Servers, primary: Host, standby: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    standby.check(reaches=True)
    servers.refuses = True
    primary.check(5)
    servers.refuses = False
    primary.check()
    assert servers.candidates == ["db2"] * 4
    assert len(capsys.readouterr().out.splitlines()) == 2, "an unchanged message is logged once"


def test_a_key_is_kept_alive_and_written_again_after_it_has_expired(servers: Servers, standby: Host) -> None:
    standby.check(3, reaches=True)
    assert len(servers.leases) == 1
    servers.leases[0] = "expired"
    servers.keys.clear()
    standby.check(reaches=True)
    assert servers.keys == {"/flaskfleet/main/clients-in-sight/db2"}


def test_a_refused_connection_counts_as_reached_and_a_timeout_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, socket.create_server(("127.0.0.1", 0)) as server:
        silent, answering = (f"127.0.0.1:{one.getsockname()[1]}" for one in (deaf, server))
        with socket.create_connection(deaf.getsockname()):  # fills the backlog
            assert not program.reaches_any([silent])
            assert program.reaches_any([silent, silent, answering])
            server.close()
            assert program.reaches_any([answering, silent])
