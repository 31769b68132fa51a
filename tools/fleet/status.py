"""`make status`: a table of the hosts with their current roles, and the redundancy that is missing."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tools.fleet.context import Fleet, Host, echo
from tools.fleet.inventory import read
from tools.fleet.processes import abandoned
from tools.fleet.redundancy import Facts, View, missing
from tools.fleet.table import Row, render, rows, sorted_by_tier

PROBE = Path(__file__).with_name("probe.py").read_text()
# Seconds after which a host counts as down, even if it accepted the connection.
PROBE_TIMEOUT = 6
# The default key exchange is safe from quantum computers, which costs 50 ms of CPU at both ends of a connection. The
# probe transfers no secrets. If an option is given twice, ssh uses the first.
SSH_OPTIONS = ["-o", "KexAlgorithms=^curve25519-sha256"]
# Units that no other fact covers. Each must run on the hosts of its group.
UNITS = {
    "loadbalancers": ["nginx", "keepalived"],
    "workers": ["celery-worker"],
    "monitoring": ["prometheus", "prometheus-alertmanager"],
}


def status(fleet: Fleet, as_json: bool = False) -> int:
    """Print the fleet's state. Return 0 if it is fully redundant, otherwise 1."""
    inventory = read(fleet)
    hosts = sorted_by_tier(inventory.hosts)
    vip, name = inventory.settings["fleet_vip"] or "", inventory.settings["fleet_name"] or fleet.name
    view = probe_hosts(hosts, inventory.shells, vip, inventory.settings)
    problems = missing(hosts, view) + restarting(view) + pending(view) + deploys(view, dead=True)
    lines = rows(hosts, view, vip)
    if as_json:
        echo(json.dumps(document(name, hosts, view, lines, problems), indent=2))
    else:
        terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size((120, 24)).columns if terminal else 120
        echo(render(lines, width, colours=terminal and "NO_COLOR" not in os.environ))
        echo("\n".join(["", *deploys(view), verdict(name, problems)]))
    return 1 if problems else 0


def restarting(view: View) -> list[str]:
    """Name the services that systemd restarts again and again."""
    found = [
        (host, unit, count) for host, facts in view.items() for unit, count in (facts.get("restarts") or {}).items()
    ]
    return [f"{host} restarted {unit} {count} times, check `journalctl -u {unit}` there" for host, unit, count in found]


def pending(view: View) -> list[str]:
    """Name the hosts whose Postgres has to restart to apply a changed setting."""
    hosts = ", ".join(host for host, facts in view.items() if (facts.get("patroni") or {}).get("pending"))
    return [f"Postgres has settings that need a restart on {hosts}, run `ansible-playbook site.yml`"] if hosts else []


def deploys(view: View, dead: bool = False) -> list[str]:
    """Describe the deploy or rollback that holds the lock: a live run, or with `dead` one that has died."""
    lock: Facts = next((facts["deploying"] for facts in view.values() if facts.get("deploying")), {})
    if not lock or abandoned(lock.get("process") or {}) != dead:
        return []
    release = f" of {lock['release']}" if lock.get("release") else ""
    end = "has died (the next one takes over)" if dead else "is running"
    return [f"the {lock['action']}{release} that {lock['by']} started at {lock['when']} {end}"]


def verdict(name: str, problems: list[str]) -> str:
    """Return the last line: fully redundant, or everything that is missing."""
    if problems:
        return f"{name} is not fully redundant: {'; '.join(problems)}"
    return f"{name} is fully redundant: nothing is missing"


def document(name: str, hosts: list[Host], view: View, lines: list[Row], problems: list[str]) -> dict[str, Any]:
    """Return all facts for the JSON output."""
    details = {
        host.name: {
            "address": host.address,
            "groups": sorted(host.groups),
            "state": row.state,
            "roles": row.roles,
            "facts": view[host.name],
        }
        for host, row in zip(hosts, lines, strict=True)
    }
    return {"fleet": name, "redundant": not problems, "missing": problems, "hosts": details}


def probe_hosts(
    hosts: Sequence[Host], shells: Mapping[str, Sequence[str]], vip: str, application: Mapping[str, Any]
) -> View:
    """Probe all hosts at the same time. The facts of a host that does not answer are empty."""
    with ThreadPoolExecutor(len(hosts)) as pool:
        facts = pool.map(lambda host: probe(shells[host.name], settings(host, vip, application)), hosts)
        return {host.name: found for host, found in zip(hosts, facts, strict=True)}


def settings(host: Host, vip: str, application: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings for the probe of a host."""
    expected = [unit for group, units in UNITS.items() if group in host.groups for unit in units]
    absent = {"celery-worker": not application.get("app_celery_app"), "keepalived": not vip}
    return {
        "address": host.address,
        "groups": sorted(host.groups),
        "vip": vip,
        "port": application.get("app_port") or 8000,
        "health": application.get("app_health_path") or "/",
        "units": [unit for unit in expected if not absent.get(unit)],
    }


def probe(shell: Sequence[str], settings: dict[str, Any]) -> dict[str, Any]:
    """Run the probe by `shell`, a command that runs a shell script on the host.

    Without an answer, the facts are empty.
    """
    program, *arguments = shell
    options = SSH_OPTIONS if program == "ssh" else []
    command = [program, *options, *arguments, f"sudo python3 -IS - {shlex.quote(json.dumps(settings))}"]
    try:
        result = subprocess.run(command, input=PROBE, capture_output=True, text=True, timeout=PROBE_TIMEOUT, check=True)
        return dict(json.loads(result.stdout))
    except (subprocess.SubprocessError, ValueError):
        return {}
