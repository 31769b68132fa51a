"""Good releases and releases that are rolled back, each under load and without a lost request."""

import re
import time
from concurrent.futures import ThreadPoolExecutor
from math import inf

import pytest

from tests.support.deploys import variants
from tests.support.deploys.runner import STEADY, DeployRunner, Traffic
from tests.support.drills.faults import powered_off
from tests.support.drills.playbooks import Run
from tests.support.live.fleet import eventually
from tests.support.tiers import core

# Maximum ratio of the p99 of reads during a deploy to the p99 without one, or to that of requests that need no
# application host. It is 2 to 4 if hosts and control node share two processors, and 30 if a host blocks its readers for
# a second.
MAX_SLOWDOWN = 10
# The tasks at which deploys are killed, one after another. Each deploy continues the one before and gets further.
# The last one leaves a worker that runs the old release and would start the new one.
KILL_POINTS = [
    ("app : Install the wheels", ""),
    ("app : Point at the release", "app1"),
    ("deploy : Note that they are healthy", ""),
    ("deploy : Let the canary work", ""),
    ("app : Point at the release", "worker1"),
]


def assert_unharmed(runner: DeployRunner, traffic: Traffic, run: Run) -> None:
    """Assert that no request failed or was slow, all hosts run one release, and every task ran exactly once.

    After the end of `run` only the current release may answer.
    """
    assert traffic.failed == []
    assert_fast(runner, traffic)
    if run.phases:
        assert_fast(runner, traffic, run.switching_began, run.ended)
    assert len(runner.running()) == 1
    assert runner.drained() == set()
    assert traffic.releases(after=run.ended) == runner.running()
    assert eventually(lambda: runner.open_tasks() == "0", within=120, every=2), f"not done: {runner.open_tasks()} tasks"
    tasks = runner.processed(since=traffic.records[0]["due"])
    assert len(tasks) == len(set(tasks)) >= sum(record["kind"] == "write" for record in traffic.records)


def assert_fast(runner: DeployRunner, traffic: Traffic, begin: float = 0, end: float = inf) -> None:
    """Compare the p99 of reads in a period with that before the deploy, or with that of `door` requests.

    `door` requests need no application host. They are slow only if the machine itself is busy.
    """
    p99, door = traffic.p99(begin, end), traffic.p99(begin, end, kind="door")
    print(f"p99 {p99:.3f} s, {runner.steady:.3f} s without a deploy, {door:.3f} s without the application")
    print(f"slowest: {traffic.slowest(begin, end)}")
    assert p99 < MAX_SLOWDOWN * max(runner.steady, door)


def assert_refused(run: Run, *words: str) -> None:
    """Assert that the deploy failed with an error that contains these words."""
    assert run.code != 0
    assert [word for word in words if word not in run.output] == [], run.text[-3000:]


@core
def test_a_good_release_is_deployed_without_a_failed_request(runner: DeployRunner) -> None:
    before = runner.running()
    with runner.load() as traffic:
        time.sleep(STEADY)
        run = runner.deploy(variants.BETTER).succeeded()
    assert runner.running() != before
    runner.steady = traffic.p99(end=run.began)
    assert_unharmed(runner, traffic, run)
    # A worker was restarted during these writes, and every article has a task.
    assert sum(record["kind"] == "write" for record in traffic.records) > 200
    print(f"{run.seconds:.1f} s, phases {run.phases}")


NOWHERE = "postgresql+psycopg2://nobody:nothing@127.0.0.1:1/nothing"


def test_settings_that_fail_are_rolled_back_on_all_hosts(runner: DeployRunner) -> None:
    bad = {"app_database_url": NOWHERE, "app_database_replica_url": NOWHERE}
    before, settings = runner.running(), runner.settings()
    with runner.load() as traffic:
        time.sleep(2)
        run = runner.deploy(runner.serving, **bad, app_ready_timeout=3)
    assert_refused(
        run,
        "failed at",
        "Wait until the application is ready",
        "went back to",
        "which serves everywhere",
        "The previous settings were restored on",
    )
    assert runner.running() == before
    assert runner.settings() == settings
    assert_unharmed(runner, traffic, run)


@core
def test_a_rollback_takes_seconds_and_marks_the_release_as_bad(runner: DeployRunner) -> None:
    (left,) = runner.running()
    with runner.load() as traffic:
        time.sleep(2)
        run = runner.run("rollback").succeeded()
    assert_unharmed(runner, traffic, run)
    assert left not in runner.running()
    assert left in re.findall(r"bad: (\S+) \(\S+ rolled it back\)", runner.run("releases").output)
    assert_refused(runner.run("rollback", rollback_to=left), f"Release {left} was marked bad")
    print(f"{run.seconds:.1f} s, phases {run.phases}")


