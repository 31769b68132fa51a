#!/usr/bin/python3
"""Bring a standby back whose replication slot was lost, because it was away for longer than the slot keeps WAL.

Patroni 4.0 uses a lost slot again and never repairs it. A timer runs this program on every host of the cluster. On the
primary, it drops a lost slot of a member; Patroni creates a new one. On a standby that then cannot get its WAL from the
primary, it lets Patroni copy the data again. With an archive it leaves the data alone: Postgres reads the WAL there.

A standby that has read the archive may stream with its lost slot again. Such a slot keeps no WAL and stays lost for
ever, although its status is only `unreserved`. It is replaced at once, which ends the stream for some seconds.
"""

import http.client
import json
import re
import subprocess
import sys
import time
from base64 import b64encode
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg2
import yaml

TIMEOUT = 5
# For so many seconds, a standby must have asked in vain for WAL that the primary no longer has.
PATIENCE = 30
REMOVED = "requested WAL segment [0-9A-F]+ has already been removed"
# Lost slots, each with the process that streams with it. Before Postgres 17, there is no `invalidation_reason`, and
# those that are in use are not found.
LOST = """
select slot_name, active_pid from pg_replication_slots as slot
where slot_type = 'physical' and slot_name = any(%s)
    and (not active and wal_status = 'lost' or to_jsonb(slot) ->> 'invalidation_reason' is not null)
"""
END_STREAM = "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = %s and active"
DROP = "select pg_drop_replication_slot(%s)"
CREATE = "select pg_create_physical_replication_slot(%s, true)"
# Whether this is a standby that may be copied: it streams from nobody, and has no archive.
STRANDED = """
select pg_is_in_recovery() and current_setting('restore_command') = ''
    and not exists (select from pg_stat_wal_receiver where status = 'streaming')
"""


class Patroni:
    """The API of this host's Patroni."""

    def __init__(self, config: Path) -> None:
        settings = yaml.safe_load(config.read_text())
        self._address: str = settings["restapi"]["connect_address"]
        login = settings["restapi"]["authentication"]
        self._login = b64encode(f"{login['username']}:{login['password']}".encode()).decode()

    def cluster(self) -> dict[str, Any]:
        """Return the members of the cluster. Empty if Patroni does not answer."""
        status, answer = self._call("GET", "/cluster")
        return dict(json.loads(answer)) if status == http.client.OK else {}

    def copy(self) -> str:
        """Copy the data of this standby from the primary again. Return the answer."""
        return self._call("POST", "/reinitialize", {"force": True})[1]

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, str]:
        headers = {"Authorization": f"Basic {self._login}", "Content-Type": "application/json"}
        with closing(http.client.HTTPConnection(self._address, timeout=TIMEOUT)) as connection:
            try:
                connection.request(method, path, json.dumps(body) if body else None, headers)
                response = connection.getresponse()
                return response.status, response.read().decode()
            except (OSError, http.client.HTTPException) as error:
                return 0, str(error)


def slots_of(members: list[dict[str, Any]]) -> list[str]:
    """Return the names that Patroni gives to the slots of members."""
    return [re.sub("[^a-z0-9]", "_", member["name"].lower()) for member in members]


def refused_since(lines: list[str], now: float) -> float:
    """Return for how many seconds the primary has refused WAL to this standby, up to now.

    Args:
        lines: The entries of the log that say so, each beginning with its time in seconds since 1970.
        now: The time.
    """
    times = [float(line.split()[0]) for line in lines]
    return now - times[0] if times and now - times[-1] < PATIENCE / 2 else 0


def log() -> list[str]:
    """Return the recent entries of the log of Postgres in which the primary refuses WAL."""
    words = ("--quiet", "--unit=patroni", "--output=short-unix", f"--since=-{2 * PATIENCE}s", f"--grep={REMOVED}")
    done = subprocess.run(["journalctl", *words], capture_output=True, text=True, check=False, timeout=TIMEOUT)
    return done.stdout.splitlines()


def replace(cursor: Any, name: str, *, used: bool) -> bool:
    """Drop a lost slot. If a standby streams with it, create another one, because Patroni needs seconds for that.

    Return whether it was dropped.
    """
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        cursor.execute(END_STREAM, [name])
        try:
            cursor.execute(DROP, [name])
        except psycopg2.errors.ObjectInUse:
            # The stream has not ended yet, or the standby has begun another one, which takes it some milliseconds.
            time.sleep(0.001)
            continue
        if used:
            with suppress(psycopg2.errors.DuplicateObject):  # Patroni was first
                cursor.execute(CREATE, [name])
        return True
    return False


def repair(connection: Any, patroni: Patroni) -> str:
    """Check this host once. Return what was done, in a sentence."""
    cluster = patroni.cluster()
    if cluster.get("pause") or not any(member["role"] == "leader" for member in cluster.get("members", [])):
        return ""
    with connection.cursor() as cursor:
        cursor.execute(LOST, [slots_of(cluster["members"])])
        lost = cursor.fetchall()
        cursor.execute("select pg_is_in_recovery()")
        if cursor.fetchone() == (False,):
            done = {name: replace(cursor, name, used=bool(process)) for name, process in lost}
            words = {True: "dropped", False: "could not drop"}
            return "; ".join(f"{words[dropped]} the lost replication slot of {name}" for name, dropped in done.items())
        cursor.execute(STRANDED)
        stranded = cursor.fetchone() == (True,)
    if stranded and refused_since(log(), time.time()) >= PATIENCE:
        return f"the primary no longer has the WAL that this standby needs, so it is copied again: {patroni.copy()}"
    return ""


def main(config: str) -> int:
    """Check once. Postgres may be down: then there is nothing to do."""
    try:
        with closing(psycopg2.connect("dbname=postgres host=/var/run/postgresql connect_timeout=5")) as connection:
            connection.autocommit = True
            if done := repair(connection, Patroni(Path(config))):
                print(done)
    except psycopg2.OperationalError:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
