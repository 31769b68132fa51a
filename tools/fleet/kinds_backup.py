"""The kinds of trouble with backups that `make status` reports."""

from tools.fleet.view import Instances, Kind, State, utc

# The alert WalNotArchived fires at the same number of seconds.
MAX_ARCHIVE_AGE = 180
RUNBOOK = "see docs/operations.md#"


def old_backups(state: State) -> Instances:
    """Repositories whose last backup is too old. A new fleet makes its first backup within minutes."""
    for name, facts in state.answering("backup"):
        found = facts.get("backups") or {"last": {}}
        for number, last in found["last"].items():
            if last and found["now"] - last > found["limit"]:
                yield {"host": name, "number": number, "when": utc(last)}


def not_archived(state: State) -> Instances:
    """A primary whose WAL does not reach a repository."""
    for name in state.leaders("postgres", "postgres"):
        archiver = state.facts(name)["postgres"].get("archiver") or {}
        if archiver.get("failing") and archiver["now"] - (archiver["last"] or 0) > MAX_ARCHIVE_AGE:
            yield {"host": name, "when": utc(archiver["last"]) if archiver["last"] else "the beginning"}


BACKUPS = (
    Kind(
        "wal-not-archived",
        "{host} has archived no WAL since {when}",
        not_archived,
        f"{RUNBOOK}walnotarchived",
        redundant=True,
    ),
    Kind(
        "backup-too-old",
        "{host} has no backup in repository {number} since {when}",
        old_backups,
        f"run `bin/fleet backup`; {RUNBOOK}backuptooold",
        redundant=True,
    ),
)
