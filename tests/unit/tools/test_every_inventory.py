"""`make status`, `make ssh` and `make secret` with an inventory that is written by hand, as README.md shows it."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.tools.fleet_views import HEALTHY, HOSTS
from tools.fleet.context import ROOT, Fleet, FleetError, Host
from tools.fleet.inventory import members

VARIABLES = {
    "ansible_user": "kim",
    "fleet_name": "shop",
    "fleet_vip": "10.0.0.5",
    "fleet_address": "{{ ansible_host }}",
}
# Prints the facts of the host whose address is its last argument but one, or its own arguments.
SSH = """#!/bin/sh
case $* in *"python3 -IS"*) ;; *) echo "$@"; exit ;; esac
echo "$*" >>"$0.log"
while [ $# -gt 2 ]; do shift; done
cat "$(dirname "$0")/$1"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An inventory outside of this repository, with an encrypted vault, and an `ssh` that answers for its hosts."""
    folder = tmp_path / "production"
    (folder / "group_vars" / "all").mkdir(parents=True)
    inventory: dict[str, Any] = {"all": {"vars": VARIABLES, "children": {}}}
    for group in sorted({group for host in HOSTS for group in host.groups}):
        hosts = {host.name: {"ansible_host": host.address} for host in HOSTS if group in host.groups}
        inventory["all"]["children"][group] = {"hosts": hosts}
    (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))
    (folder / "group_vars/all/00_shared").symlink_to(ROOT / "inventories/shared")
    (folder / "group_vars/all/application.yml").symlink_to(ROOT / "inventories/applications/news.yml")
    (folder / "group_vars/all/main.yml").write_text('app_port: "{{ 9000 + 1 }}"\n')
    (tmp_path / "password").write_text("a password")
    vault = folder / "group_vars/all/vault.yml"
    vault.write_text("vault_grafana_admin_password: a secret\n")
    subprocess.run(
        ["ansible-vault", "encrypt", vault], env=environment(folder), cwd=ROOT, capture_output=True, check=True
    )
    for host in HOSTS:
        (tmp_path / host.address).write_text(json.dumps(HEALTHY[host.name]))
    (tmp_path / "ssh").write_text(SSH)
    (tmp_path / "ssh").chmod(0o755)
    return folder


def environment(folder: Path) -> dict[str, str]:
    path = f"{folder.parent}:{ROOT}/.venv/bin:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "FLASKFLEET_VAULT_PASSWORD_FILE": str(folder.parent / "password")}


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--silent", f"INVENTORY={folder}", *arguments],
        cwd=ROOT,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_commands_of_a_running_fleet_work(folder: Path) -> None:
    status = make(folder, "status")
    assert (status.returncode, status.stderr) == (0, "")
    assert "db2      10.0.0.42  ok     postgres sync standby, 2 KiB behind; etcd leader 3/3" in status.stdout
    assert status.stdout.endswith("\nshop is fully redundant: nothing is missing\n")
    probes = (folder.parent / "ssh.log").read_text()
    assert "-l kim" in probes
    assert '"port": 9001, "health": "/readyz"' in probes
    assert make(folder, "ssh", "HOST=db1").stdout.split()[-1] == "10.0.0.41"
    assert make(folder, "secret", "NAME=grafana_admin_password").stdout == "a secret\n"


def test_a_path_is_relative_to_the_folder_in_which_the_command_is_typed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    for path in ("./production", f"{folder}/"):
        monkeypatch.setenv("INVENTORY", path)
        assert Fleet.from_environment(sandbox=False).folder == folder
    monkeypatch.setenv("INVENTORY", f"{ROOT}/inventories/single")
    assert Fleet.from_environment(sandbox=False).inventory == "single"
    monkeypatch.setenv("INVENTORY", "./missing")
    with pytest.raises(FleetError, match=r"missing is not a folder in inventories/; .* or the path of one"):
        Fleet.from_environment(sandbox=False)


def test_commands_that_need_containers_are_refused_with_the_fix(folder: Path) -> None:
    for command in ("down", "mail"):
        result = make(folder, command)
        assert result.returncode != 0
        assert f"INVENTORY={folder} is not a sandbox inventory" in result.stderr
        assert f"use INVENTORY=sandbox, or 'ansible-playbook -i {folder} site.yml'" in result.stderr


def test_an_inventory_without_hosts_or_with_an_error_is_reported(folder: Path) -> None:
    (folder / "hosts.yml").write_text("all: {hosts: {db1: {ansible_host: '{{ missing }}'}}}")
    assert f"error: INVENTORY={folder} cannot be read: " in make(folder, "status").stderr
    (folder / "hosts.yml").write_text("all: [")
    stderr = make(folder, "status").stderr
    assert f"error: INVENTORY={folder} has no hosts; correct {folder}. [WARNING]: Failed to parse inventory" in stderr


def test_a_sandbox_without_hosts_names_the_command_that_creates_it() -> None:
    result = subprocess.run(
        ["make", "--silent", "status", "FLEET=never-created"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.stderr.startswith("error: FLEET=never-created has no hosts")
    assert "run 'make up FLEET=never-created' first.\n" in result.stderr


def test_a_hosts_tiers_are_its_groups_in_the_inventory() -> None:
    groups = {"all": ["db1", "mon1"], "ungrouped": [], "etcd": ["db1", "mon1"], "postgres": ["db1"]}
    variables = {"db1": {"fleet_address": "10.0.0.41"}, "mon1": {"fleet_address": "10.0.0.61"}}
    assert members(groups, variables) == [
        Host("db1", "10.0.0.41", frozenset({"etcd", "postgres"})),
        Host("mon1", "10.0.0.61", frozenset({"etcd"})),
    ]
