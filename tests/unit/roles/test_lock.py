"""Playbooks that take hosts out of service share the lock of deploys, and release it however they end."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.playbooks import plain, plays
from tools.fleet.context import ROOT

HOSTS = ["n1", "n2", "n3"]
GROUPS = ("loadbalancers", "app", "postgres", "etcd", "redis", "sentinel", "monitoring", "backup")
MEMBERS = [{"name": name, "address": f"10.0.0.{number}"} for number, name in enumerate(HOSTS, 1)]
VARIABLES = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
    "ansible_become": False,
    "fleet_addresses": {member["name"]: member["address"] for member in MEMBERS},
    "fleet_members": MEMBERS,
    "etcd_members": MEMBERS,
    "deploy_etcd_members": "{{ etcd_members }}",
    "fleet_silent": [],
    "fleet_address": "127.0.0.1",
    "fleet_name": "shop",
    "pgbackrest_repositories": [{"type": "host"}],
    "failing": "",
    # Of a command that is not run.
    "restore_flushed": {"stdout": "OK"},
}
LOCK = "deploy/lock"
UNITS = ("listed_units", "listed_running")
HOST_MODULES = ("ansible.builtin.file", "ansible.builtin.systemd_service")


def event(name: str) -> list[dict[str, Any]]:
    """Return tasks that report an event, and fail if they are told to."""
    return [
        {"name": "Report", "ansible.builtin.debug": {"msg": f"EVENT {name}"}, "run_once": True},
        {"name": "Fail", "ansible.builtin.fail": {"msg": "As told."}, "when": f"failing == '{name}'", "run_once": True},
    ]


def stub(tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replace the tasks that would query or change this machine."""
    found: list[dict[str, Any]] = []
    for task in tasks:
        for part in ("block", "always"):
            task |= {part: stub(task[part])} if part in task else {}
        if "ansible.builtin.command" in task:
            found += event("stop")
        elif any(module in task for module in HOST_MODULES):
            continue
        elif task.get("ansible.builtin.include_tasks") == "shared/list_units.yml":
            found.append({"name": "List", "ansible.builtin.set_fact": {name: ["app.service"] for name in UNITS}})
        else:
            found.append(task)
    return found


