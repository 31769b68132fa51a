"""`deploy`, `rollback`, `releases`, `maintenance` and `restore`: the playbooks of the same names."""

import json
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from tools.fleet.context import ROOT, Fleet, FleetError, echo
from tools.fleet.verbs import databases
from tools.fleet.verbs.verb import add_command

RESTORE_EXAMPLES = """\
bin/fleet backups                                 # which times can be reached
bin/fleet restore '2026-11-29 03:00:00+00'        # show the data of that time
bin/fleet psql --beside                           # look at them
bin/fleet restore --dump TABLE | bin/fleet psql -- -v ON_ERROR_STOP=1 -1
bin/fleet restore --remove"""


def playbook(fleet: Fleet, name: str, variables: dict[str, Any], *arguments: str) -> int:
    """Run a playbook, print its output, and return an exit code."""
    extra = ["--extra-vars", json.dumps(variables)] if variables else []
    command = ["ansible-playbook", "-i", str(fleet.folder), f"playbooks/{name}.yml", *extra, *arguments]
    interrupted = False
    with subprocess.Popen(command, cwd=ROOT, env=fleet.environment) as process:
        while True:
            # Ctrl-C reaches Ansible too, which then ends by itself. Killing it would leave hosts drained.
            try:
                code = process.wait()
                break
            except KeyboardInterrupt:
                interrupted = True
    return 130 if interrupted else min(code, 1)


def deploy_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `deploy`."""
    parser.add_argument("--allow-contract", action="store_true", help="allow a migration that breaks the old release")
    parser.add_argument("--take-over", action="store_true", help="take the lock of a run that has died elsewhere")
    add_command(parser, "options of ansible-playbook, such as --check")


def deploy(fleet: Fleet, allow_contract: bool, take_over: bool, words: list[str]) -> int:
    """Deploy the application's source."""
    chosen = {"deploy_allow_contract": allow_contract, "deploy_take_over": take_over}
    return playbook(fleet, "deploy", {name: True for name, value in chosen.items() if value}, *words)


def rollback_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `rollback`."""
    parser.add_argument("release", nargs="?", default="", metavar="RELEASE", help="default: the last good release")
    parser.add_argument("--take-over", action="store_true", help="take the lock of a run that has died elsewhere")


def rollback(fleet: Fleet, release: str, take_over: bool) -> int:
    """Go back to an earlier release."""
    chosen = {"rollback_to": release, "deploy_take_over": take_over}
    return playbook(fleet, "rollback", {name: value for name, value in chosen.items() if value})


def results_of(fleet: Fleet, name: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Run a playbook without printing its output, and return its results: host, name of the task, what it returned."""
    own = {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}
    result = subprocess.run(
        ["ansible-playbook", "-i", str(fleet.folder), f"playbooks/{name}.yml"],
        cwd=ROOT,
        env=fleet.environment | own,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        # The time that the run took follows the document.
        document, _ = json.JSONDecoder().raw_decode(result.stdout, result.stdout.index("{"))
        return list(task_results(document))
    except ValueError:
        reason = result.stderr.strip() or result.stdout.strip()
        raise FleetError(f"playbooks/{name}.yml failed: {reason}") from None


def failures(results: list[tuple[str, str, dict[str, Any]]]) -> dict[str, str]:
    """Return the hosts that failed or do not answer, with the reasons."""
    return {host: str(one["msg"]) for host, _, one in results if one.get("failed") or one.get("unreachable")}


def releases(fleet: Fleet, as_json: bool) -> None:
    """List the releases of each host, and the log of deploys."""
    results = results_of(fleet, "releases")
    failed = failures(results)
    records: dict[str, Any] = next((one for _, _, one in results if "log" in one and "lock" in one), {})
    if not records:
        reasons = "; ".join(f"{host}: {reason}" for host, reason in failed.items())
        raise FleetError(f"The log of deploys cannot be read: {reasons or 'no host answers'}")
    for host, reason in failed.items():
        print(f"{host} is left out: {reason}", file=sys.stderr)
    if as_json:
        hosts = {host: one for host, _, one in results if "installed" in one and "current" in one}
        names = ("current", "installed", "services")
        facts = {host: {name: one.get(name) for name in names} for host, one in hosts.items()}
        echo(json.dumps({"hosts": facts, "log": records["log"], "lock": records["lock"]}, indent=2))
    else:
        reports = [one["msg"] for _, task, one in results if task == "Show the hosts and the log" and "msg" in one]
        for report in reports[:1]:
            echo(report if isinstance(report, str) else "\n".join(report))


def task_results(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the results of Ansible's JSON output: host, name of the task, and what it returned."""
    for play in document["plays"]:
        for task in play["tasks"]:
            for host, result in task["hosts"].items():
                yield host, task["task"]["name"].rpartition(" : ")[2], result


def maintenance_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `maintenance`."""
    parser.add_argument("state", choices=["on", "off"])
    parser.add_argument("--message", default="", help="one sentence for the page")
    parser.add_argument("--retry-after", type=int, default=0, metavar="SECONDS", help="when clients may try again")


def maintenance(fleet: Fleet, state: str, message: str, retry_after: int) -> int:
    """Show users a page instead of the site, or show the site again."""
    if state == "off" and (message or retry_after):
        raise FleetError("maintenance off takes neither --message nor --retry-after; leave them out.")
    chosen = {"nginx_maintenance_message": message, "nginx_maintenance_retry_after": retry_after}
    variables = {"maintenance": state} | {name: value for name, value in chosen.items() if value}
    return playbook(fleet, "maintenance", variables)


def restore_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `restore`."""
    parser.add_argument("time", nargs="?", default="", metavar="TIME", help="such as '2026-11-29 03:00:00+00'")
    parser.add_argument("--host", default="", help="on this database host (default: a standby)")
    parser.add_argument("--in-place", action="store_true", help="bring the whole cluster back, and lose later writes")
    parser.add_argument("--confirm", default="", metavar="FLEET", help="name of the fleet, for --in-place")
    parser.add_argument("--remove", action="store_true", help="remove the data that an earlier restore shows")
    parser.add_argument("--dump", default="", metavar="TABLE", help="print a table of the restored data as SQL")
    add_command(parser, "options of ansible-playbook, such as --check, or with --dump of pg_dump, such as --data-only")


def restore(
    fleet: Fleet, time: str, host: str, in_place: bool, confirm: str, remove: bool, dump: str, words: list[str]
) -> int:
    """Show the data of an earlier point in time beside the running database, or bring the database back to it."""
    if [bool(time), remove, bool(dump)].count(True) != 1:
        raise FleetError("restore needs one of TIME, --remove and --dump TABLE; `bin/fleet restore --help` shows them.")
    if confirm and not in_place:
        raise FleetError("--confirm belongs to --in-place; leave it out, or add --in-place, which loses later writes.")
    if dump and (host or in_place):
        raise FleetError("--dump reads the side restore that is there; leave out --host and --in-place.")
    if dump:
        return databases.dump(fleet, dump, words)
    chosen: dict[str, Any] = {"restore_to": time, "restore_host": host, "restore_remove": remove}
    chosen |= {"restore_in_place": in_place, "restore_confirm": confirm}
    return playbook(fleet, "restore", {name: value for name, value in chosen.items() if value}, *words)
