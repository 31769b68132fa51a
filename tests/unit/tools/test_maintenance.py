"""The order of maintenance, and indispensable hosts."""

from tests.unit.tools.fleet_views import HEALTHY, HOSTS, changed
from tools.fleet.context import Host
from tools.fleet.maintenance import indispensable, maintenance_order


def test_leaders_come_last_and_tiers_are_in_the_order_of_a_request() -> None:
    assert " ".join(maintenance_order(HOSTS, HEALTHY)) == "lb2 app1 worker1 db2 cache2 mon1 lb1 db1 cache1"


def test_the_current_leader_comes_last() -> None:
    swapped = changed(db1=HEALTHY["db2"], db2=HEALTHY["db1"])
    assert maintenance_order(HOSTS, swapped)[-3:] == ["lb1", "db2", "cache1"]


def test_a_host_is_indispensable_if_its_tier_or_its_majority_depends_on_it() -> None:
    assert indispensable(HOSTS) == {"app1": ["app"]}
    pair = [Host(name, "", frozenset({"etcd", "postgres"})) for name in ("a", "b")]
    assert indispensable(pair) == {"a": ["etcd"], "b": ["etcd"]}
    assert indispensable([Host("w", "", frozenset({"workers", "monitoring"}))]) == {}
