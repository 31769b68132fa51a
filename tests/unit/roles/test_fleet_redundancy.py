"""The action plugin that waits until a fleet is fully redundant."""

from __future__ import annotations

from plugins.action.fleet_redundancy import members
from tools.fleet.context import Host


def test_a_hosts_tiers_are_its_groups_in_the_inventory() -> None:
    groups = {"all": ["db1", "mon1"], "ungrouped": [], "etcd": ["db1", "mon1"], "postgres": ["db1"]}
    hostvars = {"db1": {"fleet_address": "10.0.0.41"}, "mon1": {"fleet_address": "10.0.0.61"}}
    assert members(groups, hostvars) == [
        Host("db1", "10.0.0.41", frozenset({"etcd", "postgres"})),
        Host("mon1", "10.0.0.61", frozenset({"etcd"})),
    ]
