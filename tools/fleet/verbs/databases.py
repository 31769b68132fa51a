"""`psql` and `redis`: a client on the host that leads now."""

import shlex
from argparse import ArgumentParser

from tools.fleet.context import Fleet
from tools.fleet.verbs.shells import attach, keep, leader, note
from tools.fleet.verbs.verb import add_command

REDIS_PORTS = {"cache": 6379, "store": 6380}


def psql_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `psql`."""
    parser.add_argument("--replica", action="store_true", help="on a standby, which only reads")
    parser.add_argument("--superuser", action="store_true", help="as postgres instead of the owner of the schema")
    add_command(parser, "arguments of psql, such as -c 'select 1'")


def psql(fleet: Fleet, replica: bool, superuser: bool, words: list[str]) -> int:
    """Open psql on the primary or on a standby."""
    inventory, name = leader(fleet, "postgres", "postgres", replica)
    role = [] if superuser else [f"PGOPTIONS=-c role={inventory.value('postgres_owner_user')}"]
    note(f"psql on {name} ({'a standby' if replica else 'the primary'})")
    client = [
        "runuser",
        "-u",
        "postgres",
        "--",
        "env",
        *role,
        "psql",
        str(inventory.value("postgres_database")),
        *words,
    ]
    return attach(inventory.shells[name], f"cd / && exec {shlex.join(client)}")


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
