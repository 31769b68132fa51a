#!/usr/bin/python3
"""Switch over from a primary that no client can reach.

Patroni checks only its own cluster. A primary that can reach etcd and its standbys stays primary, even if the network
between it and all its clients is broken. This program runs on every host of the cluster and records in etcd that the
host reaches a client. A primary that reaches none lets Patroni switch over to a synchronous standby that does.
"""

import http.client
import json
import random
import socket
import ssl
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

INTERVAL = 1  # seconds between two checks
TIMEOUT = 1  # seconds for one connection; a check takes up to two of them
MAX_FAILED_CHECKS = 3  # so many failures in a row are no coincidence
REACHABLE_TTL = 6  # seconds for which a successful check counts; a dead host must not become primary
# Minimum seconds between two switchovers, so that a flapping network does not move the primary.
SWITCHOVER_INTERVAL = 300
SWITCHOVER_TIMEOUT = 60
# The CAs of the fleet, this host's certificate, and the copy of its key for this program's user.
CA, CERTIFICATE, KEY = "/etc/fleet-tls/ca.pem", "/etc/fleet-tls/cert.pem", "/etc/fleet-tls/postgres.key"


def connect(server: str, timeout: float) -> http.client.HTTPConnection:
    """Return a connection to http://HOST:PORT or https://HOST:PORT. It opens at the first request.

    The files are read each time, because the role renews them while this program runs.
    """
    scheme, _, address = server.rpartition("://")
    if scheme != "https":
        return http.client.HTTPConnection(address, timeout=timeout)
    context = ssl.create_default_context(cafile=CA)
    context.load_cert_chain(CERTIFICATE, KEY)
    return http.client.HTTPSConnection(address, timeout=timeout, context=context)


def request(
    server: str, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None, timeout: float = 2
) -> Any:
    """Return the JSON of a response.

    Raises:
        OSError, ValueError, http.client.HTTPException: there is none, or it reports an error.
    """
    with closing(connect(server, timeout)) as connection:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers or {})
        response = connection.getresponse()
        content = response.read()
    if response.status >= http.client.BAD_REQUEST:
        raise OSError(f"status {response.status}")
    return json.loads(content) if content.startswith(b"{") else {}


def call(server: str, method: str, path: str, body: Any = None, **options: Any) -> Any:
    """Return the JSON of a response, or None after an error."""
    try:
        return request(server, method, path, body, **options)
    except (OSError, ValueError, http.client.HTTPException):
        return None


def reaches_any(clients: list[str]) -> bool:
    """Return whether any client's host answers. A refused connection is an answer."""

    def reached(client: str) -> bool:
        host, _, port = client.rpartition(":")
        try:
            socket.create_connection((host, int(port)), TIMEOUT).close()
        except OSError as error:
            return isinstance(error, ConnectionRefusedError)
        return True

    first, *others = random.sample(clients, len(clients))
    if reached(first):
        return True
    with ThreadPoolExecutor(len(clients)) as pool:
        return any(pool.map(reached, others))


class Etcd:
    """Keys that expire, through etcd's JSON gateway."""

    def __init__(self, servers: list[str], scope: str) -> None:
        self._servers = servers
        self._prefix = f"/flaskfleet/{scope}/clients-in-sight/"
        self._leases: dict[str, str] = {}
        # Why the last request failed at each server, empty if one answered.
        self.errors: list[str] = []

    def keep(self, key: str, seconds: int) -> None:
        """Write a key that expires, or extend its lease, which costs etcd no write."""
        lease = self._leases.get(key)
        if not (lease and self._post("/v3/lease/keepalive", {"ID": lease}).get("result", {}).get("TTL")):
            self._put(key, seconds, [])

    def claim(self, key: str, seconds: int) -> bool:
        """Write a key that expires if it does not exist; return whether it was written."""
        return self._put(key, seconds, [{"key": self._path(key), "target": "CREATE", "create_revision": "0"}])

    def exists(self, key: str) -> bool:
        """Return whether the key exists."""
        return bool(self._post("/v3/kv/range", {"key": self._path(key)}).get("kvs"))

    def delete(self, key: str) -> None:
        """Delete a key."""
        self._post("/v3/kv/deleterange", {"key": self._path(key)})

    def _put(self, key: str, seconds: int, conditions: list[dict[str, str]]) -> bool:
        granted = self._post("/v3/lease/grant", {"TTL": seconds})
        if not granted:
            return False
        self._leases[key] = granted["ID"]
        put = {"key": self._path(key), "value": "", "lease": granted["ID"]}
        response = self._post("/v3/kv/txn", {"compare": conditions, "success": [{"request_put": put}]})
        return bool(response.get("succeeded"))

    def _path(self, key: str) -> str:
        return _encode(self._prefix + key)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        self.errors = []
        for server in self._servers:
            try:
                response = request(server, "POST", path, body)
            except (OSError, ValueError, http.client.HTTPException) as error:
                self.errors.append(f"{server}: {error or type(error).__name__}")
            else:
                self.errors = []
                return response
        return {}


