"""`psql` and `redis`: a client on the host that leads now, or on one that shows restored data."""

import shlex
from argparse import ArgumentParser

from tools.fleet.context import Fleet, FleetError
from tools.fleet.inventory import Inventory, read
from tools.fleet.verbs.shells import attach, keep, leader, note, output
from tools.fleet.verbs.verb import add_command

REDIS_PORTS = {"cache": 6379, "store": 6380}
# The socket of a side restore, which role restore makes. Its name ends with the port.
BESIDE = "/run/postgres-beside"
SOCKET = ".s.PGSQL."


def psql_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `psql`."""
    parser.add_argument("--replica", action="store_true", help="on a standby, which only reads")
    parser.add_argument("--beside", action="store_true", help="on the side restore, which only reads")
    parser.add_argument("--superuser", action="store_true", help="as postgres instead of the owner of the schema")
    add_command(parser, "arguments of psql, such as -c 'select 1'")


def psql(fleet: Fleet, replica: bool, beside: bool, superuser: bool, words: list[str]) -> int:
    """Open psql on the primary, on a standby or on a side restore."""
    if replica and beside:
        raise FleetError("--replica and --beside exclude each other; leave one out.")
    if beside:
        inventory, name, place = side_restore(fleet)
    else:
        inventory, name = leader(fleet, "postgres", "postgres", replica)
        place = []
    note(f"psql on {name} ({'a side restore' if beside else 'a standby' if replica else 'the primary'})")
    return as_postgres(inventory, name, superuser, ["psql", *place, database(inventory), *words])


def dump(fleet: Fleet, table: str, words: list[str]) -> int:
    """Print a table of the side restore as SQL."""
    inventory, name, place = side_restore(fleet)
    return as_postgres(inventory, name, False, ["pg_dump", *place, f"--table={table}", *words, database(inventory)])


def database(inventory: Inventory) -> str:
    """Return the name of the application's database."""
    return str(inventory.value("postgres_database"))


def as_postgres(inventory: Inventory, name: str, superuser: bool, words: list[str]) -> int:
    """Run a client of Postgres on a host, as the owner of the schema or as the superuser."""
    role = [] if superuser else [f"PGOPTIONS=-c role={inventory.value('postgres_owner_user')}"]
    client = ["runuser", "-u", "postgres", "--", "env", *role, *words]
    return attach(inventory.shells[name], f"cd / && exec {shlex.join(client)}")


def side_restore(fleet: Fleet) -> tuple[Inventory, str, list[str]]:
    """Return the inventory, the host that shows restored data, and the options of a client there."""
    inventory = read(fleet)
    names = [host.name for host in inventory.hosts if "postgres" in host.groups]
    for name in names:
        for found in output(inventory.shells[name], f"ls -A {BESIDE}").stdout.split():
            if found.startswith(SOCKET) and not found.endswith(".lock"):
                return inventory, name, [f"--host={BESIDE}", f"--port={found.removeprefix(SOCKET)}"]
    raise FleetError(
        f"None of {', '.join(names)} shows restored data. `bin/fleet restore TIME` restores them beside the database."
    )


def redis_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `redis`."""
    parser.add_argument("instance", nargs="?", choices=list(REDIS_PORTS), default="store", help="default: store")
    parser.add_argument("--replica", action="store_true", help="on a replica, which only reads")
    add_command(parser, "a command of Redis, such as INFO")


def redis(fleet: Fleet, instance: str, replica: bool, words: list[str]) -> int:
    """Open redis-cli on the master or on a replica, as the administrator."""
    inventory, name = leader(fleet, instance, "redis", replica)
    note(f"redis-cli on {name} ({'a replica' if replica else 'the master'} of the {instance})")
    shell = inventory.shells[name]
    # The password gets to the host on standard input, and to redis-cli in its environment: never in an argument.
    file = keep(shell, name, str(inventory.value("redis_admin_password")))
    client = shlex.join(["redis-cli", "--user", "admin", "-p", str(REDIS_PORTS[instance]), *words])
    return attach(shell, f"REDISCLI_AUTH=$(cat {file}); export REDISCLI_AUTH; rm -f {file}; exec {client}")
