"""Units that are removed or masked: what systemd forgets of them, and what it does not."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.unit.roles.task_files import FILE, LISTS, Task


def own_tasks(tasks: list[Task]) -> Iterator[Task]:
    """Yield the tasks of a file, without those that it imports."""
    for task in tasks:
        yield task
        for key in LISTS:
            yield from own_tasks(task.get(key) or [])


def removes_units(task: Task) -> bool:
    """Whether a task removes files of units."""
    file = task.get("ansible.builtin.file") or {}
    places = f"{file.get('path')} {task.get('loop')}"
    return file.get("state") == "absent" and ("/etc/systemd/system" in places or "_unit_file" in places)


@FILE
def test_units_that_are_removed_are_forgotten(path: Path) -> None:
    text = path.read_text()
    assert "reset-failed" in text or not any(removes_units(task) for task in own_tasks(yaml.safe_load(text) or []))


@FILE
def test_a_unit_is_stopped_before_it_is_masked(path: Path) -> None:
    """Ansible masks first. Then systemd no longer knows KillMode, and sends a signal to every process of the unit."""
    services = [
        task.get("ansible.builtin.systemd_service") or {} for task in own_tasks(yaml.safe_load(path.read_text()) or [])
    ]
    assert not any(service.get("masked") is True and service.get("state") for service in services)
