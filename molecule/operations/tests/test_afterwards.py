"""What operators do to a fleet: a run after failovers, changes under load, a run while hosts are down, a host that is replaced."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest

from tests.support.drills import faults
from tests.support.drills.changes import CHANGES, REPLACEMENTS, follower
from tests.support.drills.drill import Drill
from tests.support.drills.playbooks import processes, replace, site
from tests.support.drills.runner import LEADERS, DrillRunner
from tests.support.live.fleet import eventually
from tools.fleet.redundancy import is_leader


def led(runner: DrillRunner, begin: float) -> dict[str, set[str]]:
    """Who led at any time since then, by kind."""
    samples = runner.observer.between(begin, time.time())
    return {
        what: {sample.host for sample in samples if sample.what == what and is_leader(sample.value)} for what in LEADERS
    }


def test_a_run_after_failovers_changes_nothing_and_moves_nobody(runner: DrillRunner) -> None:
    before = {what: runner.leaders(what) for what in LEADERS}
    for what in ("postgres", "store", "cache"):
        with faults.playbook_run(runner.fleet, "playbooks/switchover.yml", "-e", f"switchover_of={what}"):
            pass
    with faults.stopped(runner.fleet, [runner.leader("vip")], "keepalived"):
        assert eventually(lambda: runner.leaders("vip") - before["vip"], within=10)
    assert runner.wait_until_redundant(90) is not None, runner.missing()
    leaders = {what: runner.leaders(what) for what in LEADERS}
    assert all(leaders[what].isdisjoint(before[what]) for what in LEADERS), f"nothing failed over: {before} → {leaders}"

    running, begin = processes(runner.fleet), time.time()
    run = site(runner.fleet)
    assert run.code == 0, run.output[-3000:]
    assert run.hosts_with("changed") == set(), run.output
    assert led(runner, begin) == leaders
    assert processes(runner.fleet) == running


@pytest.mark.parametrize("drill", [*CHANGES, *REPLACEMENTS], ids=lambda drill: drill.name)
def test_work_under_load(runner: DrillRunner, drill: Drill) -> None:
    assert drill.breaches(runner.run(drill, 1)) == []


def first_leaders(runner: DrillRunner) -> set[str]:
    """One host of every tier that has two, those that lead where somebody does."""
    leaders = {name for what in ("postgres", "store", "vip") for name in runner.leaders(what)}
    return leaders | {runner.group("app")[0].name}


def others(runner: DrillRunner) -> set[str]:
    """Of every tier that has two the hosts that do not lead."""
    return {
        host.name for group in ("postgres", "redis", "loadbalancers", "app") for host in runner.group(group)
    } - first_leaders(runner)


@pytest.mark.parametrize(
    "choose",
    [
        others,
        first_leaders,
        lambda runner: {host.name for group in ("monitoring", "workers") for host in runner.group(group)},
    ],
    ids=["those-that-follow", "those-that-lead", "the-witness-and-the-worker"],
)
def test_a_run_without_some_hosts_converges_the_rest_and_says_what_is_left(runner: DrillRunner, choose: object) -> None:
    assert callable(choose)
    assert runner.wait_until_redundant(90) is not None, runner.missing()
    down: set[str] = choose(runner)
    present = runner.fleet.hosts.keys() - down
    with faults.powered_off(runner.fleet, *(runner.fleet.hosts[name] for name in down)):
        run = site(runner.fleet)
    assert run.code == 4, run.output[-3000:]
    assert run.hosts_with("unreachable") == down
    assert run.hosts_with("failed") == set(), run.output
    assert run.counts.keys() == present | down
    told = run.output.partition("Not finished:")[2].split("PLAY RECAP")[0]
    assert all(f"{name} (ansible_host" in told for name in down), run.output[-3000:]
    assert runner.wait_until_redundant(120) is not None, runner.missing()


def test_a_change_that_would_cost_the_majority_waits_until_all_are_back(runner: DrillRunner) -> None:
    with ExitStack() as stack:
        stack.enter_context(faults.powered_off(runner.fleet, runner.standby))
        running = processes(runner.fleet)
        waiting = site(
            runner.fleet,
            "--tags",
            "etcd,postgres",
            "-e",
            "etcd_heartbeat_interval=250",
            "-e",
            "postgres_max_connections=210",
        )
        assert "etcd keeps its old settings" in waiting.output
        assert "Postgres keeps its old settings" in waiting.output
        assert waiting.hosts_with("failed") == set(), waiting.output
        assert processes(runner.fleet) == running
    assert runner.wait_until_redundant(120) is not None, runner.missing()
    done = site(
        runner.fleet,
        "--tags",
        "etcd,postgres",
        "-e",
        "etcd_heartbeat_interval=250",
        "-e",
        "postgres_max_connections=210",
    )
    assert "keeps its old settings" not in done.output
    assert done.code == 0, done.output[-3000:]
    assert processes(runner.fleet) != running
    assert site(runner.fleet, "--tags", "etcd,postgres").code == 0
    assert runner.wait_until_redundant(120) is not None, runner.missing()


def test_what_leads_or_is_needed_is_not_replaced(runner: DrillRunner) -> None:
    assert runner.wait_until_redundant(90) is not None, runner.missing()
    running = processes(runner.fleet)
    for what, leader in (("Postgres primary", runner.leader("postgres")), ("master of", runner.leader("store"))):
        refused = replace(runner.fleet, leader)
        assert refused.code != 0
        assert f"{leader.name} was not removed, because it is" in refused.output
        assert what in refused.output
        assert "playbooks/switchover.yml" in refused.output
    with faults.stopped(runner.fleet, runner.group("monitoring"), "etcd", "redis-sentinel"):
        for host, sentence in (
            (runner.standby, "etcd would lose its majority"),
            (follower("store", "redis")(runner), "without it Sentinel would have no majority"),
        ):
            assert f"{host.name} was not removed, because {sentence}" in replace(runner.fleet, host).output
    assert runner.wait_until_redundant(90) is not None, runner.missing()
    witness = {host.name for host in runner.group("monitoring")}
    assert {name: seen for name, seen in processes(runner.fleet).items() if name not in witness} == {
        name: seen for name, seen in running.items() if name not in witness
    }
