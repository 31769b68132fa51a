"""Measures what backups and restores cost, on a running fleet with backups: docs/backups.md.

Usage: `FLEET=dev INVENTORY=backups python -m tools.bench.backups [MIB [PART …]]`. It adds a table of MIB megabytes, by
default 1024, and drops it at the end. Without a PART, it measures all: loss, backup, beside, in-place, replica. The
restore in place loses what others write meanwhile, so use a fleet of your own.
"""

import json
import math
import os
import re
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from uuid import uuid4

from tests.support.drills.background import plan_load, running
from tests.support.drills.load import Plan
from tests.support.drills.playbooks import Run, play
from tests.support.drills.story import now
from tests.support.drills.verdict import RESULTS, Record, succeeded
from tests.support.live.fleet import LiveFleet, eventually
from tools.bench.fleet import store
from tools.fleet.context import Fleet, FleetError, Host, echo

PARTS = ["loss", "backup", "beside", "in-place", "replica"]
QUIET_SECONDS = 60
# Long enough for some segments that archive_timeout ends.
LOSS_SECONDS = 300
SEGMENT = 16 * 1024**2
MAX_SECONDS = 3600.0
READS = {"read": 20.0}
BOTH = {"read": 4.0, "write": 2.0}
# A batch of rows takes about 48 MiB. One statement for all of them could take longer than a command on a host may.
BATCH_ROWS, BATCH_MIB = 500_000, 48
INSERT = f"insert into ballast select md5(random()::text) || md5(random()::text) from generate_series(1, {BATCH_ROWS})"
DATA = "/var/lib/postgresql/17"
STREAMING = "select state from pg_stat_replication where application_name = '{}'"
REPOSITORY = "/var/lib/pgbackrest"
# Takes the files of a folder out of the page cache.
UNCACHE = "sync && find {} -type f -exec dd of={{}} oflag=nocache conv=notrunc,fdatasync count=0 status=none \\;"
COPY = f"""
cd {DATA} && sync && date +%s.%N && cp -a beside copied && sync -f copied && date +%s.%N && rm -rf copied && sync
"""
# A commit, and in the last row its time, the end of the WAL, and the end of the last archived segment.
COMMIT = f"""
begin; select pg_logical_emit_message(true, 'flaskfleet', 'bench'); commit;
select extract(epoch from clock_timestamp()), pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0'),
coalesce((select ((pg_split_walfile_name(left(last_archived_wal, 24))).segment_number + 1) * {SEGMENT}
from pg_stat_archiver where last_archived_wal ~ '^[0-9A-F]{{24}}'), 0)
"""
# Ansible prints how long each task took, in the order of the tasks.
PROFILE = {
    "ANSIBLE_CALLBACKS_ENABLED": "fleet_errors, ansible.posix.profile_tasks",
    "PROFILE_TASKS_SORT_ORDER": "none",
    "PROFILE_TASKS_TASK_OUTPUT_LIMIT": "all",
}
TASK = re.compile(r"^(?:\S+ : )?(\S.*?) -{2,} +([\d.]+)s$", re.MULTILINE)
# The phases of a restore in place, each with the task that begins it.
PHASES = {
    "checks": "",
    "page on": "Look for a page that somebody switched on",
    "stop Patroni": "Remove the note of an earlier restore that was given up",
    "files": "Keep the old data",
    "replay": "Write the unit",
    "promote": "Write a checkpoint, because pg_rewind on the other hosts reads the timeline from it",
    "Patroni": "Read the id of the restored cluster",
    "standbys": "Wait until it streams from the restored primary",
    "page off": "Empty it",
    "archive and backup": "Check that the log is archived",
}


def percentile(values: Sequence[float], part: float) -> float:
    """Return the smallest value that this part of the values does not exceed."""
    return sorted(values)[math.ceil(part * len(values)) - 1]


def p99(records: Iterable[Record], begin: float, end: float) -> float:
    """Return the 99th percentile, in milliseconds, of the reads that were due in a period. Failed ones count."""
    found = [r for r in records if r["kind"] == "read" and begin <= r["due"] < end]
    if not found:
        raise FleetError(f"No read was due in the {end - begin:.0f} s of a period; use a larger database.")
    return percentile([1000 * (r["end"] - r["due"]) if succeeded(r) else math.inf for r in found], 0.99)


def longest_gap(records: Iterable[Record], kind: str) -> float:
    """Return the longest time between two requests of a kind that succeeded, in seconds."""
    ends = sorted(float(r["end"]) for r in records if r["kind"] == kind and succeeded(r))
    return max(later - earlier for earlier, later in pairwise(ends))


