"""Leave a host out of the rest of a run, as Ansible does with unreachable hosts, but with the reason."""

from typing import Any

from plugins.control_node import ControlNodeAction


class ActionModule(ControlNodeAction):
    """Ansible's entry point."""

    def act(self) -> dict[str, Any]:
        """Report the host as unreachable."""
        return {"unreachable": True, "msg": self.arguments["reason"]}
