"""Reads an inventory like Ansible does, so that commands work for every inventory, not only for the sandbox's."""

import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from typing import Any

from ansible import constants
from ansible.cli import CLI
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader, init_plugin_loader
from ansible.template import Templar
from ansible.vars.hostvars import HostVars
from ansible.vars.manager import VariableManager

from plugins.ssh import become_command, ssh_command
from tools.fleet.context import Fleet, FleetError, Host

NOT_TIERS = ("all", "ungrouped")
# Seconds after which a host counts as down.
CONNECT_TIMEOUT = 2
# Variables that are the same for all hosts.
SETTINGS = (
    "fleet_name",
    "fleet_vip",
    "fleet_domain",
    "app_port",
    "app_health_path",
    "app_celery_app",
    "app_processes",
    "app_timers",
    "app_queues",
    "nginx_acme_email",
)


@dataclass(frozen=True)
class Shell:
    """How to work on a host: the command that runs a shell script there, and how the script becomes root."""

    command: list[str]
    become: list[str] = field(default_factory=list)
    password: str = field(default="", repr=False)


class Rendered(Mapping[str, Any]):
    """The variables of a host, each rendered when it is read.

    Ansible's HostVars lack `hostvars`, which variables about other hosts need.
    """

    def __init__(self, variables: dict[str, Any], loader: DataLoader) -> None:
        self._variables, self._templar = variables, Templar(loader, variables)

    def __getitem__(self, name: str) -> Any:
        return self._templar.template(self._variables[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._variables)

    def __len__(self) -> int:
        return len(self._variables)


@dataclass(frozen=True)
class Inventory:
    """The hosts of an inventory, a shell on each one, and the values of SETTINGS.

    `variables` are those of the first host. They are rendered when they are read.
    """

    hosts: list[Host]
    shells: dict[str, Shell]
    settings: dict[str, Any]
    variables: Mapping[str, Any] = field(default_factory=dict)

    def value(self, name: str, default: Any = None) -> Any:
        """Return a variable that is the same for all hosts."""
        try:
            return self.variables.get(name, default)
        except AnsibleError as error:
            raise FleetError(f"The variable {name} of the inventory cannot be read: {error}") from error


def read(fleet: Fleet) -> Inventory:
    """Return the fleet's inventory with its variables rendered."""
    init_plugin_loader()
    loader = DataLoader()
    with redirect_stderr(io.StringIO()) as warnings:
        try:
            loader.set_vault_secrets(CLI.setup_vault_secrets(loader, constants.DEFAULT_VAULT_IDENTITY_LIST))
            manager = InventoryManager(loader, sources=[str(fleet.folder)])
            values = VariableManager(loader, manager)
            variables = HostVars(manager, values, loader)
            hosts = members(manager.get_groups_dict(), variables)
            shells = {host.name: shell(host.name, variables[host.name], PlayContext()) for host in hosts}
            settings = {name: variables[host.name].get(name) for host in hosts[:1] for name in SETTINGS}
        except AnsibleError as error:
            raise FleetError(f"INVENTORY={fleet.inventory} cannot be read: {error}") from error
    if not hosts:
        script = fleet.folder / "terraform.sh"
        reason = fleet.run(str(script), quiet=True).stderr.strip() if script.exists() else ""
        raise FleetError(
            reason or f"INVENTORY={fleet.inventory} has no hosts; correct {fleet.folder}. {warnings.getvalue().strip()}"
        )
    sys.stderr.write(warnings.getvalue())
    first = values.get_vars(host=manager.get_host(hosts[0].name), include_hostvars=True)
    return Inventory(hosts, shells, settings, Rendered(first, loader))


def members(groups: Mapping[str, list[str]], variables: Mapping[str, Mapping[str, Any]]) -> list[Host]:
    """Return the hosts with their groups."""
    return [
        Host(
            name,
            str(variables[name].get("fleet_address") or variables[name].get("ansible_host") or name),
            frozenset(g for g in groups if name in groups[g] and g not in NOT_TIERS),
        )
        for name in groups["all"]
    ]


def shell(name: str, variables: Mapping[str, Any], play: PlayContext) -> Shell:
    """Return a shell on a host, with the connection and privilege variables of Ansible."""
    become, password = become_command(variables, play)
    become = become[:-1] or ["sudo", "-n"]  # without its command; empty for other methods than sudo
    if variables.get("ansible_connection") == "local":
        return Shell(["sh", "-c"], become, password)
    connection_loader.get("ssh", class_only=True)  # loads its options, which ssh_command reads
    return Shell(ssh_command(name, variables, play, CONNECT_TIMEOUT), become, password)
