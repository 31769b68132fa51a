"""The order in which hosts restart Redis."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from tests.unit.roles.modules import read_yaml

HOSTS = ["cache1", "cache2", "mon1"]
STORE = {name: ["redis@store"] for name in HOSTS}
ALL = {name: ["redis@store", "redis@cache"] for name in HOSTS}


@pytest.mark.parametrize(
    ("store", "cache", "stale", "order"),
    [
        ("10.0.0.1", "10.0.0.1", ALL, ["cache2", "mon1", "cache1"]),
        ("10.0.0.2", "10.0.0.2", ALL, ["cache1", "mon1", "cache2"]),
        ("10.0.0.1", "10.0.0.2", ALL, ["mon1", "cache1", "cache2"]),
        # cache2 is master of the cache, which is not stale. So cache2 restarts before it becomes master of the store.
        ("10.0.0.1", "10.0.0.2", STORE, ["cache2", "mon1", "cache1"]),
        ("10.0.0.1", "10.0.0.2", {"cache1": ["redis@store"]}, ["cache2", "mon1", "cache1"]),
        ("10.0.0.1", "10.0.0.2", {}, HOSTS),
    ],
)
def test_the_next_master_restarts_before_it_is_promoted(
    store: str, cache: str, stale: dict[str, list[str]], order: list[str]
) -> None:
    private = read_yaml("roles/redis/vars/main.yml")
    names = ("__redis_stale_anywhere", "__redis_stale_primaries", "__redis_hosts_with_masters", "__redis_restart_order")
    variables: dict[str, Any] = {name: trust_as_template(private[name]) for name in names} | {
        "redis_members": [{"name": "cache1", "address": "10.0.0.1"}, {"name": "cache2", "address": "10.0.0.2"}],
        "ansible_play_hosts": HOSTS,
        "hostvars": {name: {"__redis_stale": stale[name]} if name in stale else {} for name in HOSTS},
        "__redis_primary": {"primaries": {"store": store, "cache": cache}},
    }
    assert Templar(DataLoader(), variables=variables).template(variables["__redis_restart_order"]) == order