def test_a_deploy_waits_for_a_release_with_a_slow_start(runner: DeployRunner) -> None:
    before = runner.running()
    with runner.load() as traffic:
        run = runner.deploy(variants.SLOW_START, deploy_canary_seconds=0).succeeded()
    assert runner.running() != before
    assert_unharmed(runner, traffic, run)


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        (variants.NO_IMPORT, ("does not start on", "No module named", "No host was switched.")),
        (variants.SMOKE, ("failed at", "Request the pages that must work", "500", "went back to", "journalctl -u app")),
        pytest.param(
            variants.UNDER_TRAFFIC, ("was ready with release", "of its answers are errors", "went back to"), marks=core
        ),
        (variants.HALF_MIGRATION, ("division by zero", "the schema is unchanged", "No host was switched.")),
        (variants.CONTRACT, ("was refused", "drops a column of article", "No host was switched.")),
    ],
    ids=lambda value: value.name if isinstance(value, variants.Variant) else "",
)
def test_a_bad_release_is_refused_or_rolled_back(
    runner: DeployRunner, variant: variants.Variant, words: tuple[str, ...]
) -> None:
    before = runner.running()
    schema = runner.schema()
    with runner.load() as traffic:
        time.sleep(2)
        run = runner.deploy(variant, deploy_canary_seconds=20)
    assert_refused(run, *words)
    assert runner.running() == before
    # Migrations run before hosts are switched, and their additions stay after a rollback.
    assert runner.schema() == schema or "went back to" in words
    if variant is variants.UNDER_TRAFFIC:
        # Only requests to the canary fail, until the deploy detects it.
        own = [record for record in traffic.failed if record["status"] == 500 and record["release"] not in before]
        traffic.records = [record for record in traffic.records if record not in own]
        assert own
    assert_unharmed(runner, traffic, run)


def test_a_contract_migration_runs_if_allowed_and_prevents_a_rollback(runner: DeployRunner) -> None:
    with runner.load() as traffic:
        run = runner.deploy(variants.CONTRACT, deploy_allow_contract=True, deploy_canary_seconds=0).succeeded()
    assert_unharmed(runner, traffic, run)
    assert_refused(runner.run("rollback"), "does not work with today's schema", "drops a column of article")


def successor(runner: DeployRunner, name: str) -> variants.Variant:
    """Return another good release with the current schema."""
    return variants.Variant(f"next-{name}", migrations=runner.serving.migrations)


@core
def test_a_killed_deploy_leaves_a_working_fleet_and_the_next_run_continues(runner: DeployRunner) -> None:
    variant, before = successor(runner, "killed"), runner.running()
    with runner.load() as traffic:
        for task, host in KILL_POINTS:
            runner.kill(task, host, variant)
        assert runner.running() != before
        run = runner.deploy(variant, deploy_canary_seconds=0).succeeded()
    assert not runner.running() & before
    assert_unharmed(runner, traffic, run)


def test_a_deploy_is_rolled_back_if_a_host_dies(runner: DeployRunner) -> None:
    before, hosts = runner.running(), runner.fleet.group("app")
    with runner.load() as traffic, ThreadPoolExecutor() as pool:
        deploy = pool.submit(runner.deploy, successor(runner, "dies"), deploy_canary_seconds=30)
        assert eventually(lambda: not runner.running(hosts[0]) <= before and not runner.drained(), within=200, every=1)
        died = time.time()
        with powered_off(runner.fleet, *hosts[1:]):
            run = deploy.result()
            assert runner.running(hosts[0]) == before
        assert eventually(lambda: runner.running() == before, within=60, every=1)
    names = [host.name for host in hosts[1:]]
    assert_refused(
        run,
        f"{', '.join(names)} did not answer any more",
        f"{hosts[0].name}, ",
        "went back to",
        "could not go back",
        "; left drained",
    )
    assert runner.drained() == set(names)  # the next run undrains them
    # The requests in flight on the dead hosts are lost. The last host cannot be drained: requests wait while it
    # restarts, and if a slow request is in flight, longer than the load balancers wait.
    late = [record for record in traffic.failed if abs(record["due"] - died) > 10]
    print(f"{len(traffic.failed) - len(late)} requests were lost with the host, {len(late)} timed out at the other one")
    assert [record for record in late if record["status"] != 504] == []
    assert len(traffic.failed) <= 40


def test_the_second_of_two_concurrent_deploys_is_refused(runner: DeployRunner) -> None:
    with runner.load() as traffic, ThreadPoolExecutor() as pool:
        both = [successor(runner, name) for name in ("one", "two")]
        runs = list(pool.map(lambda variant: runner.deploy(variant, deploy_canary_seconds=0), both))
    assert sorted(run.code == 0 for run in runs) == [False, True]
    refused = next(run for run in runs if run.code)
    assert_refused(refused, "is under way since", "nothing was touched")
    assert_unharmed(runner, traffic, next(run for run in runs if not run.code))
