"""Who is master, and what a host does that has lost its data: the module redis_primary, told what each server says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.roles.redis_modules import PASSWORD, redis_primary, run


class Fleet:
    """Sentinels and copies by address: what each says, instead of connections to them."""

    def __init__(self) -> None:
        self.named: dict[str, tuple[str, int] | None] = {}
        self.info: dict[str, str] = {}
        self.password = PASSWORD

    def connection(self, address: str, port: int, _user: str, password: str, timeout: float) -> FakeConnection:
        assert timeout <= 1
        if address not in (self.named if port == 26379 else self.info):
            raise ConnectionRefusedError
        if password != self.password:
            raise redis_primary.RedisError("WRONGPASS invalid username-password pair")
        return FakeConnection(self, address)

    def find(
        self, capsys: pytest.CaptureFixture[str], own: str = "h1", empty: bool = False, password: str = PASSWORD
    ) -> dict[str, Any]:
        store = {
            "name": "store",
            "port": 6380,
            "candidates": ["h1", "h2"],
            "copies": ["h1", "h2", "h3"],
            "empty": empty,
        }
        login = {"login_user": "monitoring", "login_password": password}
        arguments = {"instances": [store], "sentinels": ["h1", "h2", "h3"], "address": own, "promotion_timeout": 0}
        return run(redis_primary, arguments | login, capsys)


class FakeConnection:
    def __init__(self, fleet: Fleet, address: str) -> None:
        self.fleet, self.address = fleet, address

    def __enter__(self) -> FakeConnection:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def pairs(self, *_: str) -> dict[str, str]:
        if (named := self.fleet.named[self.address]) is None:
            raise redis_primary.RedisError("ERR No such master with that name")
        return {"ip": named[0], "config-epoch": str(named[1])}

    def info(self, *_: str) -> dict[str, str]:
        return dict(word.split("=", 1) for word in self.fleet.info[self.address].split())


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    fleet = Fleet()
    monkeypatch.setattr(redis_primary, "Connection", fleet.connection)
    return fleet


def answer(result: dict[str, Any]) -> tuple[str, str]:
    return result["primaries"]["store"], result["sources"]["store"]


def test_on_a_fresh_fleet_the_first_host_is_master(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h2": None}
    assert answer(fleet.find(capsys, "h1", empty=True)) == ("h1", "inventory")
    assert answer(fleet.find(capsys, "h2", empty=True)) == ("h1", "inventory")


def test_most_of_the_sentinels_that_know_decide(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h1": ("h1", 9), "h2": ("h2", 1), "h3": ("h2", 1)}
    assert answer(fleet.find(capsys)) == ("h2", "sentinel")


def test_of_two_sentinels_that_differ_the_newer_decides(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h1": ("h1", 0), "h3": ("h2", 1)}
    assert answer(fleet.find(capsys)) == ("h2", "sentinel")


def test_without_a_sentinel_the_copies_tell_whom_they_follow(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h1": None}
    fleet.info = {
        "h1": "role=master connected_slaves=0",
        "h2": "role=master connected_slaves=1 db0=keys",
        "h3": "role=slave master_host=h2",
    }
    assert answer(fleet.find(capsys)) == ("h2", "instances")


def test_a_host_that_lost_its_data_never_begins_as_master_of_those_that_have_it(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.named = {"h2": ("h1", 0), "h3": ("h1", 0)}
    fleet.info = {"h2": "role=slave master_host=h1 db0=keys=3", "h3": "role=slave master_host=h1"}
    result = fleet.find(capsys, "h1", empty=True)
    assert result["failed"]
    assert "h1 should be master of store but has no data, while h2 has" in result["msg"]


def test_a_master_whose_first_run_broke_off_begins_again(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h2": ("h1", 0)}
    fleet.info = {"h2": "role=slave master_host=h1"}
    assert answer(fleet.find(capsys, "h1", empty=True)) == ("h1", "sentinel")


def test_a_new_host_does_not_guess_while_the_others_know_another_password(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.named = {"h2": ("h2", 0)}
    assert "h2 refuses monitoring" in fleet.find(capsys, "h1", empty=True, password="new")["msg"]
    assert answer(fleet.find(capsys, "h1", empty=False, password="new")) == ("h1", "inventory")
