"""A disk that can be filled: a Postgres host whose write-ahead log lies on a file system of its own, small enough to be full at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.live.fleet import LiveFleet
from tools.fleet.context import Host

LOG = "/var/lib/postgresql/17/main/pg_wal"
SMALL = "/var/lib/postgresql/small-disk"
# MiB beyond what the log has by now, which is up to max_wal_size.
ROOM = 200
MOVE_IN = f"""
set -e
systemctl stop patroni
install -d -o postgres -g postgres -m 700 {SMALL}
mount -t tmpfs -o size=$(($(du -sm {LOG} | cut -f1) + {ROOM}))m,uid=$(id -u postgres),gid=$(id -g postgres),mode=700 tmpfs {SMALL}
cp -a {LOG}/. {SMALL}/
mount --bind {SMALL} {LOG}
systemctl start patroni
"""
MOVE_OUT = f"""
set -e
systemctl stop patroni
if mountpoint -q {LOG}; then
    umount {LOG}
    find {LOG} -mindepth 1 -delete
    cp -a {SMALL}/. {LOG}/
fi
if mountpoint -q {SMALL}; then
    umount {SMALL}
fi
rm -rf {SMALL}
systemctl start patroni
"""
# A full disk is felt when the next segment of the log is needed: the server has a few in reserve.
FILL = f"""
fallocate -l $(df --output=avail -B1 {LOG} | tail -1) {LOG}/filler || dd if=/dev/zero of={LOG}/filler bs=1M 2>/dev/null
for _ in $(seq 200); do
    sudo -u postgres psql -qAtc "select pg_logical_emit_message(true, 'drill', 'x'), pg_switch_wal()" >/dev/null 2>&1 || exit 0
done
"""


@contextmanager
def small(fleet: LiveFleet, host: Host) -> Iterator[None]:
    """The host, which must be a standby, keeps its log on a small disk."""
    try:
        fleet.run(host, MOVE_IN)
        yield
    finally:
        fleet.run(host, MOVE_OUT)


@contextmanager
def full(fleet: LiveFleet, host: Host) -> Iterator[None]:
    """No byte is left for the log, then somebody makes room."""
    fleet.run(host, FILL)
    try:
        yield
    finally:
        fleet.run(host, f"rm -f {LOG}/filler")
