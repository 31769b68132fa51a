"""No task passes a secret where others can read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.unit.roles.modules import read_yaml
from tests.unit.roles.task_files import FILES, Task, tasks_of

SECRETS = re.compile(rf"\b({'|'.join(read_yaml('inventories/shared/secrets.yml'))})\b")


def commands() -> Iterator[tuple[Task, dict[str, Any]]]:
    """Yield the tasks, each with the options of its command, if it runs one."""
    for path in FILES:
        for task in tasks_of(path):
            command = task.get("ansible.builtin.command") or task.get("ansible.builtin.shell") or {}
            yield task, {"cmd": command} if isinstance(command, str) else command


def test_no_secret_is_an_argument_or_a_variable_of_a_tasks_environment() -> None:
    """Every user sees arguments, and without Mitogen, sudo logs a task's environment."""
    found = [
        task["name"]
        for task, command in commands()
        for place in (command | {"stdin": ""}, task.get("environment", {}))
        if SECRETS.search(str(place))
    ]
    assert found == []


def test_a_task_with_a_secret_on_standard_input_is_not_logged() -> None:
    tasks = [task for task, command in commands() if SECRETS.search(str(command.get("stdin", "")))]
    assert tasks
    assert [task["name"] for task in tasks if task.get("no_log") is not True] == []
