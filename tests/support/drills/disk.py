"""A small disk that can be filled. The write-ahead log of a Postgres host, or the repository, moves to it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.support.drills.faults import undone
from tests.support.live.fleet import LiveFleet
from tools.fleet.context import Host

WAL = "/var/lib/postgresql/17/main/pg_wal"
REPOSITORY = "/var/lib/pgbackrest"
# The service that uses each folder.
UNITS = {WAL: "patroni", REPOSITORY: "pgbackrest"}
SMALL = "/var/lib/postgresql/small-disk"
# MiB in addition to the current size of the folder. The log is at most max_wal_size.
EXTRA_MIB = 200
# And percent of it: 15 % of the disk of a repository must be free again when the filler is removed.
EXTRA_PERCENT = {WAL: 0, REPOSITORY: 40}
MOVE_IN = """
set -e
systemctl stop {unit}
install -d -o postgres -g postgres -m 700 {small}
size=$(($(du -sm {folder} | cut -f1) * (100 + {percent}) / 100 + {extra}))m
mount -t tmpfs -o size=$size,uid=$(id -u postgres),gid=$(id -g postgres),mode=700 tmpfs {small}
cp -a {folder}/. {small}/
mount --bind {small} {folder}
systemctl start {unit}
"""
MOVE_OUT = """
set -e
systemctl stop {unit}
if mountpoint -q {folder}; then
    umount {folder}
    find {folder} -mindepth 1 -delete
    cp -a {small}/. {folder}/
fi
if mountpoint -q {small}; then
    umount {small}
fi
rm -rf {small}
systemctl start {unit}
"""
# A full disk has an effect only when the server needs a new log segment. It keeps a few in reserve, so use these up.
FILL = """
fallocate -l $(df --output=avail -B1 {folder} | tail -1) {folder}/filler ||
    dd if=/dev/zero of={folder}/filler bs=1M 2>/dev/null || true
"""
USE_UP = """
for _ in $(seq 200); do
    sudo -u postgres psql -qAtc "select pg_logical_emit_message(true, 'drill', 'x'), pg_switch_wal()" \\
        >/dev/null 2>&1 || exit 0
done
"""


@contextmanager
def small(fleet: LiveFleet, host: Host, folder: str = WAL) -> Iterator[None]:
    """Move the log of a standby, or the repository, to a small disk. On exit, move it back."""
    names = {"folder": folder, "unit": UNITS[folder], "small": SMALL}
    names |= {"extra": str(EXTRA_MIB), "percent": str(EXTRA_PERCENT[folder])}
    try:
        fleet.run(host, MOVE_IN.format(**names))
        yield
    finally:
        fleet.run(host, MOVE_OUT.format(**names))


def full(fleet: LiveFleet, host: Host, folder: str = WAL) -> AbstractContextManager[None]:
    """Fill the disk of the log, or of the repository. On exit, free the space."""
    fill = FILL.format(folder=folder) + (USE_UP if folder == WAL else "")
    return undone(lambda: fleet.run(host, fill), lambda: fleet.run(host, f"rm -f {folder}/filler"))
