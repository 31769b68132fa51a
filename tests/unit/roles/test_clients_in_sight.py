"""A primary that no client reaches hands over: when, to whom, and when not. The programs that it talks to are here; Patroni's is not."""

from __future__ import annotations

import json
import socket
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.json_server import Asked, answering
from tests.unit.roles.modules import ROLES, load

program = load("clients_in_sight", ROLES / "postgres/files/clients_in_sight.py")


class Servers:
    """Etcd's notes and Patroni's API, as far as the program asks them."""

    def __init__(self) -> None:
        self.notes: set[str] = set()
        self.leases: list[str] = []
        self.primary = True
        self.refuses = False
        self.members = [
            {"name": "db1", "role": "leader", "state": "running"},
            {"name": "db2", "role": "sync_standby", "state": "streaming"},
        ]
        self.candidates: list[str] = []
        self.logins: list[str] = []

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """Status and JSON for a request."""
        if asked.path == "/primary":
            return (200 if self.primary else 503), {}
        if asked.path == "/cluster":
            return 200, {"members": self.members}
        if asked.path == "/switchover":
            self.logins.append(asked.login)
            self.candidates.append(asked.body["candidate"])
            return (503 if self.refuses else 200), {}
        return 200, self._etcd(asked.path, asked.body)

    def _etcd(self, path: str, body: Any) -> Any:
        if path == "/v3/lease/grant":
            self.leases.append(str(len(self.leases) + 1))
            return {"ID": self.leases[-1]}
        if path == "/v3/lease/keepalive":
            return {"result": {"ID": body["ID"], "TTL": "6"} if body["ID"] in self.leases else {"ID": body["ID"]}}
        if path == "/v3/kv/txn":
            key = b64decode(body["success"][0]["request_put"]["key"]).decode()
            if body["compare"] and key in self.notes:
                return {}
            self.notes.add(key)
            return {"succeeded": True}
        key = b64decode(body["key"]).decode()
        if path == "/v3/kv/deleterange":
            self.notes.discard(key)
            return {}
        return {"kvs": [{"key": body["key"]}]} if key in self.notes else {}


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
def address(servers: Servers) -> Iterator[str]:
    with answering(servers.answer) as port:
        yield f"127.0.0.1:{port}"


class Host:
    """One host of the cluster, and whether it sees a client."""

    def __init__(self, config: Path, etcd: str) -> None:
        patroni = program.Patroni(str(config))
        self.sees = True
        self.watch = program.Watch(patroni, program.Etcd([etcd], patroni.scope), lambda: self.sees)

    def look(self, times: int = 1, *, sees: bool = False) -> None:
        """Let it look."""
        self.sees = sees
        for _ in range(times):
            self.watch.look()


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


def test_a_primary_without_clients_hands_over_to_a_standby_that_has_some(
    servers: Servers, primary: Host, standby: Host
) -> None:
    standby.look(sees=True)
    primary.look(2)
    assert servers.candidates == [], "two looks may be an accident"
    primary.look()
    assert servers.candidates == ["db2"]
    assert servers.logins[0].startswith("Basic ")


def test_one_client_is_enough_to_stay(servers: Servers, primary: Host, standby: Host) -> None:
    standby.look(sees=True)
    primary.look(2)
    primary.look(sees=True)
    primary.look(2)
    assert servers.candidates == []


def test_nobody_hands_over_where_all_clients_are_down(servers: Servers, primary: Host, standby: Host) -> None:
    standby.look(5)
    primary.look(5)
    assert servers.candidates == []


def test_a_standby_without_clients_does_nothing(servers: Servers, standby: Host) -> None:
    servers.primary = False
    standby.look(5)
    assert servers.candidates == []


@pytest.mark.parametrize("change", [{"role": "replica"}, {"state": "stopped"}])
def test_only_a_synchronous_standby_that_streams_takes_over(
    servers: Servers, primary: Host, standby: Host, change: dict[str, str]
) -> None:
    standby.look(sees=True)
    servers.members[1] |= change
    primary.look(5)
    assert servers.candidates == []


def test_a_network_that_comes_and_goes_moves_the_primary_once(servers: Servers, primary: Host, standby: Host) -> None:
    standby.look(sees=True)
    primary.look(9)
    primary.look(sees=True)
    primary.look(9)
    assert servers.candidates == ["db2"]


def test_a_hand_over_that_patroni_refuses_is_tried_again(
    servers: Servers, primary: Host, standby: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    standby.look(sees=True)
    servers.refuses = True
    primary.look(5)
    servers.refuses = False
    primary.look()
    assert servers.candidates == ["db2"] * 4
    assert len(capsys.readouterr().out.splitlines()) == 2, "what does not change is said once"


def test_sight_is_renewed_and_noted_anew_after_it_has_expired(servers: Servers, standby: Host) -> None:
    standby.look(3, sees=True)
    assert len(servers.leases) == 1
    servers.leases[0] = "expired"
    servers.notes.clear()
    standby.look(sees=True)
    assert servers.notes == {"/flaskfleet/main/clients-in-sight/db2"}


def test_a_client_that_refuses_is_reached_and_one_that_does_not_answer_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, socket.create_server(("127.0.0.1", 0)) as server:
        silent, answering = (f"127.0.0.1:{one.getsockname()[1]}" for one in (deaf, server))
        with socket.create_connection(deaf.getsockname()):  # takes the only place
            assert not program.sees([silent])
            assert program.sees([silent, silent, answering])
            server.close()
            assert program.sees([answering, silent])
