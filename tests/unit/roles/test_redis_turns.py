"""In which order hosts restart what they run of Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROLE = Path(__file__).parents[3] / "roles" / "redis"
MEMBERS = [{"name": "cache1", "address": "10.0.0.1"}, {"name": "cache2", "address": "10.0.0.2"}]


def turns(store: str, cache: str, stale: dict[str, list[str]]) -> list[str]:
    """The order, by the masters' addresses and what each host has to restart."""
    private: dict[str, Any] = yaml.safe_load((ROLE / "vars" / "main.yml").read_text())
    names = ("__redis_stale_anywhere", "__redis_stale_primaries", "__redis_leading", "__redis_turns")
    variables = {name: trust_as_template(private[name]) for name in names} | {
        "redis_members": MEMBERS,
        "ansible_play_hosts": ["cache1", "cache2", "mon1"],
        "hostvars": {
            name: {"__redis_stale": stale[name]} if name in stale else {} for name in ("cache1", "cache2", "mon1")
        },
        "__redis_primary": {"primaries": {"store": store, "cache": cache}},
    }
    order: list[str] = Templar(DataLoader(), variables=variables).template(variables["__redis_turns"])
    return order


STORE = {name: ["redis@store"] for name in ("cache1", "cache2", "mon1")}
ALL = {name: ["redis@store", "redis@cache"] for name in ("cache1", "cache2", "mon1")}


@pytest.mark.parametrize(
    ("store", "cache", "stale", "order"),
    [
        ("10.0.0.1", "10.0.0.1", ALL, ["cache2", "mon1", "cache1"]),
        ("10.0.0.2", "10.0.0.2", ALL, ["cache1", "mon1", "cache2"]),
        ("10.0.0.1", "10.0.0.2", ALL, ["mon1", "cache1", "cache2"]),
        # cache2 leads the cache alone, which goes on: it restarts before the store is handed over to it.
        ("10.0.0.1", "10.0.0.2", STORE, ["cache2", "mon1", "cache1"]),
        ("10.0.0.1", "10.0.0.2", {"cache1": ["redis@store"]}, ["cache2", "mon1", "cache1"]),
        ("10.0.0.1", "10.0.0.2", {}, ["cache1", "cache2", "mon1"]),
    ],
)
def test_whoever_takes_over_has_restarted_before(
    store: str, cache: str, stale: dict[str, list[str]], order: list[str]
) -> None:
    assert turns(store, cache, stale) == order