def losses(samples: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """Return what the loss of every database host would cost at most: seconds of commits, and bytes of WAL.

    Args:
        samples: the time of a commit, the end of the WAL then, and the end of what was archived then, in this order.
    """
    seconds = 0.0
    for number, (at, end, _) in enumerate(samples):
        # A commit can be lost until it is archived, or until the last sample, which is less than the truth.
        seconds = max(seconds, next((t for t, _, stored in samples[number:] if stored >= end), samples[-1][0]) - at)
    return seconds, max(end - stored for _, end, stored in samples)


def tasks(output: str) -> list[tuple[str, float]]:
    """Return the tasks of a playbook with their seconds, in their order."""
    return [(name, float(seconds)) for name, seconds in TASK.findall(output)]


def phases(output: str) -> dict[str, float]:
    """Return the seconds of each phase of a restore in place. A phase ends where a later one begins."""
    names = list(PHASES)
    found = dict.fromkeys(PHASES, 0.0)
    begins: Mapping[str, str] = {task: name for name, task in PHASES.items()}
    current = names[0]
    for task, seconds in tasks(output):
        following = begins.get(task, current)
        if names.index(following) > names.index(current):
            current = following
        found[current] += seconds
    return found


def seconds_of(run: Run, task: str) -> float:
    """Return how long a task of a playbook took, on all hosts and in all of its runs."""
    return sum(seconds for name, seconds in tasks(run.text) if name == task)


def restore(fleet: LiveFleet, **options: object) -> Run:
    """Run the playbook of restores."""
    return play(fleet, "playbooks/restore.yml", "--extra-vars", json.dumps(options)).succeeded()


def load(fleet: LiveFleet, key: str, rates: dict[str, float]) -> Plan:
    """Return a load with a name of its own."""
    return replace(plan_load(fleet, key, rates, MAX_SECONDS), run=f"bench-{uuid4().hex[:8]}")


def api_key(fleet: LiveFleet) -> str:
    """Return a new API key that may write."""
    email = f"bench-{uuid4().hex[:8]}@news.test"
    fleet.app_command(f"flask users create {email} --password-env AUTHOR_PASSWORD", {"AUTHOR_PASSWORD": uuid4().hex})
    return fleet.app_command(f"flask keys create {email} --name bench --scope articles:write").split()[-1]


@contextmanager
def ballast(fleet: LiveFleet, size: int) -> Iterator[None]:
    """Add a table of about this many MiB that does not compress well."""
    fleet.sql(fleet.primary, "drop table if exists ballast; create table ballast (t text)")
    try:
        for _ in range(math.ceil(size / BATCH_MIB)):
            fleet.sql(fleet.primary, INSERT)
        yield
    finally:
        fleet.sql(fleet.primary, "drop table if exists ballast")


def sampled(fleet: LiveFleet, every: float) -> list[tuple[float, float, float]]:
    """Commit again and again, and see what is archived."""
    samples, end = [], time.monotonic() + LOSS_SECONDS
    while time.monotonic() < end:
        at, written, archived = map(float, fleet.sql(fleet.primary, COMMIT).splitlines()[-1].split("|"))
        samples.append((at, written, archived))
        time.sleep(every)
    return samples


def measure_loss(fleet: LiveFleet, key: str, figures: dict[str, float]) -> None:
    """Measure what the loss of every database host would cost, without and with writes of users."""
    seconds, size = losses(sampled(fleet, every=2))
    figures |= {"archive behind, idle, s": seconds, "archive behind, idle, MiB": size / 1024**2}
    with running(load(fleet, key, {"read": 4.0, "write": 8.0}), RESULTS) as records:
        seconds, size = losses(sampled(fleet, every=1))
    figures |= {"archive behind, busy, s": seconds, "archive behind, busy, MiB": size / 1024**2}
    figures["writes of users, per second"] = (
        sum(map(succeeded, (r for r in records if r["kind"] == "write"))) / LOSS_SECONDS
    )


def measure_backup(fleet: LiveFleet, key: str, figures: dict[str, float]) -> None:
    """Compare reads during a full backup with those of a quiet minute before."""
    with running(load(fleet, key, READS), RESULTS) as records:
        begin = time.time()
        time.sleep(QUIET_SECONDS)
        quiet = time.time()
        play(fleet, "playbooks/backup.yml", "--extra-vars", "backup_type=full").succeeded()
    (host,) = fleet.group("backup")
    (stanza,) = fleet.json_of(host, "cd / && sudo -u postgres pgbackrest --stanza=main info --output=json")
    newest = max(stanza["backup"], key=lambda backup: int(backup["timestamp"]["stop"]))
    start, stop = newest["timestamp"]["start"], newest["timestamp"]["stop"]
    figures["full backup, s"] = stop - start
    figures["full backup, MiB of the database"] = newest["info"]["size"] / 1024**2
    figures["reads, quiet, p99 ms"] = p99(records, begin, quiet)
    figures["reads, full backup, p99 ms"] = p99(records, start, stop)
    figures["ratio: reads, backup / quiet"] = figures["reads, full backup, p99 ms"] / figures["reads, quiet, p99 ms"]


def copy_seconds(fleet: LiveFleet, host: Host) -> float:
    """Return how long a copy of the restored files takes on their host."""
    begin, end = map(float, fleet.run(host, COPY).stdout.split())
    return end - begin


def measure_beside(fleet: LiveFleet, figures: dict[str, float]) -> None:
    """Compare a side restore with a copy of the same files on the same host. Both read from the disk, cp also again."""
    (repository,) = fleet.group("backup")
    host = next(iter(fleet.standbys), fleet.primary)
    target = now(fleet)
    time.sleep(2)
    fleet.run(repository, UNCACHE.format(REPOSITORY))
    run = restore(fleet, restore_to=target, restore_host=host.name)
    try:
        fleet.run(host, UNCACHE.format(f"{DATA}/beside"))
        copied = copy_seconds(fleet, host)
        cached = copy_seconds(fleet, host)
    finally:
        restore(fleet, restore_remove=True, restore_host=host.name)
    figures["side restore, whole command, s"] = run.seconds
    figures["side restore, files, s"] = seconds_of(run, "Restore the files")
    figures["cp of the same files, s"] = copied
    figures["cp of the same files from memory, s"] = cached
    figures["ratio: files of a side restore / cp"] = figures["side restore, files, s"] / copied


def measure_in_place(fleet: LiveFleet, key: str, figures: dict[str, float]) -> None:
    """Restore the whole cluster under load."""
    target = now(fleet)
    time.sleep(2)
    with running(load(fleet, key, BOTH), RESULTS) as records:
        time.sleep(5)
        run = restore(fleet, restore_to=target, restore_in_place=True, restore_confirm=fleet.fleet.name)
        time.sleep(5)
    figures["restore in place, whole command, s"] = run.seconds
    figures["restore in place, without writes, s"] = longest_gap(records, "write")
    figures["restore in place, without reads, s"] = longest_gap(records, "read")
    figures |= {f"restore in place, {name}, s": seconds for name, seconds in phases(run.text).items()}
    fleet.run(fleet.primary, f"rm -rf {DATA}/main.before-*")


def create_replica(fleet: LiveFleet, standby: Host, methods: list[str]) -> float:
    """Let a standby without data be created. Return the seconds until it streams."""
    chosen = shlex.quote(f"postgresql.create_replica_methods={json.dumps(methods)}")
    fleet.run(fleet.primary, f"patronictl -c /etc/patroni/config.yml edit-config --force --quiet --set {chosen}")
    time.sleep(15)  # every member reads it in its next loop
    fleet.run(standby, f"systemctl stop patroni; rm -rf {DATA}/main")
    begin = time.monotonic()
    fleet.run(standby, "systemctl start patroni")
    state = STREAMING.format(standby.name)
    if not eventually(lambda: fleet.sql(fleet.primary, state) == "streaming", within=1800, every=0.5):
        raise FleetError(f"{standby.name} does not stream after half an hour; read `journalctl -u patroni` there.")
    return time.monotonic() - begin


def measure_replica(fleet: LiveFleet, figures: dict[str, float]) -> None:
    """Compare a standby from the repository with one from the primary."""
    standby = fleet.standbys[0]
    figures["replica from the primary, s"] = create_replica(fleet, standby, ["basebackup"])
    figures["replica from the repository, s"] = create_replica(fleet, standby, ["pgbackrest", "basebackup"])
    figures["ratio: replica, repository / primary"] = (
        figures["replica from the repository, s"] / figures["replica from the primary, s"]
    )


def main() -> int:
    """Measure, print and store the figures."""
    os.environ |= PROFILE
    size = int(sys.argv[1]) if sys.argv[1:] else 1024
    parts = sys.argv[2:] or PARTS
    if unknown := set(parts) - set(PARTS):
        raise FleetError(f"unknown part {', '.join(sorted(unknown))}; choose from {', '.join(PARTS)}.")
    fleet = LiveFleet(Fleet.from_environment())
    if "replica" in parts and not fleet.standbys:
        parts = [part for part in parts if part != "replica"]
        echo("This fleet has no standby, so the creation of one is not measured.")
    key, figures = api_key(fleet), dict[str, float]()
    if "loss" in parts:
        measure_loss(fleet, key, figures)
    with ballast(fleet, size):
        if "backup" in parts:
            measure_backup(fleet, key, figures)
        if "beside" in parts:
            measure_beside(fleet, figures)
        if "in-place" in parts:
            measure_in_place(fleet, key, figures)
        if "replica" in parts:
            measure_replica(fleet, figures)
    store("backups", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
