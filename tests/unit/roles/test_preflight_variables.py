"""The preflight's check of variables that other variables use: missing, misspelt, or of a wrong type."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from plugins.action import (
    fleet_check_hosts,
    fleet_check_inventory,
    fleet_check_secrets,
    fleet_check_settings,
    fleet_check_variables,
)
from plugins.action.fleet_check_inventory import TIERS
from plugins.templates import APPLICATION, REQUIRED
from tests.unit.roles.modules import read_yaml
from tools.fleet.context import ROOT

INVENTORIES = sorted(path.parents[2].name for path in ROOT.glob("inventories/*/group_vars/all/main.yml"))
GENERATED = re.findall(r"\{\{ (vault_\w+) \}\}", (ROOT / "inventories/shared/secrets.yml").read_text())
EXAMPLES = {name: yaml.safe_load(example) for name, (example, _) in REQUIRED.items()}
PLAYBOOK = {
    "new_hosts": "install",
    "restore_from": "",
    "allow_empty_groups": False,
    "uses_database": True,
    "installs_release": True,
    "allow_unreachable": True,
}
# In the order of roles/preflight.
CHECKS: list[tuple[Any, dict[str, Any]]] = [
    (fleet_check_inventory, {"roles": str(ROOT / "roles"), "fetches_source": True}),
    (fleet_check_settings, {"root": str(ROOT)}),
    (fleet_check_variables, {"root": str(ROOT), "secrets": GENERATED, "reported": []}),
    (fleet_check_secrets, {"names": GENERATED, "length": 20}),
    (fleet_check_hosts, {"root": str(ROOT), "timeout": 1, "debian": "13", **PLAYBOOK}),
]


class Inventory:
    """A copy of an inventory with two hosts in every group, to which nothing connects."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.files = folder, folder / "group_vars" / "all"
        self.files.mkdir(parents=True)
        (self.files / "00_shared").symlink_to(ROOT / "inventories/shared")
        original = ROOT / "inventories" / name / "group_vars" / "all"
        self.variables = read_yaml(original / "main.yml")
        self.application = read_yaml(original / "application.yml") | {"app_source": str(ROOT)}
        if "guestbook" in str((original / "application.yml").resolve()):
            self.application["app_source"] = str(ROOT / "tests/applications/guestbook")
        self.hosts: dict[str, dict[str, Any]] = {
            f"h{number}": {"fleet_address": f"192.0.2.1{number}"} for number in (1, 2, 3)
        }
        self.shared = EXAMPLES | {"ansible_connection": "not-ssh"}

    def leave_out(self, name: str) -> None:
        """Remove a variable from every file."""
        for variables in (self.variables, self.application, self.shared, *self.hosts.values()):
            variables.pop(name, None)

    def failures(self) -> list[str]:
        """Return what the preflight reports."""
        children = {group: {"hosts": self.hosts} for group in (*TIERS, "workers")}
        (self.folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"vars": self.shared, "children": children}}))
        (self.files / "main.yml").write_text(yaml.safe_dump(self.variables))
        (self.files / "application.yml").write_text(yaml.safe_dump(self.application))
        loader = DataLoader()
        manager = InventoryManager(loader, sources=[str(self.folder)])
        variables = VariableManager(loader, manager)
        hostvars = HostVars(manager, variables, loader)
        found = variables.get_vars(host=manager.get_host("h1"), include_hostvars=False)
        found |= {"hostvars": hostvars, "ansible_play_hosts_all": list(self.hosts)}
        failures: list[str] = []
        for module, arguments in CHECKS:
            action = module.ActionModule(
                SimpleNamespace(args=arguments), None, PlayContext(), loader, Templar(loader, found), None
            )
            action.arguments = arguments | ({"reported": list(failures)} if "reported" in arguments else {})
            action.variables = found
            failures += action.act()["failures"]
        return failures


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    """A copy of the inventory of one host, whose main.yml uses fleet_vip and fleet_admin_networks."""
    return Inventory(tmp_path / "production", "single")


@pytest.mark.parametrize("name", [*REQUIRED, *APPLICATION, "fleet_address", ""])
@pytest.mark.parametrize("which", ["single", "aws", "contract"])
def test_a_required_variable_that_is_missing_is_one_sentence(which: str, name: str, tmp_path: Path) -> None:
    inventory = Inventory(tmp_path / "production", which)
    inventory.leave_out(name)
    sentences = inventory.failures()
    if name == "fleet_address":
        assert sentences == [
            f"{host}: fleet_address is not set; set it beside the host in the inventory, such as fleet_address: "
            "192.0.2.11, its private IPv4 address."
            for host in inventory.hosts
        ]
    elif name:
        file = inventory.files / ("main.yml" if name in REQUIRED else "application.yml")
        (sentence,) = sentences
        assert sentence.startswith(f"{name} is not set; set it in {file}, such as `{name}: ")
    else:
        assert sentences == []


