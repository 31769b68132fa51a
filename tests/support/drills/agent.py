"""Runs on a host of the fleet (`sudo python3 -c`) and prints what the host is, some times a second, one JSON line an observation.

Its settings come as the first line of standard input; it ends when standard input does. Debian's own Python is all that it needs. Each
observation has a thread of its own: one that hangs is not printed, which says as much.
"""

from __future__ import annotations

import importlib
import json
import os
import pwd
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

REPLICATION = "select application_name, state, sync_state from pg_stat_replication"


def system() -> str:
    """What systemd says of the host."""
    return subprocess.run(
        ["systemctl", "is-system-running"], capture_output=True, text=True, check=False
    ).stdout.strip()


def holds(vip: str) -> bool:
    """Whether the host answers for the virtual address."""
    return (
        f" {vip}/" in subprocess.run(["ip", "-o", "-4", "address"], capture_output=True, text=True, check=False).stdout
    )


def answers(url: str) -> bool:
    """Whether a health address answers with success."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


class Postgres:
    """The host's own server, asked over one connection: what it believes itself, whatever Patroni or etcd say."""

    def __init__(self) -> None:
        self.cursor: Any = None

    def __call__(self) -> dict[str, Any] | None:
        psycopg2 = importlib.import_module("psycopg2")  # there where Patroni is

        try:
            if self.cursor is None:
                self.cursor = self._connect(psycopg2)
            self.cursor.execute("select pg_is_in_recovery()")
            if self.cursor.fetchone()[0]:
                return {"primary": False}
            self.cursor.execute(REPLICATION)
            return {"primary": True, "standbys": {name: [state, sync] for name, state, sync in self.cursor.fetchall()}}
        except psycopg2.Error:
            self.cursor = None
            return None

    def _connect(self, psycopg2: Any) -> Any:
        # Only while connecting: the server asks the kernel who we are, and a drill may freeze every process of this user.
        os.seteuid(pwd.getpwnam("postgres").pw_uid)
        try:
            connection = psycopg2.connect(dbname="postgres", application_name="drill", connect_timeout=2)
        finally:
            os.seteuid(0)
        connection.autocommit = True
        return connection.cursor()


class Redis:
    """One Redis of the host: its role, and how many copies it has or whether it has its master."""

    def __init__(self, address: str, port: int, password: str) -> None:
        self.address, self.port, self.password = address, port, password

    def __call__(self) -> dict[str, Any] | None:
        try:
            with socket.create_connection((self.address, self.port), timeout=1) as connection:
                connection.sendall(f"AUTH admin {self.password}\r\nINFO replication\r\nQUIT\r\n".encode())
                lines = connection.makefile("r").read().splitlines()
        except OSError:
            return None
        facts = dict(line.split(":", 1) for line in lines if ":" in line)
        if "role" not in facts:
            return None
        if facts["role"] == "master":
            copies = [value for name, value in facts.items() if name.startswith("slave") and name[5:].isdigit()]
            return {"master": True, "replicas": sum("state=online" in copy for copy in copies)}
        return {"master": False, "linked": facts.get("master_link_status") == "up"}


def watch(what: str, probe: Callable[[], Any], every: float, printing: threading.Lock) -> None:
    """Print an observation again and again."""
    while True:
        try:
            value = probe()
        except (ImportError, KeyError):
            value = None  # a host that is being filled lacks the module, or the user, as yet
        except Exception:
            # Of a module that is just being unpacked Python remembers an empty package: whoever follows starts the agent anew.
            os._exit(1)
        with printing:
            print(json.dumps({"t": time.time(), "what": what, "value": value}), flush=True)
        time.sleep(every)


def main() -> None:
    """Watch what the settings name until standard input ends."""
    settings = json.loads(sys.stdin.readline())
    probes: dict[str, tuple[Callable[[], Any], float]] = {"system": (system, 1.0)}
    if settings.get("vip"):
        probes["vip"] = (partial(holds, settings["vip"]), 0.5)
    if settings.get("postgres"):
        probes["postgres"] = (Postgres(), 0.25)
    for name, url in settings.get("health", {}).items():
        probes[name] = (partial(answers, url), 1.0)
    for name, port in settings.get("redis", {}).items():
        probes[name] = (Redis(settings["address"], port, settings["password"]), 0.5)
    printing = threading.Lock()
    for name, (probe, every) in probes.items():
        threading.Thread(target=watch, args=(name, probe, every, printing), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
