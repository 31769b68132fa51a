"""The inventory script, and playbooks on an inventory that cannot be read."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.unit.playbooks import of_the_project
from tools.fleet.context import ROOT


def test_a_playbook_on_a_fleet_without_hosts_fails() -> None:
    result = of_the_project().run("site.yml", environment=os.environ | {"FLEET": "never-created"})
    assert result.returncode != 0
    assert "The inventory has no hosts (FLEET=never-created, inventory " in result.stdout


@pytest.mark.parametrize("playbook", sorted(ROOT.glob("playbooks/*.yml")), ids=lambda path: path.stem)
def test_every_playbook_begins_with_the_check_for_hosts(playbook: Path) -> None:
    assert yaml.safe_load(playbook.read_text())[0]["ansible.builtin.import_playbook"] == "shared/has_hosts.yml"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with the real Terraform and no state."""
    shutil.copytree(ROOT / "bin", tmp_path / "bin")
    for inventory in ("sandbox", "single", "aws"):
        (tmp_path / "inventories" / inventory).mkdir(parents=True)
        (tmp_path / "inventories" / inventory / "terraform.sh").symlink_to("../../bin/inventory")
    shutil.copytree(ROOT / "terraform" / "aws", tmp_path / "terraform" / "aws", ignore=shutil.ignore_patterns(".*"))
    (tmp_path / "terraform" / "sandbox").mkdir()
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


def read(clone: Path, inventory: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an inventory's script from another folder."""
    return subprocess.run(
        [clone / "inventories" / inventory / "terraform.sh"],
        cwd="/",
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("inventory", "fleet", "command"),
    [
        ("sandbox", "sandbox", "make up"),
        ("single", "single", "make up INVENTORY=single"),
        ("single", "blue", "make up INVENTORY=single FLEET=blue"),
    ],
)
def test_a_fleet_without_a_state_gets_the_advice_to_create_it(
    clone: Path, inventory: str, fleet: str, command: str
) -> None:
    result = read(clone, inventory, FLEET=fleet)
    assert result.returncode == 1
    assert result.stderr == (
        f"FLEET={fleet} has no hosts: the Terraform state of terraform/sandbox is empty; run '{command}' first.\n"
    )


def test_fleet_chooses_the_state(clone: Path) -> None:
    state = clone / "terraform" / "sandbox" / "terraform.tfstate.d" / "blue" / "terraform.tfstate"
    state.parent.mkdir(parents=True)
    outputs = '{"inventory": {"value": "hosts", "type": "string"}}'
    state.write_text(
        f'{{"version": 4, "terraform_version": "1.0.0", "serial": 1, "lineage": "a", "outputs": {outputs}}}'
    )
    assert read(clone, "single", FLEET="blue").stdout == '"hosts"\n'
    assert "FLEET=green has no hosts" in read(clone, "single", FLEET="green").stderr
    (clone / "inventories" / "blue").mkdir()
    other = read(clone, "sandbox").stderr
    assert other.endswith("run 'make up' first, or choose a fleet that exists: INVENTORY=blue.\n")


def test_a_broken_state_shows_the_error_of_terraform(clone: Path) -> None:
    (clone / "terraform" / "sandbox" / "terraform.tfstate").write_text("broken")
    result = read(clone, "sandbox")
    assert result.returncode == 1
    assert result.stderr.startswith("FLEET=sandbox: Terraform cannot read the state of terraform/sandbox:\n")
    assert "Unsupported state file format" in result.stderr
    assert "make up" not in result.stderr


def test_a_place_without_terraform_init_shows_the_error_of_terraform(clone: Path) -> None:
    result = read(clone, "aws", FLEET="blue")
    assert result.returncode == 1
    assert result.stderr.startswith("INVENTORY=aws: Terraform cannot read the state of terraform/aws:\n")
    assert 'please run "terraform init"' in result.stderr
    assert "terraform -chdir" not in result.stderr


def test_a_missing_terraform_is_reported_as_such(clone: Path) -> None:
    (clone / ".venv").unlink()
    (clone / "path").mkdir()
    for tool in ("basename", "cat", "dirname", "grep", "mktemp", "readlink", "rm"):
        (clone / "path" / tool).symlink_to(str(shutil.which(tool)))
    result = read(clone, "sandbox", PATH=str(clone / "path"))
    assert result.returncode == 1
    assert "no terraform on PATH" in result.stderr
    assert "make up" not in result.stderr
