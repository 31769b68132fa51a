#!/usr/bin/python3
"""Keep etcd's leader off the hosts of Postgres, and at least off the primary's.

Where a host has both, its death costs an election of etcd before Patroni can promote a standby, 4 to 10 s of the time without writes, or
before commits stop waiting for a dead standby, 2.5 s, measured. A timer runs this on every host of Postgres; it hands etcd's leadership
to a member that has no Postgres, or from the primary to any other.
"""

from __future__ import annotations

import http.client
import json
import sys
from typing import Any
from urllib.parse import urlsplit

TIMEOUT = 2  # seconds for one answer; the next run is half a minute away


def call(address: str, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    """Status and JSON of an answer; status 0 where there is none."""
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None)
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else {}
    except (OSError, ValueError, http.client.HTTPException):
        return 0, {}
    finally:
        connection.close()


def healthy_others(etcd: str, own_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Members other than this host's that take part in the cluster, with their hosts."""
    _, answer = call(etcd, "POST", "/v3/cluster/member/list", {})
    found = []
    for member in answer.get("members", []):
        addresses = [urlsplit(url).netloc for url in member.get("clientURLs", []) if "127.0.0.1" not in url]
        if member["ID"] != own_id and any(
            call(address, "GET", "/health")[0] == http.client.OK for address in addresses
        ):
            found.append((addresses[0].rpartition(":")[0], dict(member)))
    return found


def main(patroni: str, etcd: str, postgres: str) -> int:
    """Look once. `postgres` are the addresses of all hosts of Postgres, separated by commas."""
    _, status = call(etcd, "POST", "/v3/maintenance/status", {})
    own_id = status.get("header", {}).get("member_id")
    if own_id is None or status.get("leader") != own_id:
        return 0
    others = healthy_others(etcd, own_id)
    free = [member for host, member in others if host not in postgres.split(",")]
    if not free and call(patroni, "GET", "/primary")[0] == http.client.OK:
        free = [member for _, member in others]
    if not free:
        return 0
    moved, answer = call(etcd, "POST", "/v3/maintenance/transfer-leadership", {"targetID": free[0]["ID"]})
    if moved != http.client.OK:
        print(
            f"etcd's leader could not be moved from this host to {free[0]['name']}: {answer or 'no answer'}",
            file=sys.stderr,
        )
        return 1
    print(f"moved etcd's leader from this host to {free[0]['name']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
