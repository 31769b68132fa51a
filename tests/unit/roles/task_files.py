"""The task files and playbooks of this project, for tests that check a rule in each of them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.fleet.context import ROOT

Task = dict[str, Any]
IMPORT = "ansible.builtin.import_tasks"
LISTS = ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers")
FILES = sorted(
    path
    for pattern in ("roles/*/tasks/**/*.yml", "roles/*/handlers/*.yml", "playbooks/**/*.yml", "site.yml")
    for path in ROOT.glob(pattern)
)
FILE = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def conditions(value: Any) -> list[str]:
    """Return the conditions of `when` or `until`."""
    return [str(condition) for condition in (value if isinstance(value, list) else [value])]


def tasks_of(path: Path, around: tuple[str, ...] = ()) -> Iterator[Task]:
    """Yield the tasks of a file and of its imports in their order, each with all conditions that it is under."""

    def walk(tasks: list[Task], around: tuple[str, ...]) -> Iterator[Task]:
        for task in tasks:
            when = (*around, *(conditions(task["when"]) if "when" in task else ()))
            if IMPORT in task:
                yield from tasks_of(path.parent / task[IMPORT], when)
            else:
                yield task | {"when": list(when)}
            for key in LISTS:
                yield from walk(task.get(key) or [], when)

    yield from walk(yaml.safe_load(path.read_text()) or [], around)


def names_in(conditions: list[str], variables: dict[str, Any]) -> set[str]:
    """Return the names in conditions, and in the variables that they use."""
    found: set[str] = set()
    new = set(re.findall(r"\w+", " ".join(conditions)))
    while new:
        found |= new
        new = {word for name in new for word in re.findall(r"\w+", str(variables.get(name, "")))} - found
    return found


def variables_of(path: Path, task: Task) -> dict[str, Any]:
    """Return the variables of the file's role and of a task."""
    role = ROOT.joinpath(*path.relative_to(ROOT).parts[:2])
    found: dict[str, Any] = {}
    for file in (role / "defaults/main.yml", role / "vars/main.yml"):
        found |= yaml.safe_load(file.read_text()) if file.exists() else {}
    found |= task.get("vars", {})
    return found
