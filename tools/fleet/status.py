"""`make status`: one table of hosts, what each is right now, and what redundancy is missing."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from tools.fleet.context import ROOT, Fleet, Host, say
from tools.fleet.processes import abandoned
from tools.fleet.redundancy import Facts, View, missing
from tools.fleet.table import Row, in_order, render, rows

PROBE = Path(__file__).with_name("probe.py").read_text()
# Seconds until a host that says nothing to SSH counts as down, and until one does that stops in the middle.
CONNECT, PATIENCE = 2, 6
# Of an option that is given twice, ssh takes the first. The default key exchange withstands computers that are yet to come, and costs 50 ms
# of CPU on either side of a connection; what passes here is no secret.
SSH_OPTIONS = ["-o", f"ConnectTimeout={CONNECT}", "-o", "KexAlgorithms=^curve25519-sha256"]
# Units that nothing else is asked about; each must run on the hosts of its group.
UNITS = {
    "loadbalancers": ["nginx", "keepalived"],
    "workers": ["celery-worker"],
    "monitoring": ["prometheus", "prometheus-alertmanager"],
}


def status(fleet: Fleet, as_json: bool = False) -> int:
    """Print the fleet; return 0 when it is whole, else 1."""
    outputs = fleet.outputs()
    hosts = in_order(fleet.hosts(outputs))
    vip = str(outputs["inventory"]["all"]["vars"]["fleet_vip"])
    view = look(fleet, hosts, vip)
    lacking = missing(hosts, view) + deploys(view, dead=True)
    lines = rows(hosts, view, vip)
    if as_json:
        say(json.dumps(document(fleet, hosts, view, lines, lacking), indent=2))
    else:
        terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size((120, 24)).columns if terminal else 120
        say(render(lines, width, colours=terminal and "NO_COLOR" not in os.environ))
        say("\n".join(["", *deploys(view), verdict(fleet, lacking)]))
    return 1 if lacking else 0


def deploys(view: View, dead: bool = False) -> list[str]:
    """A line about the deploy or rollback that has the lock; with `dead`, only where its run is known to be dead."""
    lock: Facts = next((facts["deploying"] for facts in view.values() if facts.get("deploying")), {})
    if not lock or abandoned(lock.get("process") or {}) != dead:
        return []
    release = f" of {lock['release']}" if lock.get("release") else ""
    end = "is dead (the next one takes over)" if dead else "is under way"
    return [f"the {lock['action']}{release} that {lock['by']} began at {lock['when']} {end}"]


def verdict(fleet: Fleet, lacking: list[str]) -> str:
    """The last line: whole, or everything that is missing."""
    return (
        f"{fleet.name} is not whole: {'; '.join(lacking)}" if lacking else f"{fleet.name} is whole: nothing is missing"
    )


def document(fleet: Fleet, hosts: list[Host], view: View, lines: list[Row], lacking: list[str]) -> dict[str, Any]:
    """All that was learned, for programs."""
    told = {
        host.name: {
            "address": host.address,
            "groups": sorted(host.groups),
            "state": row.state,
            "roles": row.roles,
            "facts": view[host.name],
        }
        for host, row in zip(hosts, lines, strict=True)
    }
    return {"fleet": fleet.name, "whole": not lacking, "missing": lacking, "hosts": told}


def look(fleet: Fleet, hosts: list[Host], vip: str) -> View:
    """What every host says of itself, all asked at once; nothing of one that does not answer."""
    application = variables(fleet)

    def ask(host: Host) -> dict[str, Any]:
        ssh, *arguments = fleet.ssh_command(host)
        return probe([ssh, *SSH_OPTIONS, *arguments], settings(host, vip, application))

    with ThreadPoolExecutor(len(hosts)) as pool:
        return {host.name: seen for host, seen in zip(hosts, pool.map(ask, hosts), strict=True)}


def variables(fleet: Fleet) -> dict[str, Any]:
    """What the inventory says of its application; templates stay as they are."""
    folder = ROOT / "inventories" / fleet.inventory / "group_vars" / "all"
    found: dict[str, Any] = {}
    for name in ("application.yml", "main.yml"):
        found |= yaml.safe_load((folder / name).read_text()) or {}
    return found


def settings(host: Host, vip: str, application: dict[str, Any]) -> dict[str, Any]:
    """What the probe of a host is told."""
    expected = [unit for group, units in UNITS.items() if group in host.groups for unit in units]
    absent = {"celery-worker": not application.get("app_celery_app"), "keepalived": not vip}
    return {
        "address": host.address,
        "groups": sorted(host.groups),
        "vip": vip,
        "health": application.get("app_health_path") or "/",
        "units": [unit for unit in expected if not absent.get(unit)],
    }


def probe(way: Sequence[str], told: dict[str, Any]) -> dict[str, Any]:
    """What a host says of itself, asked by the command that runs a shell's words there; nothing when it does not answer."""
    command = [*way, f"sudo python3 -IS - {shlex.quote(json.dumps(told))}"]
    try:
        result = subprocess.run(command, input=PROBE, capture_output=True, text=True, timeout=PATIENCE, check=True)
        return dict(json.loads(result.stdout))
    except (subprocess.SubprocessError, ValueError):
        return {}
