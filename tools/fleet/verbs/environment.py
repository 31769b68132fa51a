"""`env`: environment variables of the application, in a file of the inventory that this program owns."""

import json
import re
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path

import yaml

from plugins.action.fleet_secrets import locked, replace
from tools.fleet.context import Fleet, FleetError, echo, shown
from tools.fleet.inventory import read

VARIABLE = "app_environment_overrides"
NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
SECRET = re.compile("PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|CREDENTIAL|_DSN$", re.IGNORECASE)
HIDDEN = "(secret)"
HEADER = f"""\
---
# Written by `bin/fleet env set` and `bin/fleet secret set`: environment variables of the application, which override
# app_environment. `bin/fleet deploy` makes them live. Commit this file. Values of secrets are in vault.yml only.
# yamllint disable rule:line-length
{VARIABLE}:"""


class Loader(yaml.SafeLoader):
    """Reads the tag of a value that Ansible must not evaluate."""


def _as_text(_: Loader, node: yaml.Node) -> str:
    return str(node.value)


yaml.add_constructor("!unsafe", _as_text, Loader)


def env_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `env`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|set|unset")
    listed = actions.add_parser("list", help="print the variables that the inventory sets")
    listed.add_argument("--json", action="store_true", dest="as_json", help="print them as JSON")
    changed = actions.add_parser("set", help="set variables; secrets belong to `bin/fleet secret set`")
    changed.add_argument("pairs", nargs="+", metavar="NAME=VALUE")
    removed = actions.add_parser("unset", help="remove variables that were set with this command")
    removed.add_argument("names", nargs="+", metavar="NAME")


def env(
    fleet: Fleet, action: str, as_json: bool = False, pairs: list[str] | None = None, names: list[str] | None = None
) -> None:
    """Print or change the environment of the application."""
    if action == "list":
        found = environment(fleet)
        for line in [json.dumps(found, indent=2)] if as_json else [f"{name}={found[name]}" for name in found]:
            echo(line)
        return
    if action == "set":
        changes: dict[str, str | None] = dict(parse(pair) for pair in pairs or [])
        for name in changes:
            if SECRET.search(name):
                print(f"note: {name} looks like a secret; `bin/fleet secret set {name}` encrypts it.", file=sys.stderr)
    else:
        present = load(path_of(fleet))
        for name in names or []:
            if name not in present:
                raise FleetError(
                    f"{name} is not in {shown(path_of(fleet))}; it has {', '.join(sorted(present)) or 'none'}. "
                    "Other variables are those of app_environment in the inventory, and of the fleet."
                )
        changes = dict.fromkeys(names or [])
    file, verb = shown(path_of(fleet)), "was" if len(changes) == 1 else "were"
    if change(fleet, changes):
        echo(f"{', '.join(changes)} {verb} {'set in' if action == 'set' else 'removed from'} {file}. Commit this file.")
    else:
        echo(f"Nothing was changed: {file} has the same already.")
    echo(f"The application sees it after the next `{fleet.command('deploy')}`.")


def parse(pair: str) -> tuple[str, str]:
    """Return the name and value of NAME=VALUE."""
    name, equals, value = pair.partition("=")
    if not equals or not NAME.fullmatch(name):
        raise FleetError(f"{pair!r} is not NAME=VALUE; a name has letters, digits and underscores.")
    return name, value


def path_of(fleet: Fleet) -> Path:
    """Return the file of the inventory."""
    return fleet.folder / "group_vars" / "all" / "environment.yml"


def load(path: Path) -> dict[str, str]:
    """Return the variables in the file, each with its value as it is written there."""
    text = path.read_text() if path.exists() else f"{HEADER} {{}}\n"
    lines = [line.strip().partition(": ") for line in text.removeprefix(HEADER).splitlines() if line.startswith("  ")]
    found = {name: value for name, _, value in lines}
    try:
        read = (yaml.load(text, Loader) or {}).get(VARIABLE) or {}
        if text.startswith(HEADER) and set(found) == set(read):
            return found
        error = "its lines have another form"
    except (yaml.YAMLError, AttributeError, TypeError) as wrong:
        error = str(wrong)
    raise FleetError(f"{path} is not as `bin/fleet env set` writes it ({error}); move your own lines to another file.")


def quoted(value: str) -> str:
    """Return a string in YAML, in double quotes and on one line."""
    return yaml.safe_dump(value, default_style='"', width=10**9, allow_unicode=True).rstrip("\n")


def is_template(value: str) -> bool:
    """Whether Ansible would evaluate a value."""
    return re.search(r"\{[{%#]", value) is not None


def change(fleet: Fleet, changes: Mapping[str, str | None], expression: bool = False) -> bool:
    """Set variables, or remove those without a value, and return whether the file changed.

    Ansible evaluates an expression, and nothing else.
    """
    path = path_of(fleet)
    with locked(path.parent):
        before = load(path)
        lines = {name: text for name, text in before.items() if name not in changes}
        for name, value in changes.items():
            if value is not None:
                lines[name] = f"{'!unsafe ' if is_template(value) and not expression else ''}{quoted(value)}"
        if lines != before:
            text = "".join(f"\n  {name}: {lines[name]}" for name in sorted(lines)) or " {}"
            replace(path, f"{HEADER}{text}\n".encode())
            path.chmod(0o644)
    return lines != before


def environment(fleet: Fleet) -> dict[str, str]:
    """Return the variables that the inventory sets, without the values of secrets."""
    inventory = read(fleet)
    variables = {**(inventory.value("app_environment") or {}), **(inventory.value(VARIABLE) or {})}
    secrets = [str(inventory.value(name)) for name in inventory.variables if name.startswith("vault_")]
    return {str(name): masked(str(value), secrets) for name, value in sorted(variables.items())}


def masked(value: str, secrets: list[str]) -> str:
    """Hide a value that contains a secret."""
    return HIDDEN if any(secret and secret in value for secret in secrets if len(secret) > 3) else value
