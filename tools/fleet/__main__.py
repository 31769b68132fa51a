"""Create fleets, look at them and operate them.

The environment variables INVENTORY, FLEET, SUBNET and ENGINE choose the fleet; --inventory and --fleet override them.
`make VERB` does the same. Exit codes: 0 success, 1 failure or trouble, 2 wrong use, 130 interrupted; those of exec,
run, psql and redis are the command's own.
"""

import os
import sys
from argparse import ArgumentParser

from tools.fleet.context import Fleet, FleetError
from tools.fleet.down import down, prune
from tools.fleet.inventory import read
from tools.fleet.status import status
from tools.fleet.up import create_hosts, up
from tools.fleet.verbs import application, backups, completion, databases, environment, init, logs, playbooks, vault
from tools.fleet.verbs.verb import Verb, parse, parser_of

PROGRAM = "bin/fleet"


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


def print_completion(shell: str) -> None:
    """Print the completion for a shell."""
    completion.print_script(parser_of(VERBS, PROGRAM, __doc__ or ""), shell)


def as_json(parser: ArgumentParser) -> None:
    """Add the option --json."""
    parser.add_argument("--json", action="store_true", dest="as_json", help="print it for programs, as JSON")


def host_name(parser: ArgumentParser) -> None:
    """Add the name of a host."""
    parser.add_argument("name", metavar="HOST")


VERBS: dict[str, Verb] = {
    "init": Verb(
        init.init,
        "look at a Flask project, and write an inventory for it",
        init.arguments,
        "nothing",
        "bin/fleet init ~/shop",
    ),
    "up": Verb(up, "create or update a fleet on this machine", example="bin/fleet up --inventory single"),
    "hosts": Verb(create_hosts, "create only the hosts of a fleet on this machine"),
    "down": Verb(down, "remove a fleet from this machine", example="bin/fleet down --inventory single"),
    "prune": Verb(prune, "remove the host image if no fleet uses it"),
    "status": Verb(status, "show who leads, what lags and what is wrong", as_json, "any", "bin/fleet status --json"),
    "ssh": Verb(ssh, "log in to a host", host_name, "any", "bin/fleet ssh db1"),
    "logs": Verb(
        logs.logs,
        "show the logs of all hosts, merged by time",
        logs.logs_arguments,
        "any",
        "bin/fleet logs -f web",
    ),
    "exec": Verb(
        application.execute,
        "run a command as the application would, on one of its hosts",
        application.exec_arguments,
        "any",
        "bin/fleet exec -- python --version",
    ),
    "console": Verb(application.console, "open `flask shell`", application.host_option, "any", "bin/fleet console"),
    "run": Verb(
        application.run,
        "run a process of the application once",
        application.run_arguments,
        "any",
        "bin/fleet run        # lists the names\n  bin/fleet run NAME   # runs one of them",
    ),
    "psql": Verb(
        databases.psql,
        "open psql on the primary, as the owner of the schema",
        databases.psql_arguments,
        "any",
        "bin/fleet psql -- -c '\\dt'",
    ),
    "redis": Verb(
        databases.redis,
        "open redis-cli on the master of the cache or the store",
        databases.redis_arguments,
        "any",
        "bin/fleet redis cache -- INFO memory",
    ),
    "env": Verb(
        environment.env,
        "list or change environment variables of the application",
        environment.env_arguments,
        "any",
        "bin/fleet env set FEATURE_SEARCH=on",
    ),
    "secret": Verb(
        vault.secret,
        "print or change secrets; one in upper case is an environment variable of the application",
        vault.secret_arguments,
        "any",
        "bin/fleet secret set STRIPE_KEY --from-command 'op read op://shop/stripe/key'",
    ),
    "deploy": Verb(
        playbooks.deploy, "deploy the application's source", playbooks.deploy_arguments, "any", "bin/fleet deploy"
    ),
    "rollback": Verb(
        playbooks.rollback, "go back to an earlier release", playbooks.rollback_arguments, "any", "bin/fleet rollback"
    ),
    "releases": Verb(
        playbooks.releases, "list the releases and the log of deploys", as_json, "any", "bin/fleet releases --json"
    ),
    "backup": Verb(
        backups.backup, "back up the database now", backups.backup_arguments, "any", "bin/fleet backup --type full"
    ),
    "backups": Verb(
        backups.backups,
        "list the backups, and to which points in time the database can go back",
        as_json,
        "any",
        "bin/fleet backups --json",
    ),
    "rehearse": Verb(backups.rehearse, "prove now that the backups can be restored", works_on="any"),
    "maintenance": Verb(
        playbooks.maintenance,
        "show users a page instead of the site, or the site again",
        playbooks.maintenance_arguments,
        "any",
        "bin/fleet maintenance on --message 'Back at 14:00 UTC.'",
    ),
    "restore": Verb(
        playbooks.restore,
        "show the data of an earlier point in time beside the running database, or go back to it",
        playbooks.restore_arguments,
        "any",
        playbooks.RESTORE_EXAMPLES,
    ),
    "completion": Verb(
        print_completion,
        "print the completion script of a shell",
        completion.arguments,
        "nothing",
        'eval "$(bin/fleet completion bash)"',
    ),
}


def main() -> int:
    """Run one verb and return its exit code."""
    name, arguments = parse(parser_of(VERBS, PROGRAM, __doc__ or ""), sys.argv[1:])
    verb = VERBS[name]
    try:
        fleet = [] if verb.works_on == "nothing" else [Fleet.from_environment(sandbox=verb.works_on == "sandbox")]
        code = verb.run(*fleet, **arguments)
    except FleetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        advice = "; 'make up' continues, 'make down' removes the fleet" if verb.works_on == "sandbox" else ""
        print(f"\ninterrupted{advice}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has all it wants
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())