def test_every_inventory_was_tried() -> None:
    files = {(ROOT / f"inventories/{name}/group_vars/all/main.yml").resolve() for name in INVENTORIES}
    tried = {(ROOT / f"inventories/{name}/group_vars/all/main.yml").resolve() for name in ("single", "aws", "contract")}
    assert files == tried


def test_each_missing_variable_is_a_sentence_of_its_own(inventory: Inventory) -> None:
    for name in (*REQUIRED, *APPLICATION):
        inventory.leave_out(name)
    assert [sentence.split()[0] for sentence in inventory.failures()] == [*REQUIRED, *APPLICATION]


def test_the_example_of_each_message_is_a_good_value(inventory: Inventory) -> None:
    inventory.shared = {"ansible_connection": "not-ssh"}
    for sentence in inventory.failures():
        if example := re.search(r"such as `(.+?)`", sentence):
            inventory.variables |= yaml.safe_load(example[1])
    assert inventory.failures() == []


def test_an_inventory_without_the_shared_files_is_one_sentence(inventory: Inventory) -> None:
    link = inventory.files / "00_shared"
    link.unlink()
    (sentence,) = [sentence for sentence in inventory.failures() if "00_shared" in sentence]
    assert sentence == (
        f"fleet_ports is not set, because {link} is missing; create it with 'ln -s {ROOT}/inventories/shared {link}'."
    )


NOT_IN_VAULT = "uses vault_{0}, which is not in the vault; store it with `bin/fleet secret set {0}`."


@pytest.mark.parametrize(
    ("name", "template", "sentence"),
    [
        (
            "app_mail_url",
            "smtp://{{ fleet_doman }}",
            "uses fleet_doman, which is not set; write fleet_domain instead, or set fleet_doman in MAIN.",
        ),
        (
            "app_site_url",
            "https://{{ whatever }}",
            "uses whatever, which is not set; correct the name, or set it in MAIN.",
        ),
        ("app_mail_url", "smtp://me:{{ vault_app_mail }}@h", NOT_IN_VAULT.format("app_mail")),
        ("pgbackrest_repositories", [{"type": "s3", "secret": "{{ vault_bucket }}"}], NOT_IN_VAULT.format("bucket")),
        (
            "app_extra",
            "{{ fleet_name.first }}",
            "has no value: object of type 'str' has no attribute 'first'; correct it or fleet_name = 'production'.",
        ),
        (
            "app_extra",
            "{{ fleet_name",
            "has no value: unexpected end of template, expected 'end of print statement'; correct it.",
        ),
    ],
)
def test_a_template_without_a_value_is_named_with_its_cause(
    inventory: Inventory, name: str, template: Any, sentence: str
) -> None:
    inventory.variables[name] = template
    main = inventory.files / "main.yml"
    assert inventory.failures() == [f"{name} of {main} {sentence.replace('MAIN', str(main))}"]


@pytest.mark.parametrize("variable", ["ansible_host", "ansible_become_password", "ansible_connection"])
def test_a_template_of_a_connection_is_reported_before_anything_connects(inventory: Inventory, variable: str) -> None:
    inventory.shared[variable] = "{{ misspelt }}"
    (sentence,) = inventory.failures()
    assert sentence.startswith(f"{variable} of group all in the inventory's hosts file uses misspelt, which is not set")


def test_an_address_that_uses_a_missing_variable_is_one_sentence(inventory: Inventory) -> None:
    for variables in inventory.hosts.values():
        variables["fleet_address"] = "{{ ansible_host }}"
    (sentence,) = inventory.failures()
    assert sentence.startswith("fleet_address of the inventory uses ansible_host, which is not set; ")


@pytest.mark.parametrize(
    "template",
    [
        "{{ ansible_facts['memtotal_mb'] // 4 }}",
        "{{ ansible_memtotal_mb // 4 }}",
        "{{ nginx_hsts_max_age * 2 }}",
        "{{ nginx_tls_certificate }}",
    ],
)
def test_facts_defaults_of_roles_and_generated_secrets_have_their_values_later(
    inventory: Inventory, template: str
) -> None:
    inventory.variables["app_extra"] = template
    assert inventory.failures() == []


@pytest.mark.parametrize("value", [5, ["x"], None], ids=repr)
@pytest.mark.parametrize(
    "name",
    [
        *("fleet_admin_networks", "fleet_ports", "fleet_extra_ports", "fleet_subnet", "app_mail_url", "app_source"),
        *("app_processes", "app_port", "app_persistent_dirs", "app_database_driver", "nginx_static_source"),
        *("pgbackrest_repositories", "app_config_files", "app_setup_commands", "app_release_paths"),
    ],
)
def test_a_wrong_type_never_ends_the_preflight_and_has_one_cause(inventory: Inventory, name: str, value: Any) -> None:
    """Some of these values are right. A wrong one is named, and those that use it are not."""
    inventory.leave_out(name)
    inventory.variables[name] = value
    sentences = [sentence for sentence in inventory.failures() if not sentence.startswith("Group backup has ")]
    assert len(sentences) < 2
    assert name in " ".join(sentences) or not sentences
