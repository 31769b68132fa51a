"""Operators' work: a run after failovers, changes under load, a run while hosts are down, replaced hosts."""

import time
from collections.abc import Callable

import pytest

from tests.support.drills import faults
from tests.support.drills.changes import CHANGES, REPLACEMENTS, follower
from tests.support.drills.drill import Drill
from tests.support.drills.playbooks import play, processes, replace, touched
from tests.support.drills.runner import LEADERS, DrillRunner
from tests.support.live.fleet import eventually
from tools.fleet.view import is_leader


def leaders_since(runner: DrillRunner, begin: float) -> dict[str, set[str]]:
    """Return all hosts that led since `begin`, by role."""
    samples = runner.observer.between(begin, time.time())
    return {
        role: {sample.host for sample in samples if sample.fact == role and is_leader(sample.value)} for role in LEADERS
    }


def test_a_run_after_failovers_changes_nothing_and_moves_no_leader(runner: DrillRunner) -> None:
    before = {role: runner.leaders(role) for role in LEADERS}
    for role in ("postgres", "store", "cache"):
        with faults.playbook_run(runner.fleet, "playbooks/switchover.yml", "-e", f"switchover_of={role}"):
            pass
    with faults.stopped(runner.fleet, [runner.leader("vip")], "keepalived"):
        assert eventually(lambda: runner.leaders("vip") - before["vip"], within=10)
    runner.wait_until_redundant(90)
    leaders = {role: runner.leaders(role) for role in LEADERS}
    assert all(leaders[role].isdisjoint(before[role]) for role in LEADERS), (
        f"some leader did not move: {before} → {leaders}"
    )

    running, begin = processes(runner.fleet), time.time()
    run = play(runner.fleet, "site.yml").succeeded()
    assert run.hosts_with("changed") == set(), run.output
    assert leaders_since(runner, begin) == leaders
    assert processes(runner.fleet) == running


@pytest.mark.parametrize("drill", [*CHANGES, *REPLACEMENTS], ids=lambda drill: drill.name)
def test_an_operation_under_load(runner: DrillRunner, drill: Drill) -> None:
    assert drill.breaches(runner.run(drill, 1)) == []


@pytest.mark.parametrize(
    "choose",
    [
        DrillRunner.other_half,
        DrillRunner.leading_half,
        lambda runner: {host.name for group in ("monitoring", "workers") for host in runner.group(group)},
    ],
    ids=["followers", "leaders", "witness-and-worker"],
)
def test_a_run_without_some_hosts_converges_the_others_and_names_the_missing_ones(
    runner: DrillRunner, choose: Callable[[DrillRunner], set[str]]
) -> None:
    runner.wait_until_redundant(90)
    down = choose(runner)
    present = runner.fleet.hosts.keys() - down
    with faults.powered_off(runner.fleet, *(runner.fleet.hosts[name] for name in down)):
        run = play(runner.fleet, "site.yml")
    assert run.code == 4, run.output[-3000:]
    assert run.hosts_with("unreachable") == down
    assert run.hosts_with("failed") == set(), run.output
    assert run.counts.keys() == present | down
    summary = run.output.partition("Not finished:")[2].split("PLAY RECAP")[0]
    assert all(f"{name} (ansible_host" in summary for name in down), run.output[-3000:]
    runner.wait_until_redundant(120)


def test_a_change_that_could_lose_the_majority_is_postponed(runner: DrillRunner) -> None:
    variables = ("etcd_heartbeat_interval=250", "postgres_max_connections=210")
    change = ["--tags", "etcd,postgres", *(word for variable in variables for word in ("-e", variable))]
    with faults.powered_off(runner.fleet, runner.standby):
        running = processes(runner.fleet)
        waiting = play(runner.fleet, "site.yml", *change)
        assert "etcd keeps its old settings" in waiting.output
        assert "Postgres keeps its old settings" in waiting.output
        assert waiting.hosts_with("failed") == set(), waiting.output
        assert processes(runner.fleet) == running
    runner.wait_until_redundant(120)
    done = play(runner.fleet, "site.yml", *change).succeeded()
    assert "keeps its old settings" not in done.output
    assert processes(runner.fleet) != running
    play(runner.fleet, "site.yml", "--tags", "etcd,postgres").succeeded()
    runner.wait_until_redundant(120)


def test_a_leader_or_an_indispensable_host_is_not_replaced(runner: DrillRunner) -> None:
    runner.wait_until_redundant(90)
    running = processes(runner.fleet)
    for role, leader in (("Postgres primary", runner.leader("postgres")), ("master of", runner.leader("store"))):
        refused = replace(runner.fleet, leader)
        assert refused.code != 0
        assert f"{leader.name} was not removed, because it is" in refused.output
        assert role in refused.output
        assert "playbooks/switchover.yml" in refused.output
    with faults.stopped(runner.fleet, runner.group("monitoring"), "etcd", "redis-sentinel"):
        for host, sentence in (
            (runner.standby, "etcd would lose its majority"),
            (follower("store", "redis")(runner), "without it Sentinel would have no majority"),
        ):
            assert f"{host.name} was not removed, because {sentence}" in replace(runner.fleet, host).output
    runner.wait_until_redundant(90)
    assert touched(running, processes(runner.fleet)) <= {host.name for host in runner.group("monitoring")}


def test_a_source_of_apt_that_cannot_be_read_is_named_and_the_run_goes_on(runner: DrillRunner) -> None:
    host, source = runner.group("app")[0], "http://127.0.0.1:9/foreign"
    path = "/etc/apt/sources.list.d/foreign.list"
    try:
        runner.fleet.run(host, f"echo 'deb {source} stable main' >{path}; touch -d '2 days ago' /var/lib/apt/lists")
        run = play(runner.fleet, "site.yml", "--tags", "base").succeeded()
    finally:
        runner.fleet.run(host, f"rm {path}")
    assert f"apt on {host.name} cannot read {source} stable (" in run.output
    assert run.seconds < 120
