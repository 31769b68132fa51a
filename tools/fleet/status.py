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

from plugins.processes import processes_of, queues_of, timers_of
from tools.fleet.certificates import next_to_end
from tools.fleet.context import Fleet, Host, echo
from tools.fleet.detect_application import describe_deploy
from tools.fleet.inventory import Shell, read
from tools.fleet.notes import notes
from tools.fleet.table import Row, render, rows, sorted_by_tier
from tools.fleet.troubles import Trouble, redundant, troubles
from tools.fleet.view import View, running_deploy

FOLDER = Path(__file__).parent
# A host does not have the module that the probe imports, so the script creates it first.
PROBE = f"""
import sys, types
package = sys.modules["tools.fleet"] = types.ModuleType("tools.fleet")
package.host_facts = types.ModuleType("host_facts")
exec({(FOLDER / "host_facts.py").read_text()!r}, package.host_facts.__dict__)
{(FOLDER / "probe.py").read_text()}"""
# Standard input begins with the password, which sudo does not read if it needs none.
START = "# BEGIN"
LOADER = f'import sys; exec(sys.stdin.read().partition("{START}")[2])'
# Before the probe, because sudo would take its lines for other passwords after a wrong one.
REFUSED = "REFUSED="
CHECK_ROOT = f"""error=$(printf '%s\\n' "$password" | "$@" true 2>&1) || {{ echo "{REFUSED}$error"; exit 1; }}"""
# Seconds after which a host counts as down, even if it accepted the connection.
PROBE_TIMEOUT = 6
# The default key exchange is safe from quantum computers, which costs 50 ms of CPU at both ends of a connection. The
# probe transfers no secrets. If an option is given twice, ssh uses the first.
SSH_OPTIONS = ["-o", "KexAlgorithms=^curve25519-sha256"]
# Units that no other fact covers. Each must run on the hosts of its group.
UNITS = {
    "loadbalancers": ["nginx", "keepalived", "site-certificate.timer"],
    "app": ["haproxy"],
    "workers": ["haproxy", "celery-worker"],
    "monitoring": ["prometheus", "prometheus-alertmanager"],
}


def status(fleet: Fleet, as_json: bool = False) -> int:
    """Print the fleet's state. Return 0 if nothing is wrong, otherwise 1."""
    inventory = read(fleet)
    hosts = sorted_by_tier(inventory.hosts)
    vip, name = inventory.settings["fleet_vip"] or "", inventory.settings["fleet_name"] or fleet.name
    has_workers = any("workers" in host.groups for host in hosts)
    view = probe_hosts(hosts, inventory.shells, vip, inventory.settings | {"has_workers": has_workers})
    found = troubles(hosts, view)
    lines = rows(hosts, view, vip)
    if as_json:
        echo(json.dumps(document(name, hosts, view, lines, found), indent=2))
    else:
        terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size((120, 24)).columns if terminal else 120
        echo(render(lines, width, colours=terminal and "NO_COLOR" not in os.environ))
        echo("\n".join(["", *notes(hosts, view), *next_to_end(view), *deploys(view, found), *verdict(name, found)]))
    return 1 if found else 0


def deploys(view: View, found: list[Trouble]) -> list[str]:
    """Describe the deploy or rollback that holds the lock, if it is alive."""
    lock = running_deploy(view)
    alive = lock and not any(trouble.kind.name == "deploy-died" for trouble in found)
    return [f"{describe_deploy(lock)} is running"] if alive else []


def verdict(name: str, found: list[Trouble]) -> list[str]:
    """Return the last lines: everything that is wrong, and the first step."""
    if not found:
        return [f"{name} is fully redundant: nothing is missing"]
    state = "fully redundant, but" if redundant(found) else "not fully redundant"
    sentences = "; ".join(trouble.sentence for trouble in found)
    return [f"{name} is {state}: {sentences}", f"First step: {found[0].step}."]


def document(name: str, hosts: list[Host], view: View, lines: list[Row], found: list[Trouble]) -> dict[str, Any]:
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
    return {
        "fleet": name,
        "redundant": redundant(found),
        "missing": [trouble.sentence for trouble in found],
        "steps": [trouble.step for trouble in found],
        "notes": [*notes(hosts, view), *next_to_end(view)],
        "hosts": details,
    }


def probe_hosts(hosts: Sequence[Host], shells: Mapping[str, Shell], vip: str, application: Mapping[str, Any]) -> View:
    """Probe all hosts at the same time. The facts of a host that does not answer are empty."""
    with ThreadPoolExecutor(len(hosts)) as pool:
        facts = pool.map(lambda host: probe(shells[host.name], settings(host, vip, application)), hosts)
        return {host.name: found for host, found in zip(hosts, facts, strict=True)}


def settings(host: Host, vip: str, application: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings for the probe of a host."""
    expected = dict.fromkeys(unit for group, units in UNITS.items() if group in host.groups for unit in units)
    processes = processes_of(application.get("app_processes") or {}, host.groups)
    instances = [
        (process, f"app-{process['name']}@{number + 1}") for process in processes for number in range(process["count"])
    ]
    timers = timers_of(application.get("app_timers") or {}, application.get("has_workers"), host.groups)
    absent = {"celery-worker": not application.get("app_celery_app"), "keepalived": not vip}
    absent["site-certificate.timer"] = not application.get("nginx_acme_email")
    return {
        "address": host.address,
        "groups": sorted(host.groups),
        "vip": vip,
        "port": application.get("app_port"),
        "health": application.get("app_health_path"),
        "domain": application.get("fleet_domain"),
        "units": [unit for unit in expected if not absent.get(unit)]
        + [unit for _, unit in instances]
        + [f"app-timer-{timer['name']}.timer" for timer in timers],
        "workers": [unit for unit in expected if unit == "celery-worker" and not absent.get(unit)]
        + [unit for process, unit in instances if queues_of(process["command"])],
        "queues": application.get("app_queues") or [],
    }


def script(shell: Shell, settings: dict[str, Any]) -> str:
    """Return the shell script that runs the probe as root."""
    python = shlex.join(["python3", "-IS", "-c", LOADER, json.dumps(settings)])
    become = f'[ "$(id -u)" = 0 ] || set -- {shlex.join(shell.become)}'
    if not shell.password:
        return f'{become}; "$@" {python} || {CHECK_ROOT}'
    forward = """{ printf '%s\\n' "$password"; cat; }"""
    return f'IFS= read -r password; {become}; {CHECK_ROOT}; {forward} | "$@" {python}'


def probe(shell: Shell, settings: dict[str, Any]) -> dict[str, Any]:
    """Run the probe on a host.

    Without an answer, the facts are empty. If the probe cannot become root, the only fact is the reason.
    """
    program, *arguments = shell.command
    options = SSH_OPTIONS if program == "ssh" else []
    command = [program, *options, *arguments, shlex.join(["sh", "-c", script(shell, settings)])]
    text = f"{shell.password}\n{START}\n{PROBE}"
    try:
        result = subprocess.run(command, input=text, capture_output=True, text=True, timeout=PROBE_TIMEOUT, check=False)
        if result.stdout.startswith(REFUSED):
            return {"refused": result.stdout.removeprefix(REFUSED).split("\n")[-2] or "no reason given"}
        return dict(json.loads(result.stdout))
    except (subprocess.SubprocessError, ValueError):
        return {}
