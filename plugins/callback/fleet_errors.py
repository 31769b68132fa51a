"""Repeats what ended a run below Ansible's recap, so that the last lines on the screen say why it failed."""

from typing import Any

from ansible.plugins.callback import CallbackBase

from plugins.filter.verdict import message_of

DOCUMENTATION = """
name: fleet_errors
type: aggregate
short_description: Repeats what ended a run below the recap
description:
  - Prints the first line of the error that ended the run on each host that failed, without secrets.
requirements: [enable it with callbacks_enabled]
"""


def sentence(host: str, task: str, action: str, result: dict[str, Any]) -> str:
    """Describe a failed task in one sentence. This project writes the messages of `fail` and `assert`."""
    failed = [part for part in result.get("results", []) if part.get("failed")]
    message = " ".join(" ".join(map(message_of, failed or [result])).split())
    message = message or str(result.get("censored") or "it gave no message")
    return message if action.rpartition(".")[2] in ("fail", "assert") else f'{host} failed at "{task}": {message}'


class CallbackModule(CallbackBase):  # type: ignore[misc]  # Ansible has no types
    """Ansible's entry point."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "fleet_errors"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.last: dict[str, str] = {}

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Note the last failure of each host."""
        if not ignore_errors:
            host, task = result.host.get_name(), result.task
            self.last[host] = sentence(host, task.get_name(), task.action, dict(result.result))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Print the failures that were not rescued, each once."""
        for text in dict.fromkeys(self.last[host] for host in self.last if stats.failures.get(host)):
            self._display.display(f"\nFailed: {text}", color="red")
