"""`secret`: reads and writes the encrypted file of the inventory.

A value never is an argument of a process. A name in upper case is also given to the application, as an environment
variable.
"""

import getpass
import re
import shlex
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import yaml
from ansible import constants
from ansible.cli import CLI
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib

from plugins.action.fleet_secrets import HEADER, locked, replace, without
from tools.fleet.context import Fleet, FleetError, echo, shown
from tools.fleet.verbs import environment

NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")


def secret_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `secret`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|get|set|unset")
    actions.add_parser("list", help="print the names")
    own = {
        name: actions.add_parser(name, help=text)
        for name, text in {"get": "print a value", "set": "store a value", "unset": "remove a value"}.items()
    }
    for parser_of_action in own.values():
        parser_of_action.add_argument("name", metavar="NAME")
    own["set"].add_argument(
        "--from-command",
        metavar="COMMAND",
        help="a command that prints the value, such as 'op read op://shop/stripe/key' (default: a prompt, or stdin)",
    )


def secret(fleet: Fleet, action: str, name: str = "", from_command: str | None = None) -> None:
    """Print, store or remove a secret."""
    if action == "list":
        for key in names(values(fleet)):
            echo(key)
    elif action == "get":
        echo(get(fleet, name))
    elif action == "set":
        store(fleet, name, value_from(name, from_command))
    else:
        get(fleet, name)
        store(fleet, name, None)


def vault_file(fleet: Fleet) -> Path:
    """Return the encrypted file."""
    return fleet.folder / "group_vars" / "all" / "vault.yml"


def values(fleet: Fleet) -> dict[str, Any]:
    """Return the content of the vault."""
    path = vault_file(fleet)
    result = fleet.run("ansible-vault", "view", str(path), quiet=True)
    if result.returncode != 0:
        raise FleetError(
            f"{path} cannot be read: {result.stderr.strip()} "
            "site.yml creates it, and bin/vault-password prints its password."
        )
    return dict(yaml.safe_load(result.stdout) or {})


def names(found: dict[str, Any]) -> list[str]:
    """Return the names of the secrets."""
    return sorted(key.removeprefix("vault_") for key in found)


def get(fleet: Fleet, name: str) -> str:
    """Return one secret of the fleet's inventory."""
    found = values(fleet)
    if f"vault_{name}" not in found:
        raise FleetError(
            f"NAME={name or '(empty)'} is not a secret of this fleet; use one of {', '.join(names(found))}."
        )
    return str(found[f"vault_{name}"])


def value_from(name: str, command: str | None) -> str:
    """Read a value: from a command, from standard input, or from a person who types it unseen."""
    if command is not None:
        result = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, text=True, check=False)
        if result.returncode != 0:
            raise FleetError(f"--from-command {command!r} failed with exit code {result.returncode}; nothing changed.")
        value = result.stdout
    elif sys.stdin.isatty():
        value = getpass.getpass(f"Value of {name} (not shown): ")
        if value != getpass.getpass("The same again: "):
            raise FleetError(f"The two values of {name} differ; nothing changed.")
    else:
        value = sys.stdin.read()
    # Most programs and editors end their output with a newline that is no part of the value.
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise FleetError(f"The value of {name} is empty; nothing changed. `bin/fleet secret unset {name}` removes it.")
    if "\0" in value or environment.is_template(value):
        raise FleetError(f"The value of {name} contains {{{{, {{%, {{# or a NUL, which Ansible cannot keep as it is.")
    return value


def store(fleet: Fleet, name: str, value: str | None) -> None:
    """Write a value, or remove it, and say what makes it live."""
    if not NAME.fullmatch(name):
        raise FleetError(f"NAME={name or '(empty)'} is not valid; use letters, digits and underscores.")
    variable = name.isupper()
    path, key = vault_file(fleet), f"vault_{name}"
    vault = vault_of(fleet)
    try:
        with locked(path.parent):
            text = vault.decrypt(path.read_bytes()).decode() if path.exists() else HEADER
            before = yaml.safe_load(text) or {}
            after = {other: content for other, content in before.items() if other != key}
            kept = without(text, [key])
            kept += "" if kept.endswith("\n") else "\n"
            if value is not None:
                after[key] = value
                kept += f"{key}: {environment.quoted(value)}\n"
            if (yaml.safe_load(kept) or {}) != after:
                raise FleetError(f"{path} cannot be changed line by line; use 'ansible-vault edit {path}'.")
            if after != before:
                replace(path, vault.encrypt(kept))
    except AnsibleError as error:
        raise FleetError(f"{path} cannot be decrypted with the password that bin/vault-password prints.") from error
    changed = after != before
    if variable:
        changed |= environment.change(fleet, {name: f"{{{{ {key} }}}}" if value is not None else None}, expression=True)
    if changed:
        files = f"{shown(path)}{f' and {environment.path_of(fleet).name}' if variable else ''}"
        echo(f"{name} was {'removed from' if value is None else 'encrypted and stored in'} {files}.")
    else:
        echo(f"Nothing was changed: {shown(path)} has this value of {name} already.")
    if variable:
        echo(f"The application {'loses' if value is None else 'gets'} it with the next `{fleet.command('deploy')}`.")
    elif value is None:
        echo(f"The next `{fleet.site()}` generates it again, if the fleet needs it.")
    else:
        echo(f"It is the inventory's {key}, which the next `{fleet.site()}` uses.")


def vault_of(fleet: Fleet) -> VaultLib:
    """Return what encrypts and decrypts, with the password of the inventory."""
    try:
        return VaultLib(CLI.setup_vault_secrets(DataLoader(), constants.DEFAULT_VAULT_IDENTITY_LIST))
    except AnsibleError as error:
        raise FleetError(f"INVENTORY={fleet.inventory}: there is no vault password: {error}") from error
