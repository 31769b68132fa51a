"""The operator's command, `bin/fleet VERB`.

The environment variables FLEET, INVENTORY, SUBNET and ENGINE choose the fleet.
"""

import argparse
import os
import sys
from collections.abc import Callable
from typing import NamedTuple

import yaml

from tools.fleet.context import Fleet, FleetError, echo
from tools.fleet.down import down, prune
from tools.fleet.inventory import read
from tools.fleet.status import status
from tools.fleet.up import create_hosts, up


def ssh(fleet: Fleet, name: str) -> None:
    """Replace this process by an SSH session on the host `name`."""
    shells = read(fleet).shells
    if name not in shells:
        raise FleetError(
            f"HOST={name or '(empty)'} is not a host of the fleet {fleet.name}; use one of {', '.join(shells)}."
        )
    program, *arguments = shells[name].command
    if program != "ssh":
        raise FleetError(f"HOST={name} has ansible_connection = local: it is this machine.")
    # Unlike Ansible, a person can type the passphrase of a key. If an option is given twice, ssh uses the first.
    os.execvp(program, [program, "-o", "BatchMode=no", *arguments])


def secret(fleet: Fleet, name: str) -> None:
    """Print one secret of the fleet's inventory."""
    path = fleet.folder / "group_vars" / "all" / "vault.yml"
    result = fleet.run("ansible-vault", "view", str(path), quiet=True)
    if result.returncode != 0:
        raise FleetError(
            f"{path} cannot be read: {result.stderr.strip()} "
            "site.yml creates it, and bin/vault-password prints its password."
        )
    values = yaml.safe_load(result.stdout)
    if f"vault_{name}" not in values:
        names = ", ".join(sorted(key.removeprefix("vault_") for key in values))
        raise FleetError(f"NAME={name or '(empty)'} is not a secret of this fleet; use one of {names}.")
    echo(values[f"vault_{name}"])


def as_json(parser: argparse.ArgumentParser) -> None:
    """Add the option --json."""
    parser.add_argument("--json", action="store_true", dest="as_json", help="print it for programs, as JSON")


def host_name(parser: argparse.ArgumentParser) -> None:
    """Add the name of a host."""
    parser.add_argument("name", metavar="HOST")


def secret_name(parser: argparse.ArgumentParser) -> None:
    """Add the name of a secret."""
    parser.add_argument("name", metavar="NAME")


class Verb(NamedTuple):
    """What one word of the command line does.

    Args:
        run: The function that does it, with the fleet and the arguments. An int that it returns is the exit code.
        help: One line for --help.
        arguments: Adds the verb's arguments to its parser.
        works_on: A fleet of the "sandbox", "any" fleet, or "nothing": then `run` gets no fleet.
    """

    run: Callable[..., object]
    help: str
    arguments: Callable[[argparse.ArgumentParser], object] = lambda _: None
    works_on: str = "sandbox"


VERBS = {
    "up": Verb(up, "create the fleet"),
    "hosts": Verb(create_hosts, "create its hosts only"),
    "down": Verb(down, "remove it"),
    "prune": Verb(prune, "remove the host image if no fleet uses it"),
    "status": Verb(status, "show its state", as_json, "any"),
    "ssh": Verb(ssh, "log in to a host", host_name, "any"),
    "secret": Verb(secret, "print a secret", secret_name, "any"),
}


def main() -> int:
    """Run one verb and return its exit code."""
    parser = argparse.ArgumentParser(prog="bin/fleet", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, verb in VERBS.items():
        verb.arguments(verbs.add_parser(name, help=verb.help))
    arguments = vars(parser.parse_args())
    verb = VERBS[arguments.pop("verb")]
    try:
        fleet = [] if verb.works_on == "nothing" else [Fleet.from_environment(sandbox=verb.works_on == "sandbox")]
        code = verb.run(*fleet, **arguments)
    except FleetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; 'make up' continues, 'make down' removes the fleet", file=sys.stderr)
        return 130
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
