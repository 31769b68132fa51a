"""Each variable of an inventory has an effect, or preflight names the file in which it would have one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from plugins.action import fleet_check_settings as check
from plugins.action.fleet_check_inventory import TIERS, wrong_ports
from tools.fleet.context import ROOT

# The inventory of README.md, with two hosts in every group.
README, MAIN = (
    yaml.safe_load(block)
    for block in re.findall(r"```yaml\n(# inventories/production.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)
)
SHOWN = README["all"]["vars"]


class Written:
    """An inventory that is written by hand, as README.md shows it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = folder / "group_vars" / "all"
        self.files.mkdir(parents=True)
        (self.files / "00_shared").symlink_to(ROOT / "inventories/shared")
        (self.files / "application.yml").symlink_to(ROOT / "inventories/applications/news.yml")
        self.hosts(SHOWN)

    def hosts(self, variables: dict[str, Any], **groups: dict[str, Any]) -> None:
        """Write hosts.yml with these variables of `all` and of other groups."""
        hosts = README["all"]["children"]["loadbalancers"]["hosts"]
        children = {group: {"hosts": hosts, "vars": groups.get(group, {})} for group in (*TIERS, "workers")}
        (self.folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": variables, "children": children}}))

    def read(self) -> tuple[HostVars, DataLoader]:
        """Return the variables of the hosts, as a playbook has them."""
        loader = DataLoader()
        manager = InventoryManager(loader, sources=[str(self.folder)])
        return HostVars(manager, VariableManager(loader, manager), loader), loader

    def failures(self) -> list[str]:
        """Return what preflight reports."""
        hostvars, loader = self.read()
        groups = {name: group.vars for name, group in hostvars._inventory.groups.items()}
        return check.unread_files(self.folder) + check.without_effect(list(check.sources(groups, self.folder, loader)))


@pytest.fixture
def inventory(tmp_path: Path) -> Written:
    return Written(tmp_path / "production")


def test_every_variable_of_the_readme_has_an_effect(inventory: Written) -> None:
    (inventory.files / "main.yml").write_text(yaml.safe_dump(MAIN))
    assert inventory.failures() == []
    assert wrong_ports(MAIN["fleet_extra_ports"], {}) == []
    values = inventory.read()[0]["lb1"]
    assert {name: values[name] for name in SHOWN | MAIN} == SHOWN | MAIN


@pytest.mark.parametrize(
    ("name", "value", "file"),
    [
        ("fleet_timezone", "Europe/Berlin", "shared/fleet.yml"),
        ("fleet_ports", [], "shared/ports.yml"),
        ("postgres_database", "shop", "shared/topology.yml"),
        ("app_health_path", "/up", "applications/news.yml"),
    ],
)
def test_a_variable_of_the_hosts_file_that_a_linked_file_overrides_is_refused(
    inventory: Written, name: str, value: Any, file: str
) -> None:
    inventory.hosts(SHOWN | {name: value})
    (sentence,) = inventory.failures()
    assert sentence.startswith(f"{name} = {value!r}"[:40])
    assert sentence.endswith(
        f" of group all in the inventory's hosts file has no effect, because {ROOT}/inventories/{file} overrides it; "
        f"move it to {inventory.files}/main.yml."
    )
    (inventory.files / "main.yml").write_text(yaml.safe_dump({name: value}))
    inventory.hosts(SHOWN)
    assert inventory.failures() == []
    assert inventory.read()[0]["lb1"][name] == value


def test_a_variable_of_another_group_is_moved_to_the_file_of_that_group(inventory: Written) -> None:
    inventory.hosts(SHOWN, app={"app_health_path": "/up"})
    (sentence,) = inventory.failures()
    assert sentence.endswith(f"; move it to {inventory.folder}/group_vars/app.yml.")
    (inventory.folder / "group_vars/app.yml").write_text("app_health_path: /up\n")
    inventory.hosts(SHOWN)
    assert inventory.read()[0]["lb1"]["app_health_path"] == "/up"


def test_a_file_that_is_read_before_a_linked_one_is_reported(inventory: Written) -> None:
    (inventory.files / "00_mine.yml").write_text("fleet_timezone: Europe/Berlin\n")
    (sentence,) = inventory.failures()
    assert sentence.startswith(f"fleet_timezone = 'Europe/Berlin' of {inventory.files}/00_mine.yml has no effect, ")


def test_a_file_beside_the_folder_of_its_group_is_reported(inventory: Written) -> None:
    (inventory.folder / "group_vars/all.yml").write_text("fleet_timezone: Europe/Berlin\n")
    (sentence,) = inventory.failures()
    assert sentence.startswith(f"{inventory.folder}/group_vars/all.yml is not read, because the folder ")
    assert inventory.read()[0]["lb1"]["fleet_timezone"] == "Etc/UTC", "Ansible reads the file now"


def test_the_inventories_own_file_may_override_its_hosts_file_and_the_linked_ones(inventory: Written) -> None:
    inventory.hosts(SHOWN | {"fleet_timezone": "Etc/UTC"})  # the same value as the linked file
    (inventory.files / "main.yml").write_text("{fleet_domain: shop.example, app_health_path: /up}\n")
    assert inventory.failures() == []
