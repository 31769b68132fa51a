"""A standby whose replication slot was lost comes back, and no other one is touched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from werkzeug import Request

from tests.unit.roles.json_server import answering
from tests.unit.roles.modules import ROLES, load, read_yaml

program = load(ROLES / "postgres/files/lost_slot.py")
NOW = 1_000.0
REFUSED = [f"{second} db2 postgres: FATAL: requested WAL segment 0A has already been removed" for second in (960, 999)]


class Database:
    """A connection to Postgres: a primary, or a standby that streams from nobody."""

    def __init__(self, primary: bool, lost: list[str], stranded: bool, process: int | None = None) -> None:
        self.primary, self.lost, self.stranded, self.process = primary, lost, stranded, process
        self.dropped: list[str] = []
        # How often the standby streams again before the slot can be dropped.
        self.faster = 0
        self.done: list[tuple[str, Any]] = []
        self.answer: list[tuple[Any, ...]] = []

    def cursor(self) -> Database:
        return self

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, query: str, values: list[Any] | None = None) -> None:
        if query == program.LOST:
            assert values
            self.answer = [(name, self.process) for name in self.lost if name in values[0]]
        elif query == program.STRANDED:
            self.answer = [(self.stranded,)]
        elif values:
            if query == program.DROP and self.faster:
                self.faster -= 1
                raise program.psycopg2.errors.ObjectInUse
            self.done.append((query, values[0]))
            self.dropped += values if query == program.DROP else []
        else:
            self.answer = [(not self.primary,)]

    def fetchone(self) -> tuple[Any, ...]:
        return self.answer[0]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.answer


MEMBERS = [{"name": "db-1", "role": "leader"}, {"name": "db2", "role": "replica"}]


@pytest.mark.parametrize(
    ("database", "cluster", "log", "dropped", "copied"),
    [
        pytest.param(Database(True, ["db2"], False), {}, [], ["db2"], False, id="the primary drops a lost slot"),
        pytest.param(Database(True, ["db_1", "cdc"], False), {}, [], ["db_1"], False, id="but none of an operator"),
        pytest.param(Database(True, [], False), {}, REFUSED, [], False, id="a primary is never copied"),
        pytest.param(Database(True, ["db2"], False), {"pause": True}, [], [], False, id="Patroni is paused"),
        pytest.param(Database(False, [], True), {}, REFUSED, [], True, id="a standby without its WAL is copied"),
        pytest.param(Database(False, ["db2"], True), {}, REFUSED, [], True, id="a standby drops no slot of its own"),
        pytest.param(Database(False, [], False), {}, REFUSED, [], False, id="it streams, or has an archive"),
        pytest.param(Database(False, [], True), {}, [], [], False, id="it was not refused"),
        pytest.param(Database(False, [], True), {}, REFUSED[1:], [], False, id="it was refused once"),
        pytest.param(Database(False, [], True), {}, REFUSED[:1], [], False, id="it is no longer refused"),
        pytest.param(Database(False, [], True), {"members": MEMBERS[1:]}, REFUSED, [], False, id="there is no primary"),
    ],
)
def test_a_lost_slot_is_replaced_and_its_standby_comes_back(
    database: Database,
    cluster: dict[str, Any],
    log: list[str],
    dropped: list[str],
    copied: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copies: list[str] = []

    def patroni(request: Request) -> tuple[int, Any]:
        assert request.authorization
        if request.method == "POST":
            copies.append(request.path)
        return 200, {"members": MEMBERS} | cluster

    monkeypatch.setattr(program, "log", lambda: log)
    monkeypatch.setattr(program.time, "time", lambda: NOW)
    with answering(patroni) as port:
        api = {"connect_address": f"127.0.0.1:{port}", "authentication": {"username": "patroni", "password": "p"}}
        (tmp_path / "config.yml").write_text(json.dumps({"restapi": api}))
        done = program.repair(database, program.Patroni(tmp_path / "config.yml"))
    assert (database.dropped, copies) == (dropped, ["/reinitialize"] if copied else [])
    assert bool(done) == bool(dropped or copied)


def test_a_lost_slot_that_a_standby_uses_again_is_replaced_at_once(tmp_path: Path) -> None:
    def patroni(_: Request) -> tuple[int, Any]:
        return 200, {"members": MEMBERS}

    database = Database(True, ["db2"], False, process=4711)
    database.faster = 3
    with answering(patroni) as port:
        api = {"connect_address": f"127.0.0.1:{port}", "authentication": {"username": "patroni", "password": "p"}}
        (tmp_path / "config.yml").write_text(json.dumps({"restapi": api}))
        assert program.repair(database, program.Patroni(tmp_path / "config.yml"))
    ended = [(program.END_STREAM, "db2")] * 4
    assert database.done == [*ended, (program.DROP, "db2"), (program.CREATE, "db2")]


def test_a_lost_slot_that_stays_in_use_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(True, ["db2"], False, process=4711)
    database.faster = 10_000
    monkeypatch.setattr(program, "TIMEOUT", 0.02)
    assert not program.replace(database, "db2", used=True)
    assert database.dropped == []


def test_nothing_happens_while_patroni_does_not_answer(tmp_path: Path) -> None:
    api = {"connect_address": "127.0.0.1:1", "authentication": {"username": "patroni", "password": "p"}}
    (tmp_path / "config.yml").write_text(json.dumps({"restapi": api}))
    database = Database(True, ["db2"], False)
    assert program.repair(database, program.Patroni(tmp_path / "config.yml")) == ""
    assert database.dropped == []


def parameters(**own: Any) -> dict[str, Any]:
    """Return the parameters of a host with a disk of 20 GB."""
    private = read_yaml("roles/postgres/vars/main.yml")
    names = ("__postgres_local_parameters", "__postgres_sizes", "__postgres_socket_directory")
    given: dict[str, Any] = read_yaml("roles/postgres/defaults/main.yml") | {name: private[name] for name in names}
    given["__postgres_sizes"] = {"max_slot_wal_keep_size": given["__postgres_sizes"]["max_slot_wal_keep_size"]}
    given["__postgres_sizes"] = {name: trust_as_template(text) for name, text in given["__postgres_sizes"].items()}
    given |= {"__postgres_disk": {"stdout_lines": ["1M-blocks", "  20480"]}, "__postgres_tls_parameters": {}} | own
    text = trust_as_template(given["__postgres_local_parameters"])
    found: dict[str, Any] = Templar(DataLoader(), given).template(text)
    return found


def test_a_slot_keeps_a_share_of_the_disk_and_an_operator_may_set_another_size() -> None:
    assert parameters() == {"max_slot_wal_keep_size": "4096MB"}
    assert parameters(postgres_slot_wal_keep_share=0.02) == {"max_slot_wal_keep_size": "409MB"}
    assert parameters(postgres_parameters={"max_slot_wal_keep_size": "1GB"}) == {}
    assert "max_slot_wal_keep_size" not in read_yaml("roles/postgres/vars/main.yml")["__postgres_cluster_parameters"]
