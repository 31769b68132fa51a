#!/usr/bin/python3
"""Keep etcd's leader off the primary's host.

Where both are on one host, its death costs an election of etcd before Patroni can even begin to promote a standby: 4 to 10 s of the
time without writes, measured. A timer runs this; it hands etcd's leadership to another member when this host has both.
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


def healthy_other(etcd: str, own_id: str) -> dict[str, Any] | None:
    """A member other than this host's that takes part in the cluster."""
    _, answer = call(etcd, "POST", "/v3/cluster/member/list", {})
    for member in answer.get("members", []):
        addresses = [urlsplit(url).netloc for url in member.get("clientURLs", []) if "127.0.0.1" not in url]
        if member["ID"] != own_id and any(call(address, "GET", "/health")[0] == http.client.OK for address in addresses):
            return dict(member)
    return None


def main(patroni: str, etcd: str) -> int:
    if call(patroni, "GET", "/primary")[0] != http.client.OK:
        return 0
    _, status = call(etcd, "POST", "/v3/maintenance/status", {})
    own_id = status.get("header", {}).get("member_id")
    if own_id is None or status.get("leader") != own_id:
        return 0
    other = healthy_other(etcd, own_id)
    if other is None:
        return 0
    moved, answer = call(etcd, "POST", "/v3/maintenance/transfer-leadership", {"targetID": other["ID"]})
    if moved != http.client.OK:
        print(f"etcd's leader could not be moved from the primary's host to {other['name']}: {answer or 'no answer'}", file=sys.stderr)
        return 1
    print(f"moved etcd's leader from the primary's host to {other['name']}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
