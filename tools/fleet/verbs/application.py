"""`exec`, `console` and `run`: commands with the user and environment of the application."""

import re
import shlex
from argparse import ArgumentParser

from tools.fleet.context import Fleet, FleetError, echo
from tools.fleet.inventory import Inventory, read
from tools.fleet.verbs.shells import attach, choose, in_application, keep, note
from tools.fleet.verbs.verb import add_command


def host_option(parser: ArgumentParser) -> None:
    """Add `--host`."""
    parser.add_argument("--host", default="", metavar="NAME", help="the host (default: the first that answers)")


def exec_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `exec`."""
    host_option(parser)
    add_command(parser, "the command; its exit code is that of exec", required=True)


def execute(fleet: Fleet, host: str, words: list[str]) -> int:
    """Run a command on an application host."""
    inventory = read(fleet)
    name = choose(inventory, "app", host)
    return attach(inventory.shells[name], in_application(inventory, words))


def console(fleet: Fleet, host: str) -> int:
    """Open the shell of Flask on an application host."""
    inventory = read(fleet)
    name = choose(inventory, "app", host)
    note(f"flask shell on {name}")
    return attach(
        inventory.shells[name],
        in_application(inventory, ["flask", "--app", str(inventory.value("app_module")), "shell"]),
    )


def run_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `run`."""
    host_option(parser)
    parser.add_argument(
        "process",
        nargs="?",
        default="",
        metavar="NAME",
        help="a process of app_processes, a timer of app_timers, or release (default: list them)",
    )
    add_command(parser, "more arguments for the process")


def process_commands(inventory: Inventory) -> dict[str, tuple[str, str]]:
    """Return what `run` can run: by name the command, and the group of hosts that have it."""
    processes, timers = inventory.value("app_processes") or {}, inventory.value("app_timers") or {}
    found = {name: (str(timer["command"]), "workers") for name, timer in timers.items()}
    found |= {name: (str(one["command"]), str(one.get("group", "workers"))) for name, one in processes.items()}
    if command := inventory.value("app_release_command"):
        found["release"] = (str(command), "app")
    return found


def run(fleet: Fleet, process: str, host: str, words: list[str]) -> int:
    """Run a process once, in this terminal. Without a name, list the processes."""
    inventory = read(fleet)
    commands = process_commands(inventory)
    if not commands:
        raise FleetError(
            "The application has nothing to run: app_processes, app_timers and app_release_command are empty. "
            "`bin/fleet exec -- COMMAND` runs any command."
        )
    if not process:
        for name in sorted(commands):
            echo(f"{name}: {commands[name][0]}")
        return 0
    if process not in commands:
        names = ", ".join(sorted(commands))
        raise FleetError(
            f"NAME={process} is not a process of the application; use one of {names}, or `bin/fleet exec -- COMMAND`."
        )
    command, group = commands[process]
    # Without a group of workers, the application's hosts run them.
    if not any(group in one.groups for one in inventory.hosts):
        group = "app"
    name = choose(inventory, group, host)
    note(f"{process} on {name}")
    shell = inventory.shells[name]
    if process == "release":
        # As in a deploy: it may change the schema.
        file = keep(shell, name, f"DATABASE_URL={double_quoted(str(inventory.value('app_database_migration_url')))}\n")
        begin = f"exec 3<{file}; rm -f {file}"
    else:
        file = shlex.quote(f"/opt/{inventory.value('app_name')}/current/units/{process}.env")
        begin = f"[ -e {file} ] && exec 3<{file} || exec 3</dev/null"
    # The environment of the process, which only root may read, is neither in a file nor an argument of others.
    script = f'set -a; eval "$(cat <&3)"; set +a; exec 3<&-; {command} "$@"'
    return attach(shell, f"{begin}; {in_application(inventory, ['bash', '-c', script, process, *words])}")


def double_quoted(value: str) -> str:
    """Return a value as systemd and the shell read it."""
    return '"' + re.sub(r'(["\\$`])', r"\\\1", value) + '"'
