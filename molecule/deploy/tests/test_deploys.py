"""Releases that nobody notices, and that undo themselves: each under load, which must not lose one request."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from math import inf

import pytest

from tests.support.deploys.stage import STEADY, Run, Stage, Traffic
from tests.support.deploys.variants import (
    BETTER,
    CONTRACT,
    HALF_MIGRATION,
    NO_IMPORT,
    SLOW_START,
    SMOKE,
    UNDER_TRAFFIC,
    Variant,
)
from tests.support.drills.faults import powered_off
from tests.support.live.fleet import eventually
from tests.support.tiers import core

# How many times slower the slowest reads may be than in quiet, or than what needs no application host meanwhile. Two to four where hosts
# and control node share two processors; a host that keeps its readers waiting for a second makes it thirty.
SLOWER = 10
# Where a deploy is killed, and after the first the one that went on from there: each is further on than the one before.
# The last one leaves a worker that would start the new release and runs the old one.
POINTS = [
    ("app : Install the wheels", ""),
    ("app : Point at the release", "app1"),
    ("deploy : Put them back into the load balancers", ""),
    ("deploy : Let the canary work", ""),
    ("app : Point at the release", "worker1"),
]


def assert_unharmed(stage: Stage, traffic: Traffic, run: Run) -> None:
    """Nobody noticed anything, every host runs one release, every task was done once, and nothing is left behind.

    Args:
        stage: Where it happened.
        traffic: What was sent meanwhile.
        run: What ended last. From then on only the release that now runs may answer.
    """
    assert traffic.failed == []
    assert_patient(stage, traffic)
    if run.phases:
        assert_patient(stage, traffic, run.rolls, run.ended)
    assert len(stage.running()) == 1
    assert stage.drained() == set()
    assert traffic.releases(after=run.ended) == stage.running()
    assert eventually(lambda: stage.open_tasks() == "0", within=120, every=2), (
        f"{stage.open_tasks()} tasks were not done"
    )
    tasks = stage.processed(since=traffic.records[0]["due"])
    assert len(tasks) == len(set(tasks)) >= sum(record["kind"] == "write" for record in traffic.records)


def assert_patient(stage: Stage, traffic: Traffic, begin: float = 0, end: float = inf) -> None:
    """The slowest reads between two moments took SLOWER times at most what they take in quiet, or what needs no application host took.

    That one waits only where the machine itself stands still.
    """
    p99, door = traffic.p99(begin, end), traffic.p99(begin, end, kind="door")
    print(
        f"p99 {p99:.3f} s, {stage.steady:.3f} s in quiet, {door:.3f} s without the application; slowest: {traffic.slowest(begin, end)}"
    )
    assert p99 < SLOWER * max(stage.steady, door)


def assert_refused(run: Run, *words: str) -> None:
    """The deploy ended with an error that says what a person has to know."""
    assert run.code != 0
    assert [word for word in words if word not in run.said] == [], run.text[-3000:]


@core
def test_a_good_release_goes_over_the_fleet_and_nobody_notices(stage: Stage) -> None:
    before = stage.running()
    with stage.load() as traffic:
        time.sleep(STEADY)
        run = stage.deploy(BETTER)
    assert run.code == 0, run.text
    assert stage.running() != before
    stage.steady = traffic.p99(end=run.began)
    assert_unharmed(stage, traffic, run)
    # A worker was stopped and started meanwhile, and every article has a task.
    assert sum(record["kind"] == "write" for record in traffic.records) > 200
    print(f"{run.seconds:.1f} s, phases {run.phases}")


def test_settings_that_fail_are_taken_back_where_they_were_read_and_where_not(stage: Stage) -> None:
    before, settings = stage.running(), stage.settings()
    nowhere = "postgresql+psycopg2://nobody:nothing@127.0.0.1:1/nothing"
    with stage.load() as traffic:
        time.sleep(2)
        run = stage.deploy(
            stage.serving, app_database_url=nowhere, app_database_replica_url=nowhere, app_ready_timeout=3
        )
    assert_refused(
        run,
        "failed at",
        "Wait until the application is ready",
        "went back to",
        "The previous settings were restored on",
    )
    assert stage.running() == before
    assert stage.settings() == settings
    assert_unharmed(stage, traffic, run)


@core
def test_a_rollback_takes_seconds_and_marks_what_it_leaves(stage: Stage) -> None:
    (left,) = stage.running()
    with stage.load() as traffic:
        time.sleep(2)
        run = stage.run("rollback")
    assert run.code == 0, run.text
    assert_unharmed(stage, traffic, run)
    assert left not in stage.running()
    assert left in re.findall(r"bad: (\S+) \(\S+ rolled it back\)", stage.run("releases").said)
    assert_refused(stage.run("rollback", rollback_to=left), f"Release {left} was marked bad")
    print(f"{run.seconds:.1f} s, phases {run.phases}")


def test_a_release_with_a_slow_start_is_waited_for(stage: Stage) -> None:
    before = stage.running()
    with stage.load() as traffic:
        run = stage.deploy(SLOW_START, deploy_canary_seconds=0)
    assert run.code == 0, run.text
    assert stage.running() != before
    assert_unharmed(stage, traffic, run)


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        (NO_IMPORT, ("does not start on", "No module named", "No host was switched.")),
        (SMOKE, ("failed at", "Request the pages that must work", "500", "went back to", "journalctl -u app")),
        pytest.param(
            UNDER_TRAFFIC, ("was ready with release", "of its answers are errors", "went back to"), marks=core
        ),
        (HALF_MIGRATION, ("division by zero", "the schema is unchanged", "No host was switched.")),
        (CONTRACT, ("was refused", "drops a column of article", "No host was switched.")),
    ],
    ids=lambda value: value.name if isinstance(value, Variant) else "",
)
def test_a_bad_release_is_refused_or_taken_back(stage: Stage, variant: Variant, words: tuple[str, ...]) -> None:
    before = stage.running()
    schema = stage.schema()
    with stage.load() as traffic:
        time.sleep(2)
        run = stage.deploy(variant, deploy_canary_seconds=20)
    assert_refused(run, *words)
    assert stage.running() == before
    # Before hosts are switched, migrations have run: what they added stays.
    assert stage.schema() == schema or "went back to" in words
    if variant is UNDER_TRAFFIC:
        # Until the canary is found out its share of the requests fails, and nothing else does.
        own = [record for record in traffic.failed if record["status"] == 500 and record["release"] not in before]
        traffic.records = [record for record in traffic.records if record not in own]
        assert own
    assert_unharmed(stage, traffic, run)


def test_a_contract_migration_runs_where_it_is_allowed_and_shuts_the_way_back(stage: Stage) -> None:
    with stage.load() as traffic:
        run = stage.deploy(CONTRACT, deploy_allow_contract=True, deploy_canary_seconds=0)
    assert run.code == 0, run.text
    assert_unharmed(stage, traffic, run)
    assert_refused(stage.run("rollback"), "cannot live with today's schema", "drops a column of article")


def successor(stage: Stage, name: str) -> Variant:
    """One more good release on the schema as it is now."""
    return Variant(f"next-{name}", migrations=stage.serving.migrations)


@core
def test_a_deploy_that_is_killed_leaves_a_fleet_that_serves_and_the_next_run_goes_on(stage: Stage) -> None:
    variant, before = successor(stage, "killed"), stage.running()
    with stage.load() as traffic:
        for task, host in POINTS:
            stage.kill(task, host, variant)
        assert stage.running() != before
        run = stage.deploy(variant)
    assert run.code == 0, run.text
    assert not stage.running() & before
    assert_unharmed(stage, traffic, run)


def test_a_host_that_dies_meanwhile_takes_the_deploy_back(stage: Stage) -> None:
    before, hosts = stage.running(), stage.fleet.group("app")
    with stage.load() as traffic, ThreadPoolExecutor() as pool:
        deploy = pool.submit(stage.deploy, successor(stage, "dies"), deploy_canary_seconds=30)
        assert eventually(lambda: not stage.running(hosts[0]) <= before and not stage.drained(), within=200, every=1)
        died = time.time()
        with powered_off(stage.fleet, *hosts[1:]):
            run = deploy.result()
            assert stage.running(hosts[0]) == before
        assert eventually(lambda: stage.running() == before, within=60, every=1)
    names = [host.name for host in hosts[1:]]
    assert_refused(
        run,
        f"{', '.join(names)} did not answer any more",
        f"{hosts[0].name}, ",
        "went back to",
        "could not go back",
        "is left drained",
    )
    assert stage.drained() == set(names)  # the next run puts them back
    # What they were doing when they died is lost. The one host that is left is not drained: requests wait while it restarts, and with a
    # slow one in flight there longer than the load balancers wait.
    late = [record for record in traffic.failed if abs(record["due"] - died) > 10]
    print(
        f"{len(traffic.failed) - len(late)} requests were lost with the host, {len(late)} waited too long for the other one"
    )
    assert [record for record in late if record["status"] != 504] == []
    assert len(traffic.failed) <= 40


def test_of_two_deploys_at_once_one_goes_on_and_the_other_says_so(stage: Stage) -> None:
    with stage.load() as traffic, ThreadPoolExecutor() as pool:
        runs = [
            one.result()
            for one in [
                pool.submit(stage.deploy, successor(stage, name), deploy_canary_seconds=0) for name in ("one", "two")
            ]
        ]
    assert sorted(run.code == 0 for run in runs) == [False, True]
    refused = next(run for run in runs if run.code)
    assert_refused(refused, "is under way since", "nothing was touched")
    assert_unharmed(stage, traffic, next(run for run in runs if not run.code))
