"""The base class of actions that one host of a play runs on other hosts, and that go on without those that are down.

With `ignore_unreachable`, Ansible ends the play without a message if a delegate does not answer: it treats any failure
of a task with `run_once` (or `any_errors_fatal`) as fatal for all hosts, also one that is ignored.
"""

from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action.normal import ActionModule as Normal
from ansible.utils.display import Display


class DelegatedAction(Normal):  # type: ignore[misc]  # Ansible has no types
    """Runs the module of the same name. If a delegate does not answer, its result has a message and nothing else."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ansible's entry point."""
        del tmp  # Ansible passes none
        try:
            result: dict[str, Any] = self.act(task_vars)
        except AnsibleConnectionFailure as error:
            if not self._task.delegate_to:
                raise
            name, reason = self._task.delegate_to, " ".join(str(error).split())
            Display().warning(f"The run goes on without {name}, which does not answer: {reason}")
            return {"changed": False, "msg": f"{name} does not answer: {reason}"}
        return result

    def act(self, task_vars: dict[str, Any] | None) -> dict[str, Any]:
        """Run the module."""
        result: dict[str, Any] = super().run(None, task_vars)
        return result
