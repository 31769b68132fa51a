"""The order of looped includes.

Ansible runs the includes of a loop in the order in which it first sees each of them in the results of the hosts. If
hosts leave out items by a condition, this is the order in which the results arrive, and not that of the loop. A host
that leaves out the whole loop does not matter.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.playbooks import plain
from tests.unit.roles.task_files import FILES, LISTS, Task, names_in, variables_of
from tools.fleet.context import ROOT

INCLUDES = {f"{prefix}{name}" for prefix in ("ansible.builtin.", "") for name in ("include_tasks", "include_role")}


def looped_includes(path: Path) -> Iterator[Task]:
    """Yield the looped includes of a file, each with the conditions of the blocks around it."""

    def walk(tasks: list[Task], conditions: list[str]) -> Iterator[Task]:
        for task in tasks:
            when = task.get("when", [])
            all_conditions = [*conditions, *map(str, when if isinstance(when, list) else [when])]
            if INCLUDES & task.keys() and any(key == "loop" or key.startswith("with_") for key in task):
                yield task | {"when": all_conditions}
            for key in LISTS:
                yield from walk(task.get(key) or [], all_conditions)

    yield from walk(yaml.safe_load(path.read_text()) or [], [])


def item_names(task: Task) -> set[str]:
    """Return the names that have another value for each item of a loop."""
    control = task.get("loop_control", {})
    return {control.get("loop_var", "item"), control.get("index_var", "item"), "ansible_loop"}


def test_the_rule_knows_the_loops_of_this_project() -> None:
    assert sum(len(list(looped_includes(path))) for path in FILES) >= 10
    derived = {"mine": "{{ turn == inventory_hostname }}"}
    assert "turn" in names_in(["mine | bool"], derived)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_host_leaves_out_some_items_of_a_looped_include(path: Path) -> None:
    for task in looped_includes(path):
        by_item = item_names(task) & names_in(task["when"], variables_of(path, task))
        assert not by_item, f"{task['name']!r} has a condition on {by_item}: move it into the included file"


HOSTS = ["a", "b", "c"]
# Empty, but the second host takes a second to compute it, so that it answers last.
SLOW = "(lookup('pipe', 'sleep 1') if inventory_hostname == 'b' else '')"


@pytest.mark.parametrize(
    ("file", "name", "stub", "variables"),
    [
        (
            "roles/deploy/tasks/roll.yml",
            "Switch the others",
            "group.yml",
            {
                "turns": [["canary"], *([name] for name in HOSTS)],
                "deploy_plan": {"release": "r1", "groups": f"{{{{ turns if {SLOW} == '' }}}}"},
            },
        ),
        (
            "roles/etcd/tasks/form.yml",
            "Join the running cluster",
            "join.yml",
            {
                "etcd_name": "{{ inventory_hostname }}",
                "turns": [{"name": name} for name in HOSTS],
                "etcd_members": f"{{{{ turns if {SLOW} == '' }}}}",
                "__etcd_running": ["10.0.0.1"],
            },
        ),
    ],
    ids=["deploy", "etcd"],
)
def test_hosts_take_their_turns_in_the_order_of_the_loop(
    tmp_path: Path, file: str, name: str, stub: str, variables: dict[str, Any]
) -> None:
    source = ROOT / file
    (task,) = (task for task in yaml.safe_load(source.read_text()) if task["name"] == name)
    included = source.parent / task["ansible.builtin.include_tasks"]
    (tmp_path / included.name).write_text(included.read_text())
    (tmp_path / stub).write_text(
        '[{name: Take a turn, ansible.builtin.debug: {msg: "turn of {{ inventory_hostname }}"}}]'
    )
    play = {"hosts": "all", "gather_facts": False, "connection": "local", "vars": variables, "tasks": [task]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    result = plain().run("-i", f"{','.join(HOSTS)},", "play.yml", folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.findall(r"turn of (\w)", result.stdout) == HOSTS, result.stdout
