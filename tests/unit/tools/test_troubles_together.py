"""Several kinds of trouble at the same time, as `make status` reports them."""

import pytest

from tests.unit.tools.fleet_views import DEAD_RESTORE, HEALTHY, HOSTS, NOTE, changed
from tools.fleet.troubles import missing, troubles


def test_a_lost_master_hides_its_replicas_and_comes_before_the_application() -> None:
    alone = {"master": False, "linked": False}
    assert missing(HOSTS, changed(cache1=None, cache2={"cache": alone, "store": alone}, app1={"app": False})) == [
        "cache1 does not answer",
        "cache has no master",
        "store has no master",
        "sentinel has 2 of 3 votes (not cache1)",
        "app1 has an application that is not ready",
    ]


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


def test_of_damaged_copies_of_the_store_the_one_that_has_the_most_is_named() -> None:
    view = changed(
        cache1={"store": None, "damaged_store": {"lost": 4096, "written": 9.0}},
        cache2={"store": None, "damaged_store": {"lost": 2048, "written": 1.0}},
        mon1={"store": None, "damaged_store": {"lost": 2048, "written": 2.0}},
    )
    hosts = "cache1 (4 KiB lost), cache2 (2 KiB lost), mon1 (2 KiB lost)"
    assert missing(HOSTS, view) == [
        f"the append-only file of the store is damaged on {hosts}; the copy of mon1 has the most",
        "store has no master",
    ]
    sentence = "the append-only file of the store is damaged on cache1 (4 KiB lost), cache2 (2 KiB lost)"
    assert missing(HOSTS, view | {"mon1": HEALTHY["mon1"]})[0] == f"{sentence}; the copy of mon1 has the most"
    running = {"damaged_store": {"lost": 4096, "written": 9.0}}
    assert missing(HOSTS, changed(cache2=running)) == []  # an old note


def test_a_drained_host_is_a_problem_with_its_reason() -> None:
    both = changed(lb1={"drained": {"app1": NOTE}}, lb2={"drained": {"app1": NOTE}})
    assert missing(HOSTS, both) == ["app1 is drained (kim: new disk)"]


@pytest.mark.parametrize("service", ["etcd", "sentinel"])
def test_a_lost_majority_is_a_kind_of_its_own(service: str) -> None:
    first, second, third = [host.name for host in HOSTS if service in host.groups]
    found = {
        trouble.kind.name: trouble.sentence
        for trouble in troubles(HOSTS, changed(**{first: {service: False}, second: None}))
    }
    assert found[f"{service}-quorum-lost"] == (
        f"{service} has 1 of 3 votes, which is no majority ({first} without a leader; not {second})"
    )
    assert third not in found[f"{service}-quorum-lost"]


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


def test_a_restore_that_was_interrupted_comes_before_the_database_that_it_stopped() -> None:
    found = troubles(HOSTS, changed(db1={"postgres": None, "patroni": None, "deploying": DEAD_RESTORE}))
    assert [trouble.kind.name for trouble in found][:3] == ["restore-died", "postgres-down", "patroni-down"]
    assert found[0].step.startswith("start the same restore again")
