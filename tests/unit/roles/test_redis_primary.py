"""How the module redis_primary finds the master, also on a host that has lost its data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from tests.unit.roles.modules import PASSWORD, Run
from tests.unit.roles.redis_modules import redis_primary


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch, run_module: Run) -> Run:
    """Run the module with the answers of Sentinels and instances by address."""

    def find(
        named: dict[str, tuple[str, int] | None],
        info: dict[str, dict[str, Any]] | None = None,
        empty: bool = False,
        own: str = "h1",
        password: str = PASSWORD,
    ) -> dict[str, Any]:
        instances = info or {}

        @contextmanager
        def client(address: str, port: int, _user: str, password: str, timeout: float) -> Iterator[Mock]:
            assert timeout <= 1
            if address not in (named if port == 26379 else instances):
                raise redis.ConnectionError
            if password != PASSWORD:
                raise redis.AuthenticationError
            ip, epoch = named.get(address) or ("", 0)
            master: Any = {"ip": ip, "config-epoch": epoch} if ip else redis.ResponseError("No such master")
            yield Mock(sentinel_master=Mock(side_effect=[master]), info=Mock(return_value=instances.get(address)))

        monkeypatch.setattr(redis_primary, "client", client)
        copies = ["h1", "h2", "h3"]
        store = {"name": "store", "port": 6380, "candidates": copies[:2], "copies": copies, "empty": empty}
        login = {"login_user": "monitoring", "login_password": password}
        arguments = {"instances": [store], "sentinels": copies, "address": own, "promotion_timeout": 0}
        return run_module(redis_primary, arguments | login)

    return find


REPLICA = {"role": "slave", "master_host": "h1"}
KEYS = {"db0": {"keys": 3}}
COPIES = {
    "h1": {"role": "master", "connected_slaves": 0},
    "h2": {"role": "master", "connected_slaves": 1} | KEYS,
    "h3": {"role": "slave", "master_host": "h2"},
}


@pytest.mark.parametrize(
    ("arguments", "primary", "source"),
    [
        pytest.param({"named": {"h2": None}, "empty": True}, "h1", "inventory", id="a fresh fleet, on its first host"),
        pytest.param({"named": {"h2": None}, "empty": True, "own": "h2"}, "h1", "inventory", id="on its second host"),
        pytest.param(
            {"named": {"h1": ("h1", 9), "h2": ("h2", 1), "h3": ("h2", 1)}}, "h2", "sentinel", id="most Sentinels decide"
        ),
        pytest.param({"named": {"h1": ("h1", 0), "h3": ("h2", 1)}}, "h2", "sentinel", id="the newer answer decides"),
        pytest.param({"named": {"h1": None}, "info": COPIES}, "h2", "instances", id="without Sentinels copies decide"),
        pytest.param(
            {"named": {"h2": ("h1", 0)}, "info": {"h2": REPLICA}, "empty": True},
            "h1",
            "sentinel",
            id="an empty master starts again if no copy has data",
        ),
        pytest.param(
            {"named": {"h2": ("h2", 0)}, "password": "new"}, "h1", "inventory", id="with data and a new password"
        ),
    ],
)
def test_the_master_is_found(find: Run, arguments: dict[str, Any], primary: str, source: str) -> None:
    result = find(**arguments)
    assert (result["primaries"], result["sources"]) == ({"store": primary}, {"store": source})


def test_a_host_that_lost_its_data_does_not_start_as_master_of_copies_with_data(find: Run) -> None:
    result = find({"h2": ("h1", 0), "h3": ("h1", 0)}, {"h2": REPLICA | KEYS, "h3": REPLICA}, empty=True)
    assert result["failed"]
    assert "h1 should be master of store but has no data, while h2 has. Run `SENTINEL FAILOVER store`" in result["msg"]


def test_a_new_host_does_not_guess_the_master_if_the_others_reject_its_password(find: Run) -> None:
    message = find({"h2": ("h2", 0)}, empty=True, password="new")["msg"]
    assert "h2 rejects the password of monitoring" in message
