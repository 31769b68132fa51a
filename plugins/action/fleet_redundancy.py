"""Wait until the fleet is fully redundant, or until a timeout, and return what is missing.

It probes every host of the inventory, including those that --limit excludes.
"""

import time
from collections.abc import Mapping
from typing import Any

from plugins.action.fleet_check_hosts import ssh_command
from plugins.control_node import ControlNodeAction
from tools.fleet.context import Host
from tools.fleet.maintenance import first_step, indispensable, maintenance_order
from tools.fleet.redundancy import missing
from tools.fleet.status import CONNECT_TIMEOUT, fast, probe_hosts

NOT_TIERS = ("all", "ungrouped")


def members(groups: Mapping[str, list[str]], hostvars: Mapping[str, Any]) -> list[Host]:
    """Return the inventory's hosts as `make status` represents them."""
    return [
        Host(
            name,
            str(hostvars[name]["fleet_address"]),
            frozenset(g for g in groups if name in groups[g] and g not in NOT_TIERS),
        )
        for name in groups["all"]
    ]


class ActionModule(ControlNodeAction):
    """Ansible's entry point."""

    def act(self) -> dict[str, Any]:
        """Return what is missing, which hosts do not answer, and in which order to maintain the hosts."""
        hosts = members(self.variables["groups"], self.variables["hostvars"])
        shells = {host.name: self._shell(host.name) for host in hosts}
        deadline = time.monotonic() + float(self.arguments["timeout"])
        vip, application = str(self.arguments["vip"]), dict(self.arguments["application"])
        while problems := missing(hosts, view := probe_hosts(hosts, shells, vip, application)):
            if time.monotonic() > deadline:
                break
            time.sleep(1)
        return {
            "changed": False,
            "missing": problems,
            "first_step": first_step(problems),
            "silent": [host.name for host in hosts if not view[host.name]],
            "order": maintenance_order(hosts, view),
            "indispensable": indispensable(hosts),
        }

    def _shell(self, name: str) -> list[str]:
        """Return the command that runs a shell script on a host."""
        variables = self.variables["hostvars"][name]
        if variables.get("ansible_connection") == "local":
            return ["sh", "-c"]
        return fast(ssh_command(name, variables, self._play_context, CONNECT_TIMEOUT))
