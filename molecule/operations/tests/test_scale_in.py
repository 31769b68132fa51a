"""Every tier with two hosts shrinks to one and grows again, with the leaders on the hosts that leave, or not."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.drills import faults
from tests.support.drills.changes import operation
from tests.support.drills.playbooks import play
from tests.support.drills.runner import DrillRunner
from tests.support.live.fleet import LiveFleet, eventually
from tools.fleet.context import ROOT

SMALLER = {f"TF_VAR_{tier}_hosts": "1" for tier in ("loadbalancer", "app", "postgres", "redis")}
LEAVING = {"lb2", "app2", "db2", "cache2"}
STAYING = ("lb1", "app1", "worker1", "db1", "cache1", "mon1")


def make(fleet: LiveFleet, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `make up` or `make status`."""
    return subprocess.run(
        [sys.executable, "-m", "tools.fleet", command],
        cwd=ROOT,
        env=fleet.fleet.environment | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def lead_from(runner: DrillRunner, number: int) -> None:
    """Move every leader to the first or the second host of its tier."""
    for role, host in (("postgres", "db"), ("store", "cache"), ("cache", "cache")):
        if runner.leaders(role) != {f"{host}{number}"}:
            options = ["-e", f"switchover_of={role}", "-e", f"switchover_to={host}{number}"]
            play(runner.fleet, "playbooks/switchover.yml", *options).succeeded()
    if runner.leaders("vip") != {f"lb{number}"}:
        with faults.stopped(runner.fleet, [runner.leader("vip")], "keepalived"):
            assert eventually(lambda: runner.leaders("vip") == {f"lb{number}"}, within=10)
    runner.wait_until_redundant(90)


@contextmanager
def scaled_in(runner: DrillRunner) -> Iterator[None]:
    """Shrink the tiers, and check that nothing counts the hosts that left. On exit, grow the tiers again."""
    fleet = runner.fleet
    db1 = fleet.hosts["db1"]
    try:
        smaller = make(fleet, "up", **SMALLER)
        assert smaller.returncode == 0, smaller.stdout[-10_000:] + smaller.stderr
        status = make(fleet, "status")
        assert status.returncode == 0, status.stdout
        assert not LEAVING & set(status.stdout.split())
        members = fleet.json_of(db1, "etcdctl member list -w json")["members"]
        assert [member["name"] for member in members] == ["db1"]
        assert fleet.sql(db1, "select slot_name from pg_replication_slots") == ""
        assert "member_slots_ttl" not in fleet.json_of(db1, f"curl -s http://{db1.address}:8008/config")
        yield
    finally:
        larger = make(fleet, "up")
        assert larger.returncode == 0, larger.stdout[-10_000:] + larger.stderr


@pytest.mark.parametrize("number", [2, 1], ids=["leaders-leave", "leaders-stay"])
def test_every_tier_shrinks_and_grows_under_load(runner: DrillRunner, number: int) -> None:
    lead_from(runner, number)
    drill = operation(f"scale-in-{number}", scaled_in, write_gap=5, read_gap=2, timeout=180)
    assert drill.breaches(runner.run(drill, 1)) == []


def test_a_smaller_fleet_survives_a_power_cut(runner: DrillRunner) -> None:
    lead_from(runner, 2)
    with scaled_in(runner):
        with faults.powered_off(runner.fleet, *(runner.fleet.hosts[name] for name in STAYING)):
            pass
        assert eventually(lambda: make(runner.fleet, "status").returncode == 0, within=180, every=2)
    runner.wait_until_redundant(180)
