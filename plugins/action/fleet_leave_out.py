"""Leave a host out of the rest of a run, as Ansible does with unreachable hosts, but with the reason."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Ansible's entry point."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Report the host as unreachable."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        return result | {"unreachable": True, "msg": self._task.args["reason"]}
