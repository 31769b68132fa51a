"""The backup after a restore in place is tried three times, and its failure does not keep the site away from users."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.playbooks import plain
from tests.unit.roles.modules import ROLES

FAILURE = "The incr backup failed: no space left."
# Each attempt adds a line to a file. The first `failures` of them fail.
BACKUP: list[dict[str, Any]] = [
    {
        "name": "Count",
        "ansible.builtin.shell": "echo attempt >>attempts; wc -l <attempts",
        "args": {"chdir": "{{ playbook_dir }}"},
        "register": "counted",
    },
    {"name": "Fail", "ansible.builtin.fail": {"msg": FAILURE}, "when": "counted.stdout | int <= failures"},
]
SITE: dict[str, Any] = {
    "name": "Show the site",
    "hosts": "all",
    "tasks": [{"name": "Show", "ansible.builtin.debug": {"msg": "SITE"}}],
}


def entry(name: str) -> dict[str, Any]:
    return {"name": name, "ansible.builtin.include_role": {"name": "restore", "tasks_from": name}}


def run(folder: Path, failures: int) -> subprocess.CompletedProcess[str]:
    """Run the tasks of the role, without waiting, with a backup that fails."""
    for name in ("back_up", "back_up_once", "backed_up"):
        tasks = [
            task if "loop" not in task else task | {"loop": [0] * len(task["loop"])}
            for task in yaml.safe_load((ROLES / f"restore/tasks/{name}.yml").read_text())
            if "ansible.builtin.systemd_service" not in task
        ]
        write(folder / f"roles/restore/tasks/{name}.yml", tasks)
    write(folder / "roles/pgbackrest/tasks/backup.yml", BACKUP)
    plays: list[dict[str, Any]] = [
        {"name": "Back up", "hosts": "all", "any_errors_fatal": True, "tasks": [entry("back_up")]},
        SITE,
        {"name": "Require", "hosts": "all", "tasks": [entry("backed_up")]},
    ]
    write(folder / "play.yml", [play | {"gather_facts": False} for play in plays])
    variables = json.dumps({"failures": failures, "ansible_python_interpreter": sys.executable})
    return plain().run("-i", "n1,", "-c", "local", "play.yml", "-e", variables, folder=folder)


def write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(value))


@pytest.mark.parametrize(("failures", "attempts"), [(0, 1), (1, 2), (2, 3), (3, 3)])
def test_a_failed_backup_is_tried_again_and_reported_after_the_site_is_back(
    failures: int, attempts: int, tmp_path: Path
) -> None:
    result = run(tmp_path, failures)
    assert (tmp_path / "attempts").read_text().count("attempt") == attempts
    assert '"msg": "SITE"' in result.stdout
    assert (result.returncode == 0) == (failures < 3), result.stdout
    sentence = f"The database is restored, but it has no backup yet: {FAILURE} Until"
    assert (sentence in " ".join(result.stdout.split())) == (failures == 3)
