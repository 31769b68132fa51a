"""Conditions that depend on what a task registers: a skipped task registers its result too, without an answer."""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from tests.unit.roles.task_files import FILE, LISTS, Task, conditions, names_in, tasks_of, variables_of


def overwritten(path: Path) -> Iterator[str]:
    """Yield the tasks that may be skipped and then replace an earlier answer by one that has nothing in it."""
    answered: set[str] = set()
    for task in tasks_of(path):
        name = task.get("register")
        if task["when"] and name in answered:
            yield f"{task['name']!r} may be skipped, and then replaces {name}"
        if not task["when"]:
            answered |= {name} if name else set()
            answered |= set(task.get("ansible.builtin.set_fact", {}))


def blocks(tasks: list[Task]) -> Iterator[Task]:
    """Yield every block."""
    for task in tasks:
        if "block" in task:
            yield task
        for key in LISTS:
            yield from blocks(task.get(key) or [])


def registered(tasks: list[Task]) -> set[str]:
    """Return what tasks register."""
    inner = (registered(task.get(key) or []) for task in tasks for key in LISTS)
    return {task["register"] for task in tasks if "register" in task}.union(*inner)


def unguarded(path: Path) -> Iterator[str]:
    """Yield the tasks that fail at the first answer without JSON, instead of asking again."""
    for task in tasks_of(path):
        until = " ".join(conditions(task.get("until", [])))
        variables = variables_of(path, task)
        read = until + " ".join(str(variables.get(name, "")) for name in names_in([until], {}))
        guarded = re.search(r"\.status\b|default\(", until) or ("default(" in read and ".json" not in until)
        if "ansible.builtin.uri" in task and ".json" in read and not guarded:
            yield f"{task['name']!r} reads the JSON of an answer that may have none: compare its status first"


@FILE
def test_no_skipped_task_replaces_an_answer(path: Path) -> None:
    assert list(overwritten(path)) == []


@FILE
def test_a_task_that_waits_asks_again_after_an_answer_without_json(path: Path) -> None:
    assert list(unguarded(path)) == []


@FILE
def test_no_block_changes_its_own_condition(path: Path) -> None:
    # Ansible evaluates the condition of a block for each of its tasks, also for those of `always`.
    for block in blocks(yaml.safe_load(path.read_text()) or []):
        own = names_in(conditions(block.get("when", [])), variables_of(path, block)) & registered([block])
        assert not own, f"{block['name']!r} registers {own}, on which its condition depends: include a file instead"
