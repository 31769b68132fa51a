"""Upgrades and reboots under load: no read fails, errors are reported, and the next run repairs what is left."""

import sys

from tests.support.drills import faults
from tests.support.drills.maintenance import MAINTENANCE, PLAYBOOK, boots, maintain, outdated
from tests.support.drills.playbooks import kill, play, processes, touched
from tests.support.drills.runner import DrillRunner
from tests.support.live.fleet import eventually


def test_every_host_is_upgraded_and_rebooted_under_load(runner: DrillRunner) -> None:
    assert MAINTENANCE.breaches(runner.run(MAINTENANCE, 1)) == []


def test_only_hosts_that_need_it_are_maintained_and_held_packages_stay(runner: DrillRunner) -> None:
    runner.wait_until_redundant(90)
    host, *others = runner.group("app")
    with outdated(runner.fleet, host):
        before, running = boots(runner.fleet, [host]), processes(runner.fleet)
        limit = ["--limit", ",".join(name.name for name in (host, *others))]
        plan = maintain(runner.fleet, "--check", *limit).succeeded()
        assert "upkeep-free 1 → 2" in plan.output
        assert "upkeep-held" not in plan.output
        assert processes(runner.fleet) == running

        maintain(runner.fleet, *limit).succeeded()
        versions = runner.fleet.run(
            host, "dpkg-query --show --showformat '${Package} ${Version} ' upkeep-free upkeep-held"
        ).stdout
        assert versions.split() == ["upkeep-free", "2", "upkeep-held", "1"]
        assert boots(runner.fleet, [host])[host.name] > before[host.name]
        assert touched(running, processes(runner.fleet)) <= {host.name}
        assert "No host had any work to do" in maintain(runner.fleet, *limit).output


def test_a_redis_whose_program_was_replaced_is_named_until_the_maintenance(runner: DrillRunner) -> None:
    runner.wait_until_redundant(90)
    host = runner.group("redis")[-1]

    def named() -> bool:
        printed = runner.fleet.fleet.run(sys.executable, "-m", "tools.fleet", "status", quiet=True).stdout
        return f"{host.name} runs an old version of redis-sentinel, redis@cache, redis@store" in printed

    assert not named()
    runner.fleet.run(host, "file=$(readlink -f /usr/bin/redis-server); cp -p $file $file.new; mv $file.new $file")
    assert named()
    maintain(runner.fleet, "--limit", host.name, upgrade="false").succeeded()
    assert not named()


def test_a_fleet_without_full_redundancy_is_not_touched_and_the_advice_is_printed(runner: DrillRunner) -> None:
    runner.wait_until_redundant(90)
    name = runner.group("app")[0].name
    running = processes(runner.fleet)
    play(runner.fleet, "playbooks/drain.yml", "-e", f"drain={name}", "-e", "why=disk").succeeded()
    refused = maintain(runner.fleet, upgrade="false", reboot="always")
    play(runner.fleet, "playbooks/drain.yml", "-e", f"undrain={name}").succeeded()
    assert refused.code != 0
    assert "No host was taken out of service: the fleet is not fully redundant" in refused.output
    assert f"playbooks/drain.yml -e undrain={name}" in refused.output
    assert processes(runner.fleet) == running


def test_a_run_stops_at_a_host_that_does_not_come_back_and_the_next_run_finishes_it(runner: DrillRunner) -> None:
    runner.wait_until_redundant(90)
    first, second = runner.group("app")[:2]
    before = boots(runner.fleet, [second])
    runner.fleet.run(first, "systemctl mask ssh")
    try:
        limit = ["--limit", f"{first.name},{second.name}"]
        stopped = maintain(runner.fleet, *limit, upgrade="false", reboot="always", reboot_timeout="10")
    finally:
        for action in ("unmask", "start"):
            faults.engine(runner.fleet, "exec", faults.container(runner.fleet, first), "systemctl", action, "ssh")
    assert stopped.code != 0
    assert f"{first.name} did not come back from its maintenance" in stopped.output
    assert f"Not touched: {second.name}" in stopped.output
    assert boots(runner.fleet, [second]) == before
    runner.wait_until_redundant(60)
    maintain(runner.fleet, *limit, upgrade="false").succeeded()
    notes = [runner.fleet.run(host, "ls /var/lib/flaskfleet/drain").stdout for host in runner.group("loadbalancers")]
    assert not any(notes), notes


def test_the_next_run_finishes_an_interrupted_one(runner: DrillRunner) -> None:
    runner.wait_until_redundant(90)
    host = runner.leader("vip")
    limit = ["--limit", host.name, "-e", "maintain_upgrade=false"]
    run = [PLAYBOOK, *limit, "-e", "maintain_reboot=always"]
    kill(runner.fleet, run, "Wait until another host has it", after=0)
    assert eventually(lambda: runner.leaders("vip") - {host.name}, within=10)
    assert runner.fleet.run(host, "systemctl is-active keepalived", check=False).stdout.strip() == "inactive"
    maintain(runner.fleet, *limit).succeeded()
    assert runner.fleet.run(host, "systemctl is-active keepalived").stdout.strip() == "active"
    runner.wait_until_redundant(30)
