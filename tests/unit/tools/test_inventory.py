"""Playbooks on an inventory that cannot be read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tools.fleet.context import ROOT


def test_a_fleet_without_hosts_is_an_error_and_not_a_success() -> None:
    environment = os.environ | {"FLEET": "never-raised", "ANSIBLE_NOCOLOR": "1"}
    said = subprocess.run(
        ["ansible-playbook", "site.yml"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60
    )
    assert said.returncode != 0
    assert "The inventory has no hosts (FLEET=never-raised, inventory " in said.stdout


@pytest.mark.parametrize("playbook", sorted(ROOT.glob("playbooks/*.yml")), ids=lambda path: path.stem)
def test_every_playbook_begins_with_that_check(playbook: Path) -> None:
    assert yaml.safe_load(playbook.read_text())[0]["ansible.builtin.import_playbook"] == "shared/has_hosts.yml"
