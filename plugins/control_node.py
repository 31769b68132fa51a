"""The base class of action plugins that run on the control node."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase


class ControlNodeAction(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """An action that needs no connection to a host, and that also runs in check mode."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ansible's entry point."""
        self.arguments: dict[str, Any] = self._task.args
        self.variables: dict[str, Any] = task_vars or {}
        result: dict[str, Any] = super().run(tmp, task_vars)
        return result | self.act()

    def values(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the values of variables. fleet_check_variables reports those that are missing or have no value."""
        found: dict[str, Any] = {}
        for name in names:
            with suppress(AnsibleError):
                found |= {name: self._templar.template(self.variables[name])} if name in self.variables else {}
        return found

    def of_hosts(self, name: str, hosts: Iterable[str]) -> dict[str, Any]:
        """Return the value of a variable for each host that has one, and None for those on which it is not set."""
        found: dict[str, Any] = {}
        for host in hosts:
            with suppress(AnsibleError):
                found[host] = self.variables["hostvars"][host].get(name)
        return found

    def act(self) -> dict[str, Any]:
        """Return the task's result."""
        raise NotImplementedError
