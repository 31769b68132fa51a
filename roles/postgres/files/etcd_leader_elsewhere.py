#!/usr/bin/python3
"""Keep etcd's leader off the hosts of Postgres, and at least off the primary's host.

If one host has both, its loss costs an election in etcd before Patroni can act. Measured: it adds 4 to 10 s without
writes before a standby is promoted, or 2.5 s before commits stop waiting for a dead standby. A timer runs this program
on every host of Postgres. It moves etcd's leadership to a member without Postgres, or from the primary's host to any
other member.
"""

import http.client
import json
import ssl
import sys
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 2  # seconds for one response; the next run is half a minute away
# The CAs of the fleet, this host's certificate, and the copy of its key for this program's user.
CA, CERTIFICATE, KEY = "/etc/fleet-tls/ca.pem", "/etc/fleet-tls/cert.pem", "/etc/fleet-tls/postgres.key"


def connect(server: str) -> http.client.HTTPConnection:
    """Return a connection to http://HOST:PORT or https://HOST:PORT. It opens at the first request."""
    scheme, _, address = server.rpartition("://")
    if scheme != "https":
        return http.client.HTTPConnection(address, timeout=TIMEOUT)
    context = ssl.create_default_context(cafile=CA)
    context.load_cert_chain(CERTIFICATE, KEY)
    return http.client.HTTPSConnection(address, timeout=TIMEOUT, context=context)


def call(server: str, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    """Return the status and JSON of a response; status 0 if there is none."""
    try:
        with closing(connect(server)) as connection:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            response = connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content else {}
    except (OSError, ValueError, http.client.HTTPException):
        return 0, {}


def healthy_others(etcd: str, own_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the other healthy members, each with its host. They are asked in the same way as this host's member."""
    _, response = call(etcd, "POST", "/v3/cluster/member/list", {})
    found = []
    for member in response.get("members", []):
        addresses = [urlsplit(url).netloc for url in member.get("clientURLs", []) if "127.0.0.1" not in url]
        servers = [f"{etcd.rpartition('://')[0]}://{address}" for address in addresses]
        healthy = any(call(server, "GET", "/health")[0] == http.client.OK for server in servers)
        if member["ID"] != own_id and healthy:
            found.append((addresses[0].rpartition(":")[0], dict(member)))
    return found


def main(patroni: str, etcd: str, postgres: str) -> int:
    """Check once.

    Args:
        patroni: This host's Patroni, as HOST:PORT.
        etcd: This host's member of etcd, as a URL without a path.
        postgres: Addresses of all hosts of Postgres, separated by commas.
    """
    _, status = call(etcd, "POST", "/v3/maintenance/status", {})
    own_id = status.get("header", {}).get("member_id")
    if own_id is None or status.get("leader") != own_id:
        return 0
    others = healthy_others(etcd, own_id)
    targets = [member for host, member in others if host not in postgres.split(",")]
    if not targets and call(patroni, "GET", "/primary")[0] == http.client.OK:
        targets = [member for _, member in others]
    if not targets:
        return 0
    name = targets[0]["name"]
    moved, response = call(etcd, "POST", "/v3/maintenance/transfer-leadership", {"targetID": targets[0]["ID"]})
    if moved != http.client.OK:
        print(f"moving etcd's leader from this host to {name} failed: {response or 'no answer'}", file=sys.stderr)
        return 1
    print(f"moved etcd's leader from this host to {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
