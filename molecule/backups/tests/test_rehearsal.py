"""A rehearsal passes with a good repository, and it and verify find a damaged one."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.support.live.commands import Command
from tests.support.live.fleet import LiveFleet, eventually

METRICS = "/var/lib/prometheus/node-exporter/backups.prom"
REPOSITORY = "/var/lib/pgbackrest/backup/main"


def metric(fleet: LiveFleet, name: str) -> float:
    """Return a metric of the first repository, as the node exporter reads it."""
    text = fleet.run(fleet.group("backup")[0], f"cat {METRICS}").stdout
    return float(dict(re.findall(r'^flaskfleet_backup_(\w+){repository="1"} (\S+)$', text, re.MULTILINE))[name])


def left(fleet: LiveFleet) -> str:
    """Return what a rehearsal has left on its host."""
    look = "ls /var/lib/postgresql/rehearsal; pgrep -f 'cluster_name=[r]ehearsal'"
    return fleet.run(fleet.group("backup")[0], look, check=False).stdout


@pytest.fixture
def damaged(fleet: LiveFleet, command: Command) -> Iterator[str]:
    """A new full backup whose largest file has 64 wrong bytes in the middle. Yields its label."""
    host = fleet.group("backup")[0]
    assert command("backup", "--type", "full").returncode == 0
    label: str = json.loads(command("backups", "--json").stdout)["backups"][0]["label"]
    largest = f"find {REPOSITORY}/{label} -type f -printf '%s %p\\n' | sort -n | tail -1"
    size, path = fleet.run(host, largest).stdout.split()
    fleet.run(host, f"cp -p {path} /var/tmp/undamaged")
    fleet.run(host, f"dd if=/dev/urandom of={path} bs=1 count=64 seek={int(size) // 2} conv=notrunc")
    try:
        yield label
    finally:
        fleet.run(host, f"mv /var/tmp/undamaged {path} && systemctl start backup-check@verify")
        command("rehearse")


def test_a_rehearsal_passes_with_a_good_repository(fleet: LiveFleet, command: Command) -> None:
    beat = "select now() - at < interval '90 seconds' from fleet_heartbeat"
    read = f'cd / && sudo -u postgres psql -XAtq -d postgres -c "{beat}"'
    assert eventually(lambda: fleet.run(fleet.primary, read, check=False).stdout == "t\n", within=90)
    done = command("rehearse")
    assert done.returncode == 0, done.stdout
    assert metric(fleet, "rehearsal_ok") == 1
    assert metric(fleet, "rehearsal_data_age_seconds") < 240
    assert left(fleet) == ""
    assert "Repository 1 was rehearsed at " in command("backups").stdout


def test_a_damaged_file_is_found_by_the_rehearsal_and_by_verify(
    fleet: LiveFleet, command: Command, damaged: str
) -> None:
    done = command("rehearse")
    assert done.returncode != 0
    assert "The rehearsal of repository 1 failed" in done.stdout
    assert metric(fleet, "rehearsal_ok") == 0
    assert left(fleet) == ""
    fleet.run(fleet.group("backup")[0], "systemctl start backup-check@verify")
    assert metric(fleet, "verify_ok") == 0
    assert metric(fleet, "verify_damaged_files") >= 1
    assert damaged in command("backups").stdout
    active = 'ALERTS{alertstate="firing", alertname=~"RehearsalFailed|BackupDamaged"}'
    assert eventually(lambda: len(fleet.prometheus("query", query=active)["result"]) == 2, within=90, every=5)
