"""Runs on a host (`sudo python3 -c`) and prints the host's state several times a second, one JSON line for each fact.

The first line of standard input has the settings. The agent exits at the end of its input. It needs only Debian's
Python. Each fact has its own thread, so a check that hangs delays no other.
"""

import http.client
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

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
REPLICATION = "select application_name, state, sync_state from pg_stat_replication"


def output(*command: str) -> str:
    """Run a command and return its output."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def system() -> str:
    """Query systemd's state of the host."""
    return output("systemctl", "is-system-running").strip()


def has_address(vip: str) -> bool:
    """Whether the host has the virtual address."""
    return f" {vip}/" in output("ip", "-o", "-4", "address")


def is_healthy(url: str) -> bool:
    """Whether a health check answers with success."""
    try:
        with DIRECT.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


class Postgres:
    """The host's own Postgres, queried over one connection.

    It reports its own view, independent of Patroni and etcd.
    """

    def __init__(self) -> None:
        self.cursor: Any = None

    def __call__(self) -> dict[str, Any] | None:
        psycopg2 = importlib.import_module("psycopg2")  # installed wherever Patroni is

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
        # Only while connecting, for peer authentication: a drill may freeze every process of this user.
        os.seteuid(pwd.getpwnam("postgres").pw_uid)
        try:
            connection = psycopg2.connect(dbname="postgres", application_name="drill", connect_timeout=2)
        finally:
            os.seteuid(0)
        connection.autocommit = True
        return connection.cursor()


def candidates(address: str) -> list[str] | None:
    """Query which standbys Patroni may promote: those that etcd lists as synchronous."""
    try:
        with DIRECT.open(f"http://{address}:8008/cluster", timeout=2) as answer:
            members = json.load(answer)["members"]
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return [member["name"] for member in members if member["role"] == "sync_standby"]


def redis(address: str, port: int, password: str) -> dict[str, Any] | None:
    """Query the role of a Redis of the host, and its number of replicas or its link to the master."""
    try:
        with socket.create_connection((address, port), timeout=1) as connection:
            connection.sendall(f"AUTH admin {password}\r\nINFO replication\r\nQUIT\r\n".encode())
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


def watch(fact: str, probe: Callable[[], Any], every: float, printing: threading.Lock) -> None:
    """Print a fact periodically."""
    while True:
        try:
            value = probe()
        except (ImportError, KeyError):
            value = None  # a new host does not have the module or the user yet
        except Exception:
            # Python caches an incomplete module while its package is being unpacked. The observer restarts the agent.
            os._exit(1)
        with printing:
            print(json.dumps({"t": time.time(), "fact": fact, "value": value}), flush=True)
        time.sleep(every)


def main() -> None:
    """Print the facts that the settings name until standard input ends."""
    settings = json.loads(sys.stdin.readline())
    probes: dict[str, tuple[Callable[[], Any], float]] = {"system": (system, 1.0)}
    if settings.get("vip"):
        probes["vip"] = (partial(has_address, settings["vip"]), 0.5)
    if settings.get("postgres"):
        probes["postgres"] = (Postgres(), 0.25)
        probes["candidates"] = (partial(candidates, settings["address"]), 0.5)
    for name, url in settings.get("health", {}).items():
        probes[name] = (partial(is_healthy, url), 1.0)
    for name, port in settings.get("redis", {}).items():
        probes[name] = (partial(redis, settings["address"], port, settings["password"]), 0.5)
    printing = threading.Lock()
    for name, (probe, every) in probes.items():
        threading.Thread(target=watch, args=(name, probe, every, printing), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
