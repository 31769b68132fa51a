"""Releases that nobody notices, and that undo themselves: each under load, which must not lose one request."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.deploys.stage import Run, Stage, Traffic
from tests.deploys.variants import (
    BETTER,
    CONTRACT,
    GOOD,
    HALF_MIGRATION,
    NO_IMPORT,
    SLOW_START,
    SMOKE,
    UNDER_TRAFFIC,
    Variant,
)
from tests.live.fleet import eventually

# Seconds of load before a deploy begins, with which it is compared.
STEADY = 30.0
POINTS = [
    "app : Install the wheels",
    "app : Point at the release",
    "app : Ask the application whether it is ready",
    "deploy : Let it work",
    "celery : Restart the services",
]


def assert_unharmed(stage: Stage, traffic: Traffic, *serving: Variant, since: float) -> None:
    """Nobody noticed anything, every host runs one release, and nothing is left behind."""
    assert traffic.failed == []
    assert len(stage.current()) == 1
    assert stage.drained() == set()
    assert traffic.releases(after=since)
    assert traffic.releases(after=since) <= {variant.name for variant in serving}
    assert eventually(lambda: stage.open_tasks() == "0", within=120, every=2), f"{stage.open_tasks()} tasks were not done"


def assert_refused(run: Run, *words: str) -> None:
    """The deploy ended with an error that says what a person has to know."""
    assert run.code != 0
    assert all(word in run.said for word in words), run.text[-3000:]


def test_a_good_release_goes_over_the_fleet_and_nobody_notices(stage: Stage) -> None:
    with stage.load() as traffic:
        time.sleep(STEADY)
        run = stage.deploy(BETTER)
    assert run.code == 0, run.text
    assert_unharmed(stage, traffic, BETTER, since=run.ended)
    steady, rolling = traffic.p99(run.began - STEADY, run.began), traffic.p99(run.began, run.ended)
    # A worker was stopped and started meanwhile, and every article has a task.
    tasks = stage.processed(since=run.began - STEADY)
    assert len(tasks) >= sum(record["kind"] == "write" for record in traffic.records) > 100
    assert len(tasks) == len(set(tasks))
    print(f"phases {run.phases}; p99 {steady:.3f} s steady, {rolling:.3f} s while it rolled")


def test_a_rollback_takes_seconds_and_marks_what_it_leaves(stage: Stage) -> None:
    with stage.load() as traffic:
        time.sleep(2)
        run = stage.run("rollback")
    assert run.code == 0, run.text
    assert_unharmed(stage, traffic, GOOD, since=run.ended)
    (left,) = re.findall(r"bad: (\S+) \(\S+ rolled it back\)", stage.run("releases").said)
    assert_refused(stage.run("rollback", rollback_to=left), f"Release {left} was marked bad")


def test_a_release_with_a_slow_start_is_waited_for(stage: Stage) -> None:
    with stage.load() as traffic:
        run = stage.deploy(SLOW_START)
    assert run.code == 0, run.text
    assert_unharmed(stage, traffic, SLOW_START, since=run.ended)


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        (NO_IMPORT, ("does not start on", "No module named", "No host was switched.")),
        (SMOKE, ("failed at", "Ask for the pages that must work", "500", "went back to", "journalctl -u app")),
        (UNDER_TRAFFIC, ("was ready with release", "of its answers are errors", "went back to")),
        (HALF_MIGRATION, ("division by zero", "The schema is as it was", "No host was switched.")),
        (CONTRACT, ("was refused", "drops a column of article", "No host was switched.")),
    ],
    ids=lambda value: value.name if isinstance(value, Variant) else "",
)
def test_a_bad_release_is_refused_or_taken_back(stage: Stage, variant: Variant, words: tuple[str, ...]) -> None:
    before = stage.current()
    with stage.load() as traffic:
        time.sleep(2)
        run = stage.deploy(variant, deploy_canary_seconds=20)
    assert_refused(run, *words)
    assert stage.current() == before
    # While the canary of a release that fails under traffic is found out, its share of the requests fails: nothing else does.
    served = [record for record in traffic.failed if record["release"] == variant.name] if variant is UNDER_TRAFFIC else []
    traffic.records = [record for record in traffic.records if record not in served]
    assert_unharmed(stage, traffic, SLOW_START, since=run.ended)


def test_a_contract_migration_runs_where_it_is_allowed_and_shuts_the_way_back(stage: Stage) -> None:
    with stage.load() as traffic:
        run = stage.deploy(CONTRACT, deploy_allow_contract=True)
    assert run.code == 0, run.text
    assert_unharmed(stage, traffic, CONTRACT, since=run.ended)
    assert_refused(stage.run("rollback"), "cannot live with today's schema", "drops a column of article")


def successor(number: int) -> Variant:
    """One more good release on the schema as it is now."""
    return Variant(f"next-{number}", migrations=CONTRACT.migrations)


@pytest.mark.parametrize("point", range(len(POINTS)), ids=lambda point: POINTS[point].partition(" : ")[2].replace(" ", "-"))
def test_a_killed_deploy_leaves_a_fleet_that_serves_and_the_next_run_goes_on(stage: Stage, point: int) -> None:
    variant = successor(point)
    with stage.load() as traffic:
        time.sleep(2)
        stage.kill(POINTS[point], variant)
        time.sleep(5)
        run = stage.deploy(variant)
    assert run.code == 0, run.text
    assert_unharmed(stage, traffic, variant, since=run.ended)


def test_of_two_deploys_at_once_one_goes_on_and_the_other_says_so(stage: Stage) -> None:
    with stage.load() as traffic, ThreadPoolExecutor() as pool:
        runs = [one.result() for one in [pool.submit(stage.deploy, successor(number)) for number in (10, 11)]]
    assert sorted(run.code == 0 for run in runs) == [False, True]
    assert_refused(next(run for run in runs if run.code), "is under way since", "nothing was touched")
    assert_unharmed(stage, traffic, successor(10), successor(11), since=max(run.ended for run in runs))
