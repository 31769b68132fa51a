"""Backups are switched off, and on again, by one variable."""

import json

import pytest

from tests.support.drills.playbooks import play
from tests.support.drills.story import beside, now
from tests.support.live.commands import Command
from tests.support.live.fleet import LiveFleet, eventually

UNITS = "systemctl list-unit-files --no-legend 'backup-*' 'pgbackrest-*'"
FAILED = "systemctl list-units --no-legend --failed"
OFF = ["site.yml", "--tags=base,postgres,backup", "-e", '{"pgbackrest_repositories": []}']
ON = OFF[:2]


def backups(command: Command) -> list[str]:
    """Return the labels of the backups, the newest last."""
    rows = json.loads(command("backups", "--json").stdout)["backups"]
    return [row["label"] for row in sorted(rows, key=lambda row: str(row["stop"]))]


@pytest.mark.usefixtures("healthy_fleet")
def test_backups_are_switched_off_and_on_again(fleet: LiveFleet, command: Command) -> None:
    keeper = fleet.group("backup")[0]
    kept = backups(command)[-1]
    hosts = {host.name: host for host in [*fleet.group("postgres"), keeper]}.values()
    try:
        play(fleet, *OFF).succeeded()
        assert fleet.sql(fleet.primary, "show archive_mode") == "off"
        # systemctl exits with 1 if it finds no unit.
        assert [fleet.run(host, units, check=False).stdout for host in hosts for units in (UNITS, FAILED)] == (
            [""] * 2 * len(hosts)
        )
        assert play(fleet, *OFF).succeeded().hosts_with("changed") == set()
        assert "There are no backups" in command("status").stdout
        meanwhile = now(fleet)
        # At least one segment of WAL is written and left in this time.
        for _ in range(2):
            fleet.sql(fleet.primary, "select pg_switch_wal() from pg_create_restore_point('not archived')")
    finally:
        play(fleet, *ON).succeeded()
    assert fleet.sql(fleet.primary, "show archive_mode") == "on"
    # The log of the time without archiving is missing, so only a new backup leads to later times.
    assert eventually(lambda: backups(command)[-1] != kept, within=120, every=5)
    assert kept in backups(command), "the repository was not kept"
    refused = command("restore", meanwhile)
    assert refused.returncode != 0
    assert "the archive lacks WAL" in " ".join((refused.stdout + refused.stderr).split())
    with beside(command, now(fleet)) as shown:
        assert shown("select 1") == "1"
    assert eventually(lambda: "no backups" not in command("status").stdout, within=60, every=5)
    assert play(fleet, *ON).succeeded().hosts_with("changed") == set()
