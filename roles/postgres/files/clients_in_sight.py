#!/usr/bin/python3
"""Hand over from a primary that no client can reach.

Patroni looks at its cluster alone: a primary that etcd and its standbys reach stays primary, also where the network between it and
everybody whom it serves is gone. This program runs on every host of the cluster and notes in etcd that the host sees a client. A primary
that sees none has Patroni switch over to a synchronous standby that does.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

INTERVAL = 1  # seconds between two looks
TIMEOUT = 1  # seconds for one connection; a look takes up to two of them
LOOKS = 3  # so many in a row without a client are no accident
SIGHT_SECONDS = 6  # for so long one look counts; a host that died vouches for nothing
REST_SECONDS = 300  # after a hand-over, whoever is primary: a network that comes and goes must not move it to and fro
SWITCHOVER_TIMEOUT = 60


def call(
    address: str, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, timeout: float = 2
) -> Any:
    """The JSON of an answer; None where there is none, or an error."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers or {})
        answer = connection.getresponse()
        content = answer.read()
        return (
            None
            if answer.status >= http.client.BAD_REQUEST
            else json.loads(content)
            if content.startswith(b"{")
            else {}
        )
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def sees(clients: list[str]) -> bool:
    """Whether a client's host answers. One that refuses the connection is reached, too."""

    def reached(client: str) -> bool:
        host, _, port = client.rpartition(":")
        try:
            socket.create_connection((host, int(port)), TIMEOUT).close()
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return True

    first, *others = random.sample(clients, len(clients))
    if reached(first):
        return True
    with ThreadPoolExecutor(len(clients)) as pool:
        return any(pool.map(reached, others))


class Etcd:
    """Notes that expire, by etcd's JSON gateway."""

    def __init__(self, addresses: list[str], scope: str) -> None:
        self._addresses = addresses
        self._prefix = f"/flaskfleet/{scope}/clients-in-sight/"
        self._leases: dict[str, str] = {}

    def keep(self, key: str, seconds: int) -> None:
        """Make a note that expires after some time, or give it this time anew: that costs etcd no write."""
        if lease := self._leases.get(key):
            answer = self._ask("/v3/lease/keepalive", {"ID": lease})
            if answer and answer.get("result", {}).get("TTL"):
                return
        self._put(key, seconds, [])

    def claim(self, key: str, seconds: int) -> bool:
        """Make a note where nobody has made it yet; return whether it was made."""
        return self._put(key, seconds, [{"key": self._path(key), "target": "CREATE", "create_revision": "0"}])

    def noted(self, key: str) -> bool:
        """Whether there is such a note."""
        answer = self._ask("/v3/kv/range", {"key": self._path(key)})
        return bool(answer and answer.get("kvs"))

    def forget(self, key: str) -> None:
        """Take a note back."""
        self._ask("/v3/kv/deleterange", {"key": self._path(key)})

    def _put(self, key: str, seconds: int, conditions: list[dict[str, str]]) -> bool:
        granted = self._ask("/v3/lease/grant", {"TTL": seconds})
        if not granted:
            return False
        self._leases[key] = granted["ID"]
        put = {"key": self._path(key), "value": "", "lease": granted["ID"]}
        answer = self._ask("/v3/kv/txn", {"compare": conditions, "success": [{"request_put": put}]})
        return bool(answer and answer.get("succeeded"))

    def _path(self, key: str) -> str:
        return _encode(self._prefix + key)

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        answers = (call(address, "POST", path, body) for address in self._addresses)
        return next((answer for answer in answers if answer is not None), None)


class Patroni:
    """Patroni of this host, by its API."""

    def __init__(self, config: str) -> None:
        settings = yaml.safe_load(Path(config).read_text())
        self.scope: str = settings["scope"]
        self.name: str = settings["name"]
        self._address: str = settings["restapi"]["connect_address"]
        login = settings["restapi"]["authentication"]
        self._headers = {
            "Authorization": "Basic " + _encode(f"{login['username']}:{login['password']}"),
            "Content-Type": "application/json",
        }

    def is_primary(self) -> bool:
        """Whether this host takes writes."""
        return call(self._address, "GET", "/primary") is not None

    def standbys(self) -> list[str]:
        """The standbys that have every acknowledged write."""
        members = (call(self._address, "GET", "/cluster") or {}).get("members", [])
        return [
            member["name"] for member in members if (member["role"], member["state"]) == ("sync_standby", "streaming")
        ]

    def switch_over(self, candidate: str) -> bool:
        """Hand over, and wait for it. Return whether it has happened."""
        body = {"leader": self.name, "candidate": candidate}
        return (
            call(self._address, "POST", "/switchover", body, headers=self._headers, timeout=SWITCHOVER_TIMEOUT)
            is not None
        )


class Watch:
    """What one host does about what it sees."""

    def __init__(self, patroni: Patroni, etcd: Etcd, see: Callable[[], bool]) -> None:
        self._patroni, self._etcd, self._see = patroni, etcd, see
        self._blind = 0
        self._said = ""

    def look(self) -> None:
        """Look once, and act on it."""
        if self._see():
            self._blind, self._said = 0, ""
            self._etcd.keep(self._patroni.name, SIGHT_SECONDS)
            return
        self._blind += 1
        if self._blind >= LOOKS and self._patroni.is_primary():
            self._hand_over()

    def _hand_over(self) -> None:
        candidate = next((name for name in self._patroni.standbys() if self._etcd.noted(name)), None)
        if candidate is None:
            self._say("no client is in sight, nor has a synchronous standby one: this host stays primary")
        elif not self._etcd.claim("handed-over", REST_SECONDS):
            self._say(
                f"no client is in sight, but the last hand-over was less than {REST_SECONDS} s ago: this host stays primary"
            )
        elif self._patroni.switch_over(candidate):
            self._say(f"no client is in sight, {candidate} has some: handed over to it")
        else:
            self._etcd.forget("handed-over")
            self._say(
                f"no client is in sight, {candidate} has some, but Patroni did not switch over to it: trying again"
            )

    def _say(self, what: str) -> None:
        """Log once, not at every look."""
        if what != self._said:
            print(what, flush=True)
        self._said = what


def main(config: str, etcd: str, clients: str) -> None:
    """Look for ever. Both lists have their entries, HOST:PORT, separated by commas."""
    addresses, patroni = clients.split(","), Patroni(config)
    watch = Watch(patroni, Etcd(etcd.split(","), patroni.scope), lambda: sees(addresses))
    while True:
        watch.look()
        time.sleep(INTERVAL)


def _encode(text: str) -> str:
    return b64encode(text.encode()).decode()


if __name__ == "__main__":
    main(*sys.argv[1:4])
