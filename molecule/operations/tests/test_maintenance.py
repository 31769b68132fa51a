"""Upgrades and reboots of a fleet that serves: no read fails, and whatever goes wrong is said, and mended by the next run."""

from __future__ import annotations

from tests.support.drills import faults
from tests.support.drills.arena import Arena
from tests.support.drills.runs import command, kill, play, processes
from tests.support.drills.upkeep import MAINTENANCE, PLAYBOOK, boots, maintain, outdated
from tests.support.live.fleet import eventually


def test_every_host_is_upgraded_and_rebooted_while_the_fleet_serves(arena: Arena) -> None:
    assert MAINTENANCE.breaches(arena.run(MAINTENANCE, 1)) == []


def test_only_hosts_that_need_it_are_taken_and_held_packages_stay(arena: Arena) -> None:
    assert arena.wait_until_whole(90) is not None, arena.missing()
    host, *others = arena.group("app")
    with outdated(arena.fleet, host):
        before, running = boots(arena.fleet, [host]), processes(arena.fleet)
        limit = ["--limit", ",".join(name.name for name in (host, *others))]
        told = maintain(arena.fleet, "--check", *limit)
        assert told.code == 0, told.output[-3000:]
        assert "upkeep-free 1 → 2" in told.output
        assert "upkeep-held" not in told.output
        assert processes(arena.fleet) == running

        done = maintain(arena.fleet, *limit)
        assert done.code == 0, done.output[-3000:]
        versions = arena.fleet.run(
            host, "dpkg-query --show --showformat '${Package} ${Version} ' upkeep-free upkeep-held"
        ).stdout
        assert versions.split() == ["upkeep-free", "2", "upkeep-held", "1"]
        assert boots(arena.fleet, [host])[host.name] > before[host.name]
        assert {name: seen for name, seen in processes(arena.fleet).items() if name != host.name} == {
            name: seen for name, seen in running.items() if name != host.name
        }
        assert "No host had anything to be done" in maintain(arena.fleet, *limit).output


def test_a_fleet_that_lacks_something_is_left_alone_and_what_helps_is_said(arena: Arena) -> None:
    assert arena.wait_until_whole(90) is not None, arena.missing()
    name = arena.group("app")[0].name
    running = processes(arena.fleet)
    assert play(arena.fleet, "playbooks/drain.yml", "-e", f"drain={name}", "-e", "why=disk").code == 0
    refused = maintain(arena.fleet, upgrade="false", reboot="always")
    assert play(arena.fleet, "playbooks/drain.yml", "-e", f"undrain={name}").code == 0
    assert refused.code != 0
    assert "No host was taken out of service: the fleet is not whole" in refused.output
    assert f"playbooks/drain.yml -e undrain={name}" in refused.output
    assert processes(arena.fleet) == running


def test_a_run_stops_at_a_host_that_does_not_come_back_and_the_next_one_puts_it_back(arena: Arena) -> None:
    assert arena.wait_until_whole(90) is not None, arena.missing()
    first, second = arena.group("app")[:2]
    before = boots(arena.fleet, [second])
    arena.fleet.run(first, "systemctl mask ssh")
    try:
        limit = ["--limit", f"{first.name},{second.name}"]
        stopped = maintain(arena.fleet, *limit, upgrade="false", reboot="always", reboot_timeout="10")
    finally:
        faults.engine(arena.fleet, "exec", faults.container(arena.fleet, first), "systemctl", "unmask", "ssh")
        faults.engine(arena.fleet, "exec", faults.container(arena.fleet, first), "systemctl", "start", "ssh")
    assert stopped.code != 0
    assert f"{first.name} has not come back from its maintenance" in stopped.output
    assert f"Not touched: {second.name}" in stopped.output
    assert boots(arena.fleet, [second]) == before
    assert arena.wait_until_whole(60) is not None, arena.missing()
    again = maintain(arena.fleet, *limit, upgrade="false")
    assert again.code == 0, again.output[-3000:]
    notes = [arena.fleet.run(host, "ls /var/lib/flaskfleet/drain").stdout for host in arena.group("loadbalancers")]
    assert not any(notes), notes


def test_what_an_interrupted_run_has_left_is_put_back_by_the_next_one(arena: Arena) -> None:
    assert arena.wait_until_whole(90) is not None, arena.missing()
    host = arena.leader("vip")
    limit = ["--limit", host.name, "-e", "maintain_upgrade=false"]
    kill(
        arena.fleet,
        command(arena.fleet, PLAYBOOK, *limit, "-e", "maintain_reboot=always"),
        "Wait until another host has it",
        after=0,
    )
    assert eventually(lambda: arena.leaders("vip") - {host.name}, within=10)
    assert arena.fleet.run(host, "systemctl is-active keepalived", check=False).stdout.strip() == "inactive"
    again = maintain(arena.fleet, *limit)
    assert again.code == 0, again.output[-3000:]
    assert arena.fleet.run(host, "systemctl is-active keepalived").stdout.strip() == "active"
    assert arena.wait_until_whole(30) is not None, arena.missing()
