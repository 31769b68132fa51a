"""A repository of another fleet is refused before anything archives into it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.filter.backup_owner import owner_refusal
from tests.unit.playbooks import plain
from tests.unit.roles.modules import ROLES, Run, load, render
from tools.fleet.context import ROOT

OWN, OTHER = 7_000_000_000_000_000_001, 7_000_000_000_000_000_002
FLEET = {"name": "shop", "former": "", "identifiers": [str(OWN)], "empty": False, "restores": False}
NEW = FLEET | {"identifiers": [], "empty": True}


def answer(*identifiers: int, names: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what pgBackRest reports, with backups of these fleets, the oldest first."""
    databases = [{"id": n, "repo-key": 1, "system-id": each, "version": "17"} for n, each in enumerate(identifiers, 1)]
    found = [
        {"timestamp": {"stop": 1_795_000_000 + n}} | ({"annotation": {"fleet": name}} if name else {})
        for n, name in enumerate(names)
    ]
    stanza = {"name": "main", "db": databases, "backup": found, "status": {"code": 0}}
    return {"rc": 0, "stderr": "", "stdout": json.dumps([stanza])}


EMPTY = {"rc": 0, "stderr": "", "stdout": "[]"}
AWAY = {"rc": 49, "stderr": "ERROR: [049]: timeout", "stdout": ""}
ENCRYPTED = {"rc": 29, "stderr": "ERROR: [029]: key/value found outside of section at line 1: ?", "stdout": ""}


@pytest.mark.parametrize(
    ("found", "fleet", "sentence"),
    [
        (EMPTY, NEW, ""),
        (AWAY, FLEET, ""),  # the site works without it
        (answer(OWN), FLEET, ""),
        (answer(OTHER), FLEET, f"its system identifier is {OTHER}, and that of this fleet is {OWN}"),
        (answer(OTHER, OWN), FLEET, ""),  # after a stanza-upgrade
        (answer(OWN, OTHER), FLEET, "of another database"),
        (answer(OTHER), FLEET | {"identifiers": []}, ""),  # its database is stopped
        (answer(OTHER), NEW, "this fleet has none yet"),
        (answer(OTHER), NEW | {"restores": True}, ""),
        (ENCRYPTED, FLEET, "cannot be decrypted"),
        (answer(OWN, names=("", "shop")), FLEET, ""),
        (answer(OWN, names=("", "news")), FLEET, "has backups of the fleet news, the newest of 2026-11-18 11:06:41+00"),
        (answer(OWN, names=("news",)), NEW | {"restores": True}, "add -e pgbackrest_former_fleet=news"),
        (answer(OWN, names=("news",)), NEW | {"restores": True, "former": "news"}, ""),
        (answer(OWN, names=("news", "shop")), FLEET, ""),  # a copy
        (answer(OWN, names=("shop", "news", "shop")), FLEET, "of the fleet news"),
    ],
)
def test_a_repository_of_another_fleet_is_refused(found: dict[str, Any], fleet: dict[str, Any], sentence: str) -> None:
    for number, answers in enumerate(([found], [EMPTY, found]), 1):
        refusal = owner_refusal(answers, "main", fleet)
        assert bool(refusal) == bool(sentence)
        assert sentence in refusal
        assert not sentence or refusal.startswith(f"Repository {number} ")


def test_backups_have_the_name_of_the_fleet() -> None:
    given = {"pgbackrest_stanza": "main", "pgbackrest_retries": 1, "pgbackrest_retry_seconds": 1}
    given["pgbackrest_repositories"] = [{}, {}]
    lines = {
        name: [
            line
            for line in render("pgbackrest", "backup.service.j2", pgbackrest_fleet=name, **given).splitlines()
            if line.startswith("ExecStart=")
        ]
        for name in ("", "shop")
    }
    command = "ExecStart=/usr/bin/pgbackrest --stanza=main --repo={} --type=%i{} backup"
    assert lines[""] == [command.format(number, "") for number in (1, 2)]
    assert lines["shop"] == [command.format(number, " --annotation=fleet=shop") for number in (1, 2)]


def test_the_repository_is_read_with_another_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: Run
) -> None:
    program = tmp_path / "pgbackrest"
    program.write_text('#!/bin/sh\nfor word; do case $word in --config=*) grep -c ^repo1 "${word#*=}";; esac; done\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    module = load(ROOT / "plugins/modules/pgbackrest_info.py")
    assert run_module(module, {"stanza": "main", "config": "repo1-path=/elsewhere\n"})["stdout"] == "1\n"
    assert run_module(module, {"stanza": "main"})["stdout"] == ""


INFO = """
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule({"stanza": {}, "config": {"no_log": True}}, supports_check_mode=True)
own = [line for line in module.params["config"].splitlines() if line.startswith("repo1-path=")]
module.exit_json(rc=0, stderr="", stdout=ANSWERS[own[0].rpartition("/")[2]])
"""


@pytest.mark.parametrize(("second", "refused"), [("own", False), ("other", True)])
def test_no_host_is_configured_for_a_repository_of_another_fleet(second: str, refused: bool, tmp_path: Path) -> None:
    """The whole play stops, although only the host of the repository can read it."""
    answers = {"own": answer(OWN)["stdout"], "other": answer(OTHER)["stdout"]}
    (tmp_path / "library").mkdir()
    (tmp_path / "library/pgbackrest_info.py").write_text(INFO.replace("ANSWERS", repr(answers)))
    role = tmp_path / "roles/pgbackrest"
    (role / "tasks").mkdir(parents=True)
    for name in ("templates", "defaults", "vars"):
        (role / name).symlink_to(ROLES / "pgbackrest" / name)
    text = (ROLES / "pgbackrest/tasks/owner.yml").read_text().replace("become: true", "become: false")
    patroni = {"__pgbackrest_patroni": {"json": {"database_system_identifier": str(OWN)}}}
    tasks = [
        {"name": "Answer", "ansible.builtin.set_fact": patroni, "when": task["when"]}
        if "ansible.builtin.uri" in task
        else task
        for task in yaml.safe_load(text)
    ]
    (role / "tasks/main.yml").write_text(yaml.safe_dump(tasks))
    members = [{"name": name, "address": "127.0.0.9"} for name in ("db1", "db2", "mon1")]
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "ansible_become": False,
        "pgbackrest_fleet": "shop",
        "pgbackrest_cipher_pass": "none",
        "pgbackrest_address": "127.0.0.9",
        "pgbackrest_postgres_members": members[:2],
        "pgbackrest_backup_members": members[2:],
        "pgbackrest_repositories": [{"type": "host", "path": f"/missing/{name}"} for name in ("own", second)],
    }
    hosts: dict[str, Any] = {"all": {"vars": variables, "hosts": dict.fromkeys(["db1", "db2", "mon1"])}}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump(hosts))
    report = {"ansible.builtin.debug": {"msg": "CONFIGURED {{ inventory_hostname }}"}}
    play = {"hosts": "all", "gather_facts": False, "roles": ["pgbackrest"], "tasks": [report]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    result = plain().run("-i", "hosts.yml", "play.yml", folder=tmp_path)
    assert (result.returncode != 0) == refused, result.stdout + result.stderr
    assert ("Repository 2 has the backups of another database" in " ".join(result.stdout.split())) == refused
    assert result.stdout.count("CONFIGURED") == (0 if refused else 3)
