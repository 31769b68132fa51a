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
        """Return the values of those variables that are set."""
        return {name: self._templar.template(self.variables[name]) for name in names if name in self.variables}

    def defined(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the values of those variables that do not depend on a missing one, which another check reports."""
        found: dict[str, Any] = {}
        for name in names:
            with suppress(AnsibleError):
                found |= self.values([name])
        return found

    def act(self) -> dict[str, Any]:
        """Return the task's result."""
        raise NotImplementedError
