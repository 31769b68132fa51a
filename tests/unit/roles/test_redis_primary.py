"""How the module redis_primary finds the master, also on a host that has lost its data."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from tests.unit.roles.redis_modules import PASSWORD, redis_primary, run


class Fleet:
    """Sentinels and copies by address, with fake connections to them."""

    def __init__(self) -> None:
        self.named: dict[str, tuple[str, int] | None] = {}
        self.info: dict[str, dict[str, Any]] = {}
        self.password = PASSWORD

    def client(self, address: str, port: int, _user: str, password: str, timeout: float) -> FakeClient:
        assert timeout <= 1
        if address not in (self.named if port == 26379 else self.info):
            raise redis.ConnectionError
        if password != self.password:
            raise redis.AuthenticationError
        return FakeClient(self, address)

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


class FakeClient:
    def __init__(self, fleet: Fleet, address: str) -> None:
        self.fleet, self.address = fleet, address

    def __enter__(self) -> FakeClient:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def sentinel_master(self, _name: str) -> dict[str, Any]:
        if (named := self.fleet.named[self.address]) is None:
            raise redis.ResponseError("No such master with that name")
        return {"ip": named[0], "config-epoch": named[1]}

    def info(self, *_: str) -> dict[str, Any]:
        return self.fleet.info[self.address]


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    fleet = Fleet()
    monkeypatch.setattr(redis_primary, "client", fleet.client)
    return fleet


def answer(result: dict[str, Any]) -> tuple[str, str]:
    return result["primaries"]["store"], result["sources"]["store"]


def test_on_a_fresh_fleet_the_first_host_is_master(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h2": None}
    assert answer(fleet.find(capsys, "h1", empty=True)) == ("h1", "inventory")
    assert answer(fleet.find(capsys, "h2", empty=True)) == ("h1", "inventory")


def test_the_majority_of_the_sentinels_decides(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h1": ("h1", 9), "h2": ("h2", 1), "h3": ("h2", 1)}
    assert answer(fleet.find(capsys)) == ("h2", "sentinel")


def test_the_newer_answer_decides_between_two_sentinels(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h1": ("h1", 0), "h3": ("h2", 1)}
    assert answer(fleet.find(capsys)) == ("h2", "sentinel")


def test_without_sentinels_the_copies_decide(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h1": None}
    fleet.info = {
        "h1": {"role": "master", "connected_slaves": 0},
        "h2": {"role": "master", "connected_slaves": 1, "db0": {"keys": 3}},
        "h3": {"role": "slave", "master_host": "h2"},
    }
    assert answer(fleet.find(capsys)) == ("h2", "instances")


def test_a_host_that_lost_its_data_does_not_start_as_master_of_copies_with_data(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.named = {"h2": ("h1", 0), "h3": ("h1", 0)}
    replica = {"role": "slave", "master_host": "h1"}
    fleet.info = {"h2": replica | {"db0": {"keys": 3}}, "h3": replica}
    result = fleet.find(capsys, "h1", empty=True)
    assert result["failed"]
    assert "h1 should be master of store but has no data, while h2 has. Run `SENTINEL FAILOVER store`" in result["msg"]


def test_an_empty_master_starts_again_if_no_copy_has_data(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h2": ("h1", 0)}
    fleet.info = {"h2": {"role": "slave", "master_host": "h1"}}
    assert answer(fleet.find(capsys, "h1", empty=True)) == ("h1", "sentinel")


def test_a_new_host_does_not_guess_the_master_if_the_others_reject_its_password(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.named = {"h2": ("h2", 0)}
    assert "h2 rejects the password of monitoring" in fleet.find(capsys, "h1", empty=True, password="new")["msg"]
    assert answer(fleet.find(capsys, "h1", empty=False, password="new")) == ("h1", "inventory")
