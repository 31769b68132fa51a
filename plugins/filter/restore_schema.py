"""Checks whether the release that serves fits the schema of an earlier point in time, before a restore in place."""

from collections.abc import Mapping, Sequence
from typing import Any

from plugins.moments import parsed, shown

LATER = "-e restore_older_schema=true and deploy afterwards, which migrates again"


def schema_refusal(log: Sequence[Mapping[str, Any]], text: str) -> str:
    """Why the release that serves does not fit the schema of a point in time, in a sentence. Empty if it does.

    Args:
        log: The log of deploys.
        text: The point in time.
    """
    then = f"{parsed(text):%Y-%m-%dT%H:%M:%SZ}"
    migrations = [entry for entry in log if entry["result"] == "migrated" and entry["when"] > then]
    if not migrations:
        return ""
    served = [entry["release"] for entry in log if entry["result"] == "done" and entry["when"] <= then]
    if not served:
        ways = f"The log names no release that fits it. Choose a time after the migration, or restore with {LATER}."
    elif served[-1] == migrations[-1]["release"]:
        ways = f"Release {served[-1]} fits it, and it migrated again since. Restore with {LATER}."
    else:
        ways = (
            f"Release {served[-1]} fits it. Go back to it first (bin/fleet rollback {served[-1]}, or "
            f"playbooks/rollback.yml -e rollback_to={served[-1]}), or restore with {LATER}."
        )
    return (
        f"The schema of {shown(parsed(text))} is older than the release that serves: release "
        f"{migrations[0]['release']} migrated it on {migrations[0]['when']}. {ways}"
    )


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"restore_schema_refusal": schema_refusal}
