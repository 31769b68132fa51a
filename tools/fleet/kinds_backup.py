"""The kinds of trouble with backups that `make status` reports."""

from tools.fleet.view import Detect, Instances, Kind, State, utc

# The alert WalNotArchived fires at the same number of seconds after archive_timeout.
MAX_ARCHIVE_DELAY = 120
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
        limit = MAX_ARCHIVE_DELAY + archiver.get("timeout", 0)
        if archiver.get("failing") and archiver["now"] - (archiver["last"] or 0) > limit:
            yield {"host": name, "when": utc(archiver["last"]) if archiver["last"] else "the beginning"}


def failed(fact: str, when: str) -> Detect:
    """Detect repositories whose last rehearsal or verify has failed."""

    def detect(state: State) -> Instances:
        for name, facts in state.answering("backup"):
            found = facts.get("backups") or {fact: {}}
            for number, ok in found[fact].items():
                if not ok:
                    yield {"host": name, "number": number, "when": utc(found[when][number])}

    return detect


def overdue(fact: str, when: str) -> Detect:
    """Detect repositories that were not restored, or not read, for too long."""

    def detect(state: State) -> Instances:
        for name, facts in state.answering("backup"):
            found = facts.get("backups") or {fact: {}}
            for number, due in found[fact].items():
                last = found[when].get(number, 0)
                if found["now"] > due:
                    yield {"host": name, "number": number, "when": f"since {utc(last)}" if last else "yet"}

    return detect


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
    Kind(
        "rehearsal-failed",
        "{host} could not restore repository {number} in the rehearsal of {when}",
        failed("restorable", "rehearsed"),
        f"run `bin/fleet backups`, which names the reason; {RUNBOOK}rehearsalfailed",
        redundant=True,
    ),
    Kind(
        "rehearsal-overdue",
        "{host} has not rehearsed a restore of repository {number} {when}",
        overdue("rehearsal_due", "rehearsed"),
        f"run `bin/fleet rehearse`; {RUNBOOK}rehearsaloverdue",
        redundant=True,
    ),
    Kind(
        "verify-overdue",
        "{host} has not verified repository {number} {when}",
        overdue("verify_due", "verified"),
        f"run `systemctl start backup-check@verify` on {{host}}; {RUNBOOK}verifyoverdue",
        redundant=True,
    ),
    Kind(
        "backup-damaged",
        "{host} has damaged files in repository {number}, as verify found on {when}",
        failed("intact", "verified"),
        f"run `bin/fleet backups`, which names the reason; {RUNBOOK}backupdamaged",
        redundant=True,
    ),
)
