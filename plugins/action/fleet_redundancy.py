"""Wait until the fleet is fully redundant, or until a timeout, and return what is missing.

It probes every host of the inventory, including those that --limit excludes.
"""

import time
from typing import Any

from plugins.control_node import ControlNodeAction
from tools.fleet.inventory import members, shell
from tools.fleet.maintenance import indispensable, maintenance_order
from tools.fleet.status import probe_hosts
from tools.fleet.troubles import redundancy_troubles


class ActionModule(ControlNodeAction):
    """Ansible's entry point."""

    def act(self) -> dict[str, Any]:
        """Return what is missing, which hosts do not answer, and in which order to maintain the hosts."""
        variables = self.variables["hostvars"]
        hosts = members(self.variables["groups"], variables)
        shells = {host.name: shell(host.name, variables[host.name], self._play_context) for host in hosts}
        deadline = time.monotonic() + float(self.arguments["timeout"])
        vip, application = str(self.arguments["vip"]), dict(self.arguments["application"])
        while found := redundancy_troubles(hosts, view := probe_hosts(hosts, shells, vip, application)):
            if time.monotonic() > deadline:
                break
            time.sleep(1)
        return {
            "changed": False,
            "missing": [trouble.sentence for trouble in found],
            "first_step": found[0].step if found else "",
            "silent": [host.name for host in hosts if "system" not in view[host.name]],
            "order": maintenance_order(hosts, view),
            "indispensable": indispensable(hosts),
        }
