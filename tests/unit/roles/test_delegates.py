"""A run goes on if a host dies on which another host runs a task."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.playbooks import of_the_project
from tests.unit.roles.task_files import FILE, LISTS, Task

# Nothing listens there.
DEAD = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_user": "nobody"}
TASKS = {
    "nginx": ("traffic", "drained", "upstream", "reached", "publish_static"),
    "deploy": ("refuse_locked", "query"),
}
VARIABLES: dict[str, Any] = {
    "ansible_become": False,
    "app_name": "shop",
    "nginx_members": [{"name": "lb1", "address": "127.0.0.1"}],
    "nginx_upstream_hosts": [{"name": "app1", "address": "127.0.0.1"}],
    "nginx_upstream_port": 8000,
    "nginx_upstream_health_path": "/",
    "nginx_reached_hosts": ["app1"],
    "nginx_static_source": "static",
    "nginx_static_release": "r1",
    "__nginx_drain": ["app1"],
    "__nginx_undrain": [],
    "__nginx_by": "r1",
    "deploy_etcd_members": [{"name": "db1"}],
    "__deploy_query": "read",
}


@pytest.mark.parametrize("strategy", ["linear", "mitogen_linear"])
@pytest.mark.parametrize("role", TASKS)
def test_a_delegate_that_does_not_answer_ends_no_play_without_a_message(
    tmp_path: Path, role: str, strategy: str
) -> None:
    local = {"ansible_connection": "local"}
    hosts = {"app1": local, "app2": local, "lb1": DEAD, "db1": DEAD}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": VARIABLES}}))
    tasks: list[dict[str, Any]] = [
        {"name": name, "ansible.builtin.include_role": {"name": role, "tasks_from": name}} for name in TASKS[role]
    ]
    tasks.insert(-1, {"name": "Go on", "ansible.builtin.debug": {"msg": "goes on: {{ inventory_hostname }}"}})
    play = {"hosts": "app*", "gather_facts": False, "any_errors_fatal": True, "strategy": strategy, "tasks": tasks}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    result = of_the_project().run("-i", str(tmp_path / "hosts.yml"), str(tmp_path / "play.yml"))
    output = result.stdout + result.stderr
    assert sorted(re.findall(r"goes on: (\w+)", output)) == ["app1", "app2"], output
    assert "The run goes on without lb1, which does not answer: " in output or role != "nginx"
    # The last entry point of role deploy needs an answer.
    failure = "The lock and the log of deploys cannot be used, because none of db1 answers: db1 does not answer: "
    assert (result.returncode, failure in output) == ((2, True) if role == "deploy" else (0, False)), output


def ending(tasks: list[Task], fatal: bool) -> Iterator[str]:
    """Yield the tasks that end the play if a host does not answer, although they ignore that."""
    for task in tasks:
        all_end = task.get("any_errors_fatal", fatal)
        if task.get("ignore_unreachable") and task.get("run_once"):
            yield f"{task['name']!r} has run_once: use an action of plugins/delegates.py instead of ignore_unreachable"
        elif task.get("ignore_unreachable") and all_end:
            yield f"{task['name']!r} needs any_errors_fatal: false"
        for key in LISTS:
            yield from ending(task.get(key) or [], all_end)


@FILE
def test_no_task_that_ignores_a_dead_host_ends_the_play(path: Path) -> None:
    # Tasks of roles may be in a play with any_errors_fatal.
    entries = yaml.safe_load(path.read_text()) or []
    assert list(ending(entries, fatal=not any("hosts" in entry for entry in entries))) == []


def test_the_rule_knows_what_plays_and_blocks_pass_on() -> None:
    task = {"name": "x", "ignore_unreachable": True}
    assert list(ending([{"hosts": "all", "tasks": [task]}], fatal=False)) == []
    assert len(list(ending([{"hosts": "all", "any_errors_fatal": True, "tasks": [task]}], fatal=False))) == 1
    assert len(list(ending([{"any_errors_fatal": False, "block": [task, task | {"run_once": True}]}], fatal=True))) == 1