class Patroni:
    """The API of this host's Patroni."""

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
        """Return whether this host accepts writes."""
        return call(self._address, "GET", "/primary") is not None

    def standbys(self) -> list[str]:
        """Return the standbys that have every acknowledged write."""
        members = (call(self._address, "GET", "/cluster") or {}).get("members", [])
        return [
            member["name"] for member in members if (member["role"], member["state"]) == ("sync_standby", "streaming")
        ]

    def switch_over(self, candidate: str) -> bool:
        """Switch over to the candidate and wait; return whether it succeeded."""
        body = {"leader": self.name, "candidate": candidate}
        response = call(self._address, "POST", "/switchover", body, headers=self._headers, timeout=SWITCHOVER_TIMEOUT)
        return response is not None


class Monitor:
    """Check whether this host reaches a client, and switch over if it does not."""

    def __init__(self, patroni: Patroni, etcd: Etcd, reaches_client: Callable[[], bool]) -> None:
        self._patroni, self._etcd, self._reaches_client = patroni, etcd, reaches_client
        self._failed_checks = 0
        self._last_message = ""

    def check(self) -> None:
        """Check once, and act on the result."""
        if self._reaches_client():
            self._failed_checks = 0
            self._etcd.keep(self._patroni.name, REACHABLE_TTL)
            unanswered = "; ".join(self._etcd.errors)
            self._log(f"this host cannot take over, because etcd does not answer: {unanswered}" if unanswered else "")
            return
        self._failed_checks += 1
        if self._failed_checks >= MAX_FAILED_CHECKS and self._patroni.is_primary():
            self._switch_over()

    def _switch_over(self) -> None:
        candidate = next((name for name in self._patroni.standbys() if self._etcd.exists(name)), None)
        if candidate is None:
            self._log("no client is reachable from here or from a synchronous standby: this host stays primary")
        elif not self._etcd.claim("handed-over", SWITCHOVER_INTERVAL):
            self._log(
                "no client is reachable from here, but the last switchover was less than"
                f" {SWITCHOVER_INTERVAL} s ago: this host stays primary"
            )
        elif self._patroni.switch_over(candidate):
            self._log(f"no client is reachable from here: switched over to {candidate}, which reaches one")
        else:
            self._etcd.delete("handed-over")
            self._log(
                f"no client is reachable from here, but Patroni did not switch over to {candidate}, which reaches one:"
                " trying again"
            )

    def _log(self, message: str) -> None:
        """Log a message once, not at every check. An empty one is not logged."""
        if message and message != self._last_message:
            print(message, flush=True)
        self._last_message = message


def main(config: str, etcd: str, clients: str) -> None:
    """Check for ever. `etcd` has URLs without a path, `clients` has HOST:PORT, both separated by commas."""
    addresses, patroni = clients.split(","), Patroni(config)
    monitor = Monitor(patroni, Etcd(etcd.split(","), patroni.scope), lambda: reaches_any(addresses))
    while True:
        monitor.check()
        time.sleep(INTERVAL)


def _encode(text: str) -> str:
    return b64encode(text.encode()).decode()


if __name__ == "__main__":
    main(*sys.argv[1:4])
