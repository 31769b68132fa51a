"""Ansible's module wait_for on a delegate, or go on without the delegate."""

from typing import Any

from plugins.delegates import DelegatedAction


class ActionModule(DelegatedAction):
    """Ansible's entry point."""

    def act(self, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Run the module."""
        arguments = self._task.args
        result: dict[str, Any] = self._execute_module("ansible.builtin.wait_for", arguments, task_vars=task_vars)
        return result
