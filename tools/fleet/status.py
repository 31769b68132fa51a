"""`make status`: one table of hosts, what each is right now, and whether it is well."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tools.fleet.context import Fleet, Host, say

PROBE = Path(__file__).with_name("probe.py")


def probe(fleet: Fleet, host: Host, vip: str) -> dict[str, Any] | None:
    """What `host` says of itself, None when it does not answer."""
    try:
        result = subprocess.run(
            [*fleet.ssh_command(host), "sudo", "python3", "-", host.address, vip or "-"],
            input=PROBE.read_text(),
            capture_output=True,
            text=True,
            timeout=15,
            check=True,
        )
        return dict(json.loads(result.stdout))
    except (subprocess.SubprocessError, ValueError):
        return None


def row(host: Host, facts: dict[str, Any] | None) -> tuple[str, str, str, str]:
    """A host's line of the table: name, address, health, roles."""
    if facts is None:
        return host.name, host.address, "DOWN", "does not answer over SSH"
    health = "ok" if facts["system"] == "running" else "failed: " + ", ".join(facts["failed"]) if facts["failed"] else facts["system"]
    roles = [*facts["roles"], *facts.get("replication", [])]
    return host.name, host.address, health, "; ".join(roles)


def status(fleet: Fleet) -> int:
    """Print the table; return 0 when every host is well, else 1."""
    outputs = fleet.outputs()
    hosts = fleet.hosts(outputs)
    vip = outputs["inventory"]["all"]["vars"]["fleet_vip"]
    with ThreadPoolExecutor(len(hosts)) as pool:
        facts = list(pool.map(lambda host: probe(fleet, host, vip), hosts))
    rows = [("HOST", "ADDRESS", "HEALTH", "ROLES"), *(row(host, seen) for host, seen in zip(hosts, facts, strict=True))]
    widths = [max(len(line[column]) for line in rows) for column in range(3)]
    for line in rows:
        say("  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[3]]).rstrip())
    unwell = [line[0] for line in rows[1:] if line[2] != "ok"]
    say(f"\n{fleet.name}: " + (f"{', '.join(unwell)} not well" if unwell else f"all {len(hosts)} hosts are well"))
    return 1 if unwell else 0
