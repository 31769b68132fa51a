"""`backup`, `backups` and `rehearse`: the playbooks of the same names."""

import json
import sys
from argparse import ArgumentParser

from tools.fleet.context import Fleet, FleetError, echo
from tools.fleet.verbs.playbooks import failures, playbook, results_of


def backup_arguments(parser: ArgumentParser) -> None:
    """Add the arguments of `backup`."""
    parser.add_argument(
        "--type",
        choices=["full", "diff", "incr"],
        default="diff",
        dest="kind",
        help="everything, or what has changed since the last full backup (default) or since the last backup",
    )


def backup(fleet: Fleet, kind: str) -> int:
    """Back up the database now."""
    return playbook(fleet, "backup", {"backup_type": kind})


def rehearse(fleet: Fleet) -> int:
    """Prove now that the backups can be restored."""
    return playbook(fleet, "rehearse", {})


def backups(fleet: Fleet, as_json: bool) -> None:
    """List the backups, and the points in time that can be reached."""
    results = results_of(fleet, "backups")
    facts = [one.get("ansible_facts", {}) for _, _, one in results]
    found = next((fact["__pgbackrest_document"] for fact in facts if "__pgbackrest_document" in fact), None)
    failed = failures(results)
    if found is None:
        reasons = "; ".join(dict.fromkeys(failed.values())) or "the group backup has no host that answers."
        raise FleetError(f"The backups cannot be listed: {reasons}")
    for host, reason in failed.items():
        print(f"{host} is left out: {reason}", file=sys.stderr)
    if as_json:
        echo(json.dumps(found, indent=2))
    else:
        tables = [one["msg"] for _, task, one in results if task == "Show the backups" and "msg" in one]
        echo("\n".join(tables[0]))
