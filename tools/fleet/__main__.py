"""Command line: `python -m tools.fleet up|hosts|down|status [--json]|ssh HOST|secret NAME`.

The environment variables FLEET, INVENTORY, SUBNET and ENGINE choose the fleet.
"""

import argparse
import os
import sys

import yaml

from tools.fleet.context import Fleet, FleetError, echo
from tools.fleet.down import down, prune
from tools.fleet.status import status
from tools.fleet.up import apply, up, wait_for_hosts


def ssh(fleet: Fleet, name: str) -> None:
    """Replace this process by an SSH session on the host `name`."""
    hosts = {host.name: host for host in fleet.hosts(fleet.outputs())}
    if name not in hosts:
        raise FleetError(
            f"HOST={name or '(empty)'} is not a host of the fleet {fleet.name}; use one of {', '.join(hosts)}."
        )
    command = fleet.ssh_command(hosts[name])
    os.execvp(command[0], command)


def secret(fleet: Fleet, name: str) -> None:
    """Print one secret of the fleet's inventory."""
    path = f"inventories/{fleet.inventory}/group_vars/all/vault.yml"
    result = fleet.run("ansible-vault", "view", path, quiet=True)
    if result.returncode != 0:
        raise FleetError(
            f"{path} cannot be read: {result.stderr.strip()} 'make up' creates it, .secrets/vault-password decrypts it."
        )
    values = yaml.safe_load(result.stdout)
    if f"vault_{name}" not in values:
        names = ", ".join(sorted(key.removeprefix("vault_") for key in values))
        raise FleetError(f"NAME={name or '(empty)'} is not a secret of this fleet; use one of {names}.")
    echo(values[f"vault_{name}"])


def main() -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.fleet", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("up", "create the fleet"), ("hosts", "create its hosts only"), ("down", "remove it")):
        commands.add_parser(name, help=text)
    commands.add_parser("prune", help="remove the host image if no fleet uses it")
    commands.add_parser("status", help="show its state").add_argument(
        "--json", action="store_true", help="print all facts as JSON"
    )
    commands.add_parser("ssh", help="log in to a host").add_argument("host")
    commands.add_parser("secret", help="print a secret").add_argument("name")
    arguments = parser.parse_args()
    try:
        fleet = Fleet.from_environment()
        match arguments.command:
            case "up":
                up(fleet)
            case "hosts":
                apply(fleet)
                wait_for_hosts(fleet)
            case "down":
                down(fleet)
            case "prune":
                prune(fleet)
            case "status":
                return status(fleet, arguments.json)
            case "ssh":
                ssh(fleet, arguments.host)
            case "secret":
                secret(fleet, arguments.name)
    except FleetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; 'make up' continues, 'make down' removes the fleet", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
