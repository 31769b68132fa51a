"""Restores of the whole database that were interrupted, and the commands that complete them."""

import json
from collections.abc import Mapping
from typing import Any

Note = Mapping[str, Any]
# Phases in which nothing is promoted.
UNDONE = ("stopped", "proven")
GUIDE = "docs/backups.md#bring-the-whole-database-back"


def from_repository(note: Note) -> bool:
    """Whether site.yml began it (restore_from), on database hosts without data."""
    return bool(note.get("from", note.get("to") == "latest"))


def sentence(note: Note, host: str, fleet: str) -> str:
    """What was interrupted, and what completes it. Empty if nothing was: Ansible resolves the message of every check.

    Args:
        note: How far it has come, as role restore notes it.
        host: The host that is restored.
        fleet: The name of the fleet.
    """
    if "to" not in note:
        return ""
    if from_repository(note):
        kind, command = "of the lost database", f'ansible-playbook site.yml -e restore_from="{note["to"]}"'
    else:
        kind, command = "in place", f"bin/fleet restore '{note['to']}' --in-place --confirm {fleet}"
    return f"A restore {kind} to {note['to']} was interrupted on {host}. Complete it first with `{command}`."


def unfinished(records: Mapping[str, Mapping[str, str]], restore_from: str, fleet: str) -> list[str]:
    """A sentence if Patroni must not start, because a restore of the whole database is not complete.

    Args:
        records: For each host that answers the records in its answer.
        restore_from: The point in time to which this run restores a lost database. Empty if it does not.
        fleet: The name of the fleet.
    """
    masked = [host for host, fields in records.items() if fields.get("MASKED")]
    for host, fields in records.items():
        note = json.loads(fields.get("RESTORE") or "{}")
        # If Patroni may start again, somebody has given the restore up. After the promotion that would lose data.
        if not note or (note["phase"] in UNDONE and not masked):
            continue
        if restore_from and from_repository(note) and (note["phase"] == "stopped" or restore_from == note["to"]):
            return []
        ways = [] if from_repository(note) or note["phase"] not in UNDONE else [f"To give it up, see {GUIDE}."]
        return [" ".join([sentence(note, host, fleet), *ways])]
    reason = (
        f"Patroni is masked on {', '.join(masked)}, as a restore in place leaves it that was interrupted before it "
        f"changed data. Start the same restore again, or run `systemctl unmask patroni` there ({GUIDE})."
    )
    return [reason] if masked and not restore_from else []
