"""Upgrades and reboots of a fleet that serves: no read fails, and whatever goes wrong is said, and mended by the next run."""

from __future__ import annotations

from tests.support.drills import faults
from tests.support.drills.maintenance import MAINTENANCE, PLAYBOOK, boots, maintain, outdated
from tests.support.drills.playbooks import command, kill, play, processes
from tests.support.drills.runner import DrillRunner
from tests.support.live.fleet import eventually


def test_every_host_is_upgraded_and_rebooted_while_the_fleet_serves(runner: DrillRunner) -> None:
    assert MAINTENANCE.breaches(runner.run(MAINTENANCE, 1)) == []


def test_only_hosts_that_need_it_are_taken_and_held_packages_stay(runner: DrillRunner) -> None:
    assert runner.wait_until_redundant(90) is not None, runner.missing()
    host, *others = runner.group("app")
    with outdated(runner.fleet, host):
        before, running = boots(runner.fleet, [host]), processes(runner.fleet)
        limit = ["--limit", ",".join(name.name for name in (host, *others))]
        told = maintain(runner.fleet, "--check", *limit)
        assert told.code == 0, told.output[-3000:]
        assert "upkeep-free 1 → 2" in told.output
        assert "upkeep-held" not in told.output
        assert processes(runner.fleet) == running

        done = maintain(runner.fleet, *limit)
        assert done.code == 0, done.output[-3000:]
        versions = runner.fleet.run(
            host, "dpkg-query --show --showformat '${Package} ${Version} ' upkeep-free upkeep-held"
        ).stdout
        assert versions.split() == ["upkeep-free", "2", "upkeep-held", "1"]
        assert boots(runner.fleet, [host])[host.name] > before[host.name]
        assert {name: seen for name, seen in processes(runner.fleet).items() if name != host.name} == {
            name: seen for name, seen in running.items() if name != host.name
        }
        assert "No host had any work to do" in maintain(runner.fleet, *limit).output


def test_a_fleet_that_lacks_something_is_left_alone_and_what_helps_is_said(runner: DrillRunner) -> None:
    assert runner.wait_until_redundant(90) is not None, runner.missing()
    name = runner.group("app")[0].name
    running = processes(runner.fleet)
    assert play(runner.fleet, "playbooks/drain.yml", "-e", f"drain={name}", "-e", "why=disk").code == 0
    refused = maintain(runner.fleet, upgrade="false", reboot="always")
    assert play(runner.fleet, "playbooks/drain.yml", "-e", f"undrain={name}").code == 0
    assert refused.code != 0
    assert "No host was taken out of service: the fleet is not fully redundant" in refused.output
    assert f"playbooks/drain.yml -e undrain={name}" in refused.output
    assert processes(runner.fleet) == running


def test_a_run_stops_at_a_host_that_does_not_come_back_and_the_next_one_puts_it_back(runner: DrillRunner) -> None:
    assert runner.wait_until_redundant(90) is not None, runner.missing()
    first, second = runner.group("app")[:2]
    before = boots(runner.fleet, [second])
    runner.fleet.run(first, "systemctl mask ssh")
    try:
        limit = ["--limit", f"{first.name},{second.name}"]
        stopped = maintain(runner.fleet, *limit, upgrade="false", reboot="always", reboot_timeout="10")
    finally:
        faults.engine(runner.fleet, "exec", faults.container(runner.fleet, first), "systemctl", "unmask", "ssh")
        faults.engine(runner.fleet, "exec", faults.container(runner.fleet, first), "systemctl", "start", "ssh")
    assert stopped.code != 0
    assert f"{first.name} did not come back from its maintenance" in stopped.output
    assert f"Not touched: {second.name}" in stopped.output
    assert boots(runner.fleet, [second]) == before
    assert runner.wait_until_redundant(60) is not None, runner.missing()
    again = maintain(runner.fleet, *limit, upgrade="false")
    assert again.code == 0, again.output[-3000:]
    notes = [runner.fleet.run(host, "ls /var/lib/flaskfleet/drain").stdout for host in runner.group("loadbalancers")]
    assert not any(notes), notes


def test_what_an_interrupted_run_has_left_is_put_back_by_the_next_one(runner: DrillRunner) -> None:
    assert runner.wait_until_redundant(90) is not None, runner.missing()
    host = runner.leader("vip")
    limit = ["--limit", host.name, "-e", "maintain_upgrade=false"]
    kill(
        runner.fleet,
        command(runner.fleet, PLAYBOOK, *limit, "-e", "maintain_reboot=always"),
        "Wait until another host has it",
        after=0,
    )
    assert eventually(lambda: runner.leaders("vip") - {host.name}, within=10)
    assert runner.fleet.run(host, "systemctl is-active keepalived", check=False).stdout.strip() == "inactive"
    again = maintain(runner.fleet, *limit)
    assert again.code == 0, again.output[-3000:]
    assert runner.fleet.run(host, "systemctl is-active keepalived").stdout.strip() == "active"
    assert runner.wait_until_redundant(30) is not None, runner.missing()
