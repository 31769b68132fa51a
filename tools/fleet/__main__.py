"""Command line: `python -m tools.fleet up|hosts|down|status [--json]|ssh HOST|secret NAME`.

The environment variables FLEET, INVENTORY, SUBNET and ENGINE choose the fleet.
"""

import argparse
import os
import sys
from collections.abc import Callable

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
    program, *arguments = shells[name]
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


COMMANDS: dict[str, tuple[Callable[..., object], str]] = {
    "up": (up, "create the fleet"),
    "hosts": (create_hosts, "create its hosts only"),
    "down": (down, "remove it"),
    "prune": (prune, "remove the host image if no fleet uses it"),
    "status": (status, "show its state"),
    "ssh": (ssh, "log in to a host"),
    "secret": (secret, "print a secret"),
}


# These work for every inventory.
EVERYWHERE = ("status", "ssh", "secret")


def main() -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.fleet", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    parsers = {name: commands.add_parser(name, help=text) for name, (_, text) in COMMANDS.items()}
    parsers["status"].add_argument("--json", action="store_true", dest="as_json", help="print all facts as JSON")
    parsers["ssh"].add_argument("name", metavar="host")
    parsers["secret"].add_argument("name")
    arguments = vars(parser.parse_args())
    command = arguments.pop("command")
    run, _ = COMMANDS[command]
    try:
        code = run(Fleet.from_environment(sandbox=command not in EVERYWHERE), **arguments)
    except FleetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; 'make up' continues, 'make down' removes the fleet", file=sys.stderr)
        return 130
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
