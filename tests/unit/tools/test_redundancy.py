"""The problems that keep a fleet from full redundancy, for `make status` and for the failure drills."""

from typing import Any

import pytest

from tests.unit.tools.fleet_views import HEALTHY, HOSTS, NOTE, PATRONI, changed
from tools.fleet.context import Host
from tools.fleet.redundancy import missing

# Facts that are not needed.
OPTIONAL = {"failed", "stopped", "drained", "release", "beat", "patroni", "candidates", "sentinel", "etcd_leads"}


@pytest.mark.parametrize(
    "absent",
    [set(), {"vip"}, OPTIONAL],
    ids=["none", "the virtual address, behind a cloud's load balancer", "most others"],
)
def test_a_healthy_fleet_has_no_problems_even_without_some_facts(absent: set[str]) -> None:
    view = {host: {fact: facts[fact] for fact in facts.keys() - absent} for host, facts in HEALTHY.items()}
    assert missing(HOSTS, view) == []


def test_a_single_host_in_every_group_has_no_problems() -> None:
    groups = frozenset(group for host in HOSTS for group in host.groups)
    master = {"master": True, "replicas": 0, "behind": {}}
    facts = (
        HEALTHY["lb1"]
        | HEALTHY["app1"]
        | HEALTHY["db1"]
        | {"postgres": {"primary": True, "standbys": {}}, "sentinel": 1}
    )
    assert missing([Host("node1", "", groups)], {"node1": facts | {"cache": master, "store": master}}) == []


@pytest.mark.parametrize(
    ("host", "facts", "problem"),
    [
        ("app1", {"app": None}, "app1 has an application that is not ready"),
        (
            "app1",
            {"system": "degraded", "failed": ["a.service", "b.timer"]},
            "app1 has failed units: a.service, b.timer",
        ),
        ("app1", {"system": "starting"}, "app1 is starting"),
        ("lb2", {"stopped": ["keepalived"]}, "lb2 does not run keepalived"),
        ("app1", {"app": False}, "app1 has an application that is not ready"),
        ("worker1", {"release": None}, "worker1 has no release"),
        ("worker1", {"release": "r2"}, "releases differ (r1 on app1; r2 on worker1)"),
        ("lb1", {"vip": False}, "the virtual address is on no host"),
        ("lb2", {"vip": True}, "the virtual address is on lb1 and lb2"),
        ("db2", {"etcd": None}, "etcd has 2 of 3 votes (not db2)"),
        (
            "db2",
            {"etcd_alarms": ["NOSPACE"]},
            "etcd is out of space, so it refuses every write, and Postgres cannot fail over",
        ),
        ("db2", {"etcd_alarms": ["CORRUPT"]}, "etcd has the alarm CORRUPT"),
        ("db2", {"postgres": {"primary": True, "standbys": {}}}, "Postgres has 2 primaries: db1 and db2"),
        (
            "db1",
            {"postgres": {"primary": True, "standbys": {"db2": ["streaming", "async", 0]}}},
            "no standby is synchronous",
        ),
        (
            "db1",
            {"postgres": HEALTHY["db1"]["postgres"] | {"slots": {"db2": "lost"}}},
            "db2 has a replication slot whose WAL is lost",
        ),
        ("db1", {"candidates": []}, "db2 may not be promoted yet (etcd does not list it as synchronous)"),
        ("db1", {"candidates": None}, "db2 may not be promoted yet (etcd does not list it as synchronous)"),
        ("db1", {"postgres": {"primary": True, "standbys": {"db2": ["catchup", "sync"]}}}, "db2 does not stream"),
        ("db1", {"postgres": {"primary": False, "standbys": {}}}, "Postgres has no primary"),
        ("db2", {"patroni": None}, "db2 has a Patroni that does not answer"),
        ("db2", {"patroni": PATRONI | {"paused": True}}, "Patroni is paused"),
        ("db1", {"patroni": PATRONI | {"failsafe": True}}, "Patroni runs without etcd (failsafe)"),
        ("cache1", {"store": {"master": True, "replicas": 1}}, "store has 1 of 2 replicas"),
        ("mon1", {"store": {"master": False, "linked": False}}, "store has 1 of 2 replicas (not mon1)"),
        ("mon1", {"store": None}, "store has 1 of 2 replicas (not mon1)"),
        ("cache2", {"cache": {"master": True, "replicas": 0}}, "cache has 2 masters: cache1 and cache2"),
        ("cache1", {"cache": None}, "cache has no master"),
        ("mon1", {"sentinel": None}, "sentinel has 2 of 3 votes (not mon1)"),
        ("mon1", {"sentinel": 1}, "mon1 sees 1 of 3 Sentinels"),
        (
            "mon1",
            {"promotable": {"cache": 1, "store": 0}},
            "mon1 has a Sentinel that would promote no replica of store",
        ),
    ],
)
def test_each_problem_is_named(host: str, facts: dict[str, Any], problem: str) -> None:
    assert missing(HOSTS, changed(**{host: facts})) == [problem]


def test_a_host_that_is_down_comes_before_its_consequences() -> None:
    alone = HEALTHY["db1"] | {"postgres": {"primary": True, "standbys": {}}}
    assert missing(HOSTS, changed(db2=None, db1=alone)) == [
        "db2 does not answer",
        "no standby is synchronous",
        "etcd has 2 of 3 votes (not db2)",
    ]
    without = {
        name: HEALTHY["cache1"][name] | {"replicas": HEALTHY["cache1"][name]["replicas"] - 1}
        for name in ("cache", "store")
    }
    assert missing(HOSTS, changed(cache2=None, cache1=without | {"sentinel": 2}, mon1={"sentinel": 2})) == [
        "cache2 does not answer",
        "cache has 0 of 1 replicas (not cache2)",
        "store has 1 of 2 replicas (not cache2)",
        "sentinel has 2 of 3 votes (not cache2)",
    ]


def test_a_lost_master_hides_its_replicas_and_comes_before_the_application() -> None:
    alone = {"master": False, "linked": False}
    assert missing(HOSTS, changed(cache1=None, cache2={"cache": alone, "store": alone}, app1={"app": False})) == [
        "cache1 does not answer",
        "cache has no master",
        "store has no master",
        "sentinel has 2 of 3 votes (not cache1)",
        "app1 has an application that is not ready",
    ]


def test_a_lost_majority_is_named() -> None:
    assert "etcd has 1 of 3 votes, which is no majority (db1 without a leader; not db2)" in missing(
        HOSTS, changed(db1={"etcd": False}, db2=None)
    )


def test_a_service_that_hangs_on_a_host_that_answers_is_a_problem() -> None:
    alone = {"postgres": {"primary": True, "standbys": {}}}
    assert missing(HOSTS, changed(db1=alone, db2={"postgres": None})) == [
        "db2 has a Postgres that does not answer",
        "no standby is synchronous",
    ]
    assert missing(HOSTS, changed(db1={"postgres": None})) == [
        "db1 has a Postgres that does not answer",
        "Postgres has no primary",
    ]


def test_a_drained_host_is_a_problem_with_its_reason() -> None:
    both = changed(lb1={"drained": {"app1": NOTE}}, lb2={"drained": {"app1": NOTE}})
    assert missing(HOSTS, both) == ["app1 is drained (kim: new disk)"]
    assert missing(HOSTS, changed(lb2={"drained": {"app1": {}}})) == [
        "app1 is drained on lb2 only (somebody: no reason given)"
    ]
