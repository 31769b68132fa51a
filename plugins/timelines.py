"""Timelines of Postgres: which backups a restore can begin with. Each restore and each promotion begins a new one."""

from collections.abc import Mapping, Sequence
from typing import Any

SEGMENTS_OF_A_LOG = 256
# By number of the repository, runs of archived segments without a gap: first, last, its time, that of the one before.
Archived = Mapping[str, Sequence[Sequence[int]]]
# By number of the repository: `timelines`, those that it knows; `timeline`, to which a restore goes, and its `history`.
Histories = Mapping[str, Mapping[str, Any]]


def leads_there(backup: Mapping[str, Any], histories: Histories) -> bool:
    """Whether a backup belongs to the past of the timeline to which a restore goes.

    One that was made after the moment to which the database went back does not, although it is older than the target.
    Without a history, this trusts that it does.
    """
    found = histories.get(str((backup.get("database") or {}).get("repo-key")))
    if not found:
        return True
    own = int(backup["archive"]["start"][:8], 16)
    if own == found["timeline"]:
        return True
    forks = {int(line[0]): position(line[1]) for line in map(str.split, found["history"].splitlines()) if line}
    return own in forks and position(backup["lsn"]["stop"]) <= forks[own]


def position(text: str) -> int:
    """Return a position in the log as a number."""
    upper, _, lower = text.partition("/")
    return (int(upper, 16) << 32) + int(lower, 16)


def gap_after(backup: Mapping[str, Any], archived: Archived) -> int | None:
    """Return a time until which the log since a backup has no gap; None if it has none at all.

    It is that of the segment before the last one: a last segment may have been archived long after it was written.
    Without a list of the archive, this trusts that it has everything.
    """
    name = backup["archive"]["start"]
    first = int(name[8:16], 16) * SEGMENTS_OF_A_LOG + int(name[16:24], 16)
    later = [run for run in archived.get(str((backup.get("database") or {}).get("repo-key")), []) if run[1] >= first]
    return later[0][3] if len(later) > 1 else None


def timeline_refusal(wanted: str, histories: Histories) -> str:
    """Why a restore cannot go to a timeline, in a sentence. Empty if it can, or if no repository can be read."""
    timelines = sorted({number for found in histories.values() for number in found["timelines"]})
    if not wanted or not timelines or any(found["timeline"] for found in histories.values()):
        return ""
    return (
        f"restore_timeline = {wanted} is not in the repository, which has the timelines "
        f"{', '.join(map(str, timelines))}. Choose one of them, or leave it out."
    )
