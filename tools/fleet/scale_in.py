"""Takes hosts out of the fleet before Terraform destroys them. Afterwards their votes and data would be missing."""

import json
import re
import subprocess
from collections.abc import Mapping
from typing import Any

from tools.fleet.context import Fleet, FleetError, Host, echo, shown

HOST = re.compile(r'module\.host\["([^"]+)"\]\.')


def leaving(plan: Mapping[str, Any]) -> list[str]:
    """Return the hosts that a plan of Terraform (`terraform show -json`) destroys and does not create again."""
    matches = [
        (HOST.match(change["address"]), change["change"]["actions"]) for change in plan.get("resource_changes", [])
    ]
    return sorted({match[1] for match, actions in matches if match and actions == ["delete"]})


def answers(fleet: Fleet, host: Host) -> bool:
    """Whether a login to the host works."""
    return subprocess.run([*fleet.ssh_command(host), "true"], capture_output=True, check=False).returncode == 0


def hand_over(fleet: Fleet, plan_file: str) -> None:
    """Take the hosts that the plan destroys out of the fleet. A host that does not answer has nothing to hand over."""
    plan = fleet.terraform("show", "-json", plan_file, quiet=True)
    if plan.returncode != 0:
        raise FleetError(f"terraform show failed: {plan.stderr.strip()}")
    names = leaving(json.loads(plan.stdout))
    outputs = fleet.outputs() if names else {}
    hosts = {host.name: host for host in fleet.hosts(outputs)} if "inventory" in outputs else {}
    answering = [name for name in names if name in hosts and answers(fleet, hosts[name])]
    for name in names:
        if name not in answering:
            echo(f"{name} leaves the fleet and does not answer: it hands nothing over")
    if not answering:
        return
    echo(f"{', '.join(answering)}: taking out of the fleet (playbooks/remove.yml)")
    inventory, variable = shown(fleet.folder), f"remove_hosts={','.join(answering)}"
    if fleet.run("ansible-playbook", "-i", inventory, "playbooks/remove.yml", "-e", variable).returncode != 0:
        raise FleetError(
            f"playbooks/remove.yml -e {variable} failed (above), so no host was destroyed. Fix the cause and run "
            "'make up' again, or restore the old number of hosts in Terraform's variables."
        )
