"""Faults of the repository and of backups. Nobody notices them at the site, and afterwards every row is in a backup."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

import pytest
import yaml

from tests.support.drills.background import plan_load, running
from tests.support.drills.disk import REPOSITORY, full, small
from tests.support.drills.faults import powered_off, stopped
from tests.support.drills.playbooks import play
from tests.support.drills.restores import newest
from tests.support.drills.story import DIGEST, Story, beside, now
from tests.support.drills.verdict import RESULTS, Record, count_lost_and_doubled, reasons, succeeded
from tests.support.live.commands import Command
from tests.support.live.fleet import LiveFleet, eventually
from tools.fleet.context import ROOT, Host

# docs/guarantees.md promises ten minutes. WalNotArchived needs three of them without an archived segment.
AWAY_SECONDS = float(os.environ.get("BACKUPS_AWAY_SECONDS", "600"))
RATES = {"read": 4.0, "write": 2.0}
# WAL that waits for the archive.
WAITING = "select count(*) from pg_ls_archive_statusdir() where name like '%.ready'"
# pgBackRest's session on the primary while a backup runs.
SESSIONS = "select count(*) from pg_stat_activity where application_name like 'pgBackRest%'"
# A standby that Patroni may promote.
SYNCHRONOUS = "select count(*) from pg_stat_replication where sync_state in ('sync', 'quorum')"
BALLAST_ROWS = 500_000
BALLAST_BATCHES = 6
UNIT = "pgbackrest-backup@full.service"
# Instead of five minutes.
RETRY_SECONDS = 20
DROP_IN = "/run/systemd/system/pgbackrest-backup@.service.d/drill.conf"


pytestmark = pytest.mark.usefixtures("healthy_fleet")


@pytest.fixture(autouse=True)
def complete(fleet: LiveFleet) -> Iterator[None]:
    """Each test begins and ends with a standby that may be promoted, and an archive that works."""

    def ready() -> bool:
        return fleet.sql(fleet.primary, SYNCHRONOUS) == "1" and caught_up(fleet)

    assert eventually(ready, within=120, every=2)
    yield
    assert eventually(ready, within=300, every=2)


def caught_up(fleet: LiveFleet) -> bool:
    """Whether no WAL waits for the archive."""
    return fleet.sql(fleet.primary, WAITING) == "0"


def fires(fleet: LiveFleet, alert: str) -> bool:
    """Whether the expression of an alert has a result now. How long it must last is not waited for."""
    text = (ROOT / "roles/prometheus/files/rules/backups.yml").read_text()
    (group,) = yaml.safe_load(text)["groups"]
    (rule,) = [rule for rule in group["rules"] if rule["alert"] == alert]
    return bool(fleet.prometheus("query", query=rule["expr"])["result"])


def repository_host(fleet: LiveFleet) -> Host:
    """Return the host of the repository, which starts the backups."""
    (host,) = fleet.group("backup")
    return host


def restorable(command: Command, target: str, digests: dict[str, str]) -> None:
    """Check that the repository brings back these articles, with their text, as they were at a point in time."""
    with beside(command, target) as shown:
        assert {title: shown(DIGEST.format(title)) for title in digests} == digests


def written(story: Story, name: str) -> str:
    """Publish some more articles. Return the beginning of their titles."""
    title = f"{name}-{uuid4().hex[:8]}"
    story.write(title)
    return title


def titles(fleet: LiveFleet, host: Host, run: str) -> Counter[int]:
    """Return how often each numbered article of a load is on a host."""
    found = fleet.sql(host, f"select title from article where title like '{run}-%'").splitlines()
    return Counter(int(title.rpartition("-")[2]) for title in found)


def test_the_repository_is_away_under_writes(fleet: LiveFleet, api_key: str, story: Story, command: Command) -> None:
    plan = replace(plan_load(fleet, api_key, RATES, AWAY_SECONDS + 600), run=f"away-{uuid4().hex[:8]}")
    records: list[Record]
    with running(plan, RESULTS) as records:
        with stopped(fleet, [repository_host(fleet)], "pgbackrest"):
            end = time.monotonic() + AWAY_SECONDS
            assert not fires(fleet, "WalNotArchived")
            assert eventually(lambda: fires(fleet, "WalNotArchived"), within=AWAY_SECONDS, every=5)
            time.sleep(max(end - time.monotonic(), 0))
            assert not caught_up(fleet)
            during = written(story, "during")
            target, digests = now(fleet), {story.before: story.expected, during: story.digest(during)}
        assert eventually(lambda: caught_up(fleet), within=120, every=1)
        assert eventually(lambda: not fires(fleet, "WalNotArchived"), within=120, every=5)
    failed = [record for record in records if not succeeded(record)]
    assert reasons(failed) == {}
    stored = titles(fleet, fleet.primary, plan.run)
    assert stored
    assert count_lost_and_doubled(records, stored) == (0, 0, 0)
    digest = DIGEST.format(plan.run)
    primary, (standby,) = fleet.primary, fleet.standbys
    assert eventually(lambda: fleet.sql(standby, digest) == fleet.sql(primary, digest), within=30)
    story.archive()
    restorable(command, target, digests)


def test_the_disk_of_the_repository_is_full(fleet: LiveFleet, story: Story, command: Command) -> None:
    host = repository_host(fleet)
    with small(fleet, host, REPOSITORY):
        with full(fleet, host, REPOSITORY):
            title = written(story, "full")
            fleet.sql(fleet.primary, "select pg_switch_wal()")
            assert eventually(lambda: not caught_up(fleet), within=60, every=1)
            assert command("backup").returncode != 0
            fleet.run(host, "systemctl start backup-metrics")
            assert eventually(lambda: fires(fleet, "BackupRepositoryFilling"), within=90, every=5)
            target, digests = now(fleet), {story.before: story.expected, title: story.digest(title)}
        # The half backup does not keep the archive from catching up, and the next one removes or resumes it.
        assert eventually(lambda: caught_up(fleet), within=120, every=1)
        done = command("backup")
        assert done.returncode == 0, done.stdout
        fleet.run(host, "systemctl start backup-metrics")
        assert eventually(lambda: not fires(fleet, "BackupRepositoryFilling"), within=90, every=5)
        story.archive()
        restorable(command, target, digests)


@contextmanager
def slow_backup(fleet: LiveFleet) -> Iterator[None]:
    """Let a backup take some seconds, and systemd try again soon."""
    host, primary = repository_host(fleet), fleet.primary
    fleet.sql(primary, "drop table if exists ballast; create table ballast (t text)")
    rows = f"select md5(random()::text) || md5(random()::text) from generate_series(1, {BALLAST_ROWS})"
    for _ in range(BALLAST_BATCHES):
        fleet.sql(primary, f"insert into ballast {rows}")
    text = f"[Service]\\nRestartSec={RETRY_SECONDS}\\n"
    fleet.run(host, f"mkdir -p $(dirname {DROP_IN}); printf '{text}' >{DROP_IN}; systemctl daemon-reload")
    try:
        yield
    finally:
        fleet.run(host, f"rm -f {DROP_IN}; systemctl daemon-reload")
        assert eventually(lambda: fleet.sql(fleet.primary, "drop table if exists ballast") == "", within=120)


def test_the_primary_is_killed_during_a_backup(fleet: LiveFleet, story: Story, command: Command) -> None:
    host = repository_host(fleet)
    before = newest(command)["label"]

    def retries() -> int:
        return int(fleet.run(host, f"systemctl show --property=NRestarts --value {UNIT}").stdout)

    with slow_backup(fleet):
        fleet.run(host, f"systemctl reset-failed {UNIT}; systemctl start --no-block {UNIT}")
        primary, (standby,) = fleet.primary, fleet.standbys
        assert eventually(lambda: fleet.sql(primary, SESSIONS) != "0", within=60)
        with powered_off(fleet, primary):
            assert eventually(lambda: fleet.is_primary(standby), within=60, every=1)
            assert eventually(lambda: retries() > 0, within=240, every=2), "the backup did not fail"
        assert eventually(lambda: newest(command)["label"] != before, within=600, every=10)
        assert newest(command)["type"] == "full"
        state = f"systemctl is-active {UNIT}"
        assert eventually(lambda: fleet.run(host, state, check=False).stdout == "inactive\n", within=60)
    title = written(story, "retried")
    target, digests = now(fleet), {story.before: story.expected, title: story.digest(title)}
    story.archive()
    restorable(command, target, digests)


def test_a_restore_across_a_failover_and_the_next_backup(fleet: LiveFleet, story: Story, command: Command) -> None:
    primary, (standby,) = fleet.primary, fleet.standbys
    old = newest(command)["label"]
    story.archive()
    with powered_off(fleet, primary):
        assert eventually(lambda: fleet.is_primary(standby), within=60, every=1)
    assert eventually(lambda: len(fleet.standbys) == 1, within=120, every=1)
    assert fleet.primary == standby
    titles_before = [story.before, story.after, written(story, "across")]
    across, digests = now(fleet), {title: story.digest(title) for title in titles_before}
    assert digests[story.before] == story.expected
    time.sleep(1)
    beyond = written(story, "beyond")
    story.archive()
    # The backup before the failover, and the WAL of both timelines.
    restorable(command, across, digests | {beyond: "0|"})
    done = command("backup")
    assert done.returncode == 0, done.stdout
    assert newest(command)["label"] != old
    time.sleep(1)
    target = now(fleet)
    restorable(command, target, digests | {beyond: story.digest(beyond)})


OTHERS = [
    ({"pgbackrest_fleet": "another"}, "Repository 1 has backups of the fleet"),
    ({"pgbackrest_cipher_pass": "a-pass-of-another-fleet"}, "Repository 1 cannot be decrypted"),
]


@pytest.mark.parametrize(("variables", "sentence"), OTHERS, ids=[sentence for _, sentence in OTHERS])
def test_another_fleet_is_refused_before_its_settings_change(
    fleet: LiveFleet, command: Command, variables: dict[str, str], sentence: str
) -> None:
    assert command("backup").returncode == 0
    hosts = [repository_host(fleet), *fleet.group("postgres")]
    sums = [fleet.run(host, "sha256sum /etc/pgbackrest/pgbackrest.conf").stdout for host in hosts]
    refused = play(fleet, "site.yml", "--tags", "backup", "--extra-vars", json.dumps(variables))
    assert refused.code != 0
    assert sentence in refused.output
    assert [fleet.run(host, "sha256sum /etc/pgbackrest/pgbackrest.conf").stdout for host in hosts] == sums
    play(fleet, "site.yml", "--tags", "backup").succeeded()