def parts(tasks: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield the role and the name of each file of a role that tasks include."""
    for task in tasks:
        yield from parts(task.get("block", []) + task.get("always", []))
        if role := task.get("ansible.builtin.include_role"):
            name = role.get("tasks_from", "main")
            yield from ((role["name"], part) for part in (task["loop"] if "item" in name else [name]))


def play(
    folder: Path, playbook: list[dict[str, Any]], hosts: dict[str, Any] | None = None, **variables: Any
) -> subprocess.CompletedProcess[str]:
    """Run a playbook for three hosts on this machine."""
    inventory = {group: {"hosts": hosts or dict.fromkeys(HOSTS)} for group in GROUPS}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": VARIABLES, "children": inventory}}))
    (folder / "play.yml").write_text(yaml.safe_dump(playbook))
    return plain().run("-i", "hosts.yml", "play.yml", "-e", json.dumps(variables), folder=folder)


def events(folder: Path, playbook: str, **variables: Any) -> tuple[bool, list[str]]:
    """Run a playbook with roles that only report their files. Return whether it ended well, and what it did."""
    found_plays = plays(ROOT / "playbooks" / playbook)
    for role, part in (found for entry in found_plays for found in parts(entry.get("tasks", []))):
        file = folder / "roles" / role / "tasks" / f"{part}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(event(f"{role}/{part}")))
    stubs = [
        found | {"tasks": stub(found["tasks"]), "gather_facts": False}
        for found in found_plays
        if "tasks" in found
        and found["name"] not in ("Wait for the new host", "Wait until the fleet is fully redundant")
    ]
    result = play(folder, stubs, **variables)
    assert "EVENT" in result.stdout, result.stdout + result.stderr
    return result.returncode == 0, re.findall(r'"msg": "EVENT (.*)"', result.stdout)


REMOVE = {"remove_hosts": "n3"}
REPLACE = {"replace_host": "n3"}
RESTORE_FROM = {"restore_from": "latest", "pgbackrest_data_directory": "/missing/17/main"}
RUNS = [
    ("remove.yml", REMOVE, ["", "maintain/take_out", "redis/redundant"]),
    ("replace.yml", REPLACE, ["", "redis/check_removal", "stop"]),
    ("reinit.yml", {"reinit_host": "n3"}, ["postgres/reinit"]),
    ("reinit.yml", {"reinit_etcd_host": "n3"}, [""]),
    ("shared/restore_from.yml", RESTORE_FROM, ["", "restore/preflight", "restore/in_place"]),
]


@pytest.mark.parametrize(
    ("playbook", "options", "failing"),
    [(playbook, options, failing) for playbook, options, cases in RUNS for failing in cases],
)
def test_the_lock_is_held_during_the_work_and_released_at_the_end(
    playbook: str, options: dict[str, str], failing: str, tmp_path: Path
) -> None:
    ended_well, done = events(tmp_path, playbook, failing=failing, **options)
    assert ended_well == (not failing)
    assert (done[0], done[-1]) == (LOCK, "deploy/unlock")
    assert [name for name in done if name.startswith("deploy/")] == [LOCK, "deploy/unlock"]
    assert not failing or done[-2] == failing
    assert len(done) > 2


@pytest.mark.parametrize(
    ("playbook", "options"),
    [("remove.yml", REMOVE), ("replace.yml", REPLACE), ("shared/restore_from.yml", RESTORE_FROM)],
)
def test_nothing_is_touched_while_another_run_holds_the_lock(
    playbook: str, options: dict[str, str], tmp_path: Path
) -> None:
    assert events(tmp_path, playbook, failing=LOCK, **options) == (False, [LOCK])


RESTORE = {"restore_to": "2026-11-29 03:00:00+00", "restore_in_place": True, "restore_confirm": "shop"}
STEPS = [
    *(LOCK, "restore/begin", "nginx/maintenance", "restore/stop", "restore/in_place", "restore/rejoin"),
    *("stop", "app/ready", "restore/check", "restore/back_up", "restore/done", "deploy/unlock", "restore/backed_up"),
]


@pytest.mark.parametrize("failing", ["", "restore/begin", "restore/in_place"])
def test_a_restore_in_place_keeps_the_lock_until_it_is_complete(failing: str, tmp_path: Path) -> None:
    ended_well, done = events(tmp_path, "restore.yml", failing=failing, **RESTORE)
    assert ended_well == (not failing)
    steps = STEPS[: STEPS.index(failing) + 1] if failing else STEPS
    # Before anything is stopped, nobody needs the lock.
    assert done == (steps + ["deploy/unlock"] * (failing == "restore/begin"))


@pytest.mark.parametrize("path", sorted(ROOT.glob("playbooks/*.yml")), ids=lambda path: path.stem)
def test_a_playbook_that_changes_hosts_takes_the_lock_or_explains_why_not(path: Path) -> None:
    text = path.read_text()
    reason = "the lock of deploys" in text.split("\n- name")[0]
    roles = {"deploy", "maintain"} & {entry["role"] for play in yaml.safe_load(text) for entry in play.get("roles", [])}
    takes = roles or "tasks_from: lock" in text or "tasks_from: rollback" in text
    assert takes or reason or path.stem in ("releases", "backups"), "those two change nothing"


# Answers on the only host on which Python can be started.
RECORD = """
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"do": {}, "entry": {"type": "dict"}, "take_over": {"type": "bool"}})
module.exit_json(lock=module.params["entry"], log=[])
"""


@pytest.mark.parametrize("alive", ["n1", "n3", ""])
def test_any_member_of_etcd_that_answers_keeps_the_lock(alive: str, tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library/deploy_record.py").write_text(RECORD)
    (tmp_path / "query.yml").write_text((ROOT / "roles/deploy/tasks/query.yml").read_text())
    broken = {"ansible_python_interpreter": "/missing/python"}
    hosts = {name: {} if name == alive else broken for name in HOSTS}
    report = "EVENT {{ __deploy_record.lock.run }} {{ deploy_etcd_members | map(attribute='name') | join(',') }}"
    tasks = [
        {
            "ansible.builtin.include_tasks": "query.yml",
            "vars": {"__deploy_query": "lock", "__deploy_entry": {"run": "mine"}},
        },
        {"ansible.builtin.debug": {"msg": report}},
    ]
    result = play(tmp_path, [{"hosts": "app", "gather_facts": False, "any_errors_fatal": True, "tasks": tasks}], hosts)
    found = re.findall("EVENT (mine [n0-9,]*)", result.stdout)
    assert found == ([f"mine {'n1,n2,n3' if alive == 'n1' else 'n3'}"] if alive else []) * 3
    assert ("because none of n1, n2, n3 answers: " in " ".join(result.stdout.split())) == (not alive)


HOLDER = {"run": "other", "action": "removal", "by": "kim@desk", "when": "2026-11-29T03:00:00Z", "release": ""}
HELD = f"""
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({{"do": {{}}}})
module.exit_json(lock={HOLDER}, log=[])
"""


@pytest.mark.parametrize(
    ("answers", "options", "refused"),
    [
        (HELD, {}, True),
        (HELD, {"deploy_take_over": True}, False),
        (HELD.replace(str(HOLDER), "{}"), {}, False),
        (HELD.replace("exit_json(", "fail_json(msg='no answer', ").replace(f"lock={HOLDER}, ", ""), {}, False),
    ],
    ids=["held", "taken-over", "free", "no-etcd"],
)
def test_site_refuses_to_begin_while_another_run_holds_the_lock(
    answers: str, options: dict[str, Any], refused: bool, tmp_path: Path
) -> None:
    (tmp_path / "library").mkdir()
    (tmp_path / "library/deploy_record.py").write_text(answers)
    (tmp_path / "refuse.yml").write_text((ROOT / "roles/deploy/tasks/refuse_locked.yml").read_text())
    held = yaml.safe_load((ROOT / "roles/deploy/vars/main.yml").read_text())["__deploy_held"]
    tasks = [{"ansible.builtin.include_tasks": "refuse.yml"}]
    entry = {"hosts": "app", "gather_facts": False, "tasks": tasks, "vars": {"__deploy_held": held}}
    result = play(tmp_path, [entry], **({"deploy_take_over": False} | options))
    text = " ".join(result.stdout.split())
    assert (result.returncode != 0) == refused, text
    assert ("A removal by kim@desk is under way since 2026-11-29T03:00:00Z, so nothing was touched." in text) == refused


def test_site_asks_who_holds_the_lock_before_its_first_change() -> None:
    names = [entry["name"] for entry in plays(ROOT / "playbooks/site.yml")]
    assert names.index("Refuse to begin while another run holds the lock") < names.index("Gather facts")
