"""A small disk that can be filled: moves the write-ahead log of a Postgres host to a small file system."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from tests.support.drills.faults import undone
from tests.support.live.fleet import LiveFleet
from tools.fleet.context import Host

WAL = "/var/lib/postgresql/17/main/pg_wal"
SMALL = "/var/lib/postgresql/small-disk"
# MiB in addition to the current size of the log, which is at most max_wal_size.
EXTRA_MIB = 200
MOVE_IN = f"""
set -e
systemctl stop patroni
install -d -o postgres -g postgres -m 700 {SMALL}
size=$(($(du -sm {WAL} | cut -f1) + {EXTRA_MIB}))m
mount -t tmpfs -o size=$size,uid=$(id -u postgres),gid=$(id -g postgres),mode=700 tmpfs {SMALL}
cp -a {WAL}/. {SMALL}/
mount --bind {SMALL} {WAL}
systemctl start patroni
"""
MOVE_OUT = f"""
set -e
systemctl stop patroni
if mountpoint -q {WAL}; then
    umount {WAL}
    find {WAL} -mindepth 1 -delete
    cp -a {SMALL}/. {WAL}/
fi
if mountpoint -q {SMALL}; then
    umount {SMALL}
fi
rm -rf {SMALL}
systemctl start patroni
"""
# A full disk has an effect only when the server needs a new log segment. It keeps a few in reserve, so use these up.
FILL = f"""
fallocate -l $(df --output=avail -B1 {WAL} | tail -1) {WAL}/filler || dd if=/dev/zero of={WAL}/filler bs=1M 2>/dev/null
for _ in $(seq 200); do
    sudo -u postgres psql -qAtc "select pg_logical_emit_message(true, 'drill', 'x'), pg_switch_wal()" \\
        >/dev/null 2>&1 || exit 0
done
"""


@contextmanager
def small(fleet: LiveFleet, host: Host) -> Iterator[None]:
    """Move the log of a standby to a small disk. On exit, move it back."""
    try:
        fleet.run(host, MOVE_IN)
        yield
    finally:
        fleet.run(host, MOVE_OUT)


def full(fleet: LiveFleet, host: Host) -> AbstractContextManager[None]:
    """Fill the disk of the log. On exit, free the space."""
    return undone(lambda: fleet.run(host, FILL), lambda: fleet.run(host, f"rm -f {WAL}/filler"))
