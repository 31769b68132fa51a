"""What a drill has shown, computed from what was sent, what was seen and what the database has afterwards."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.support.drills.samples import Sample
from tools.fleet.redundancy import is_leader

Record = Mapping[str, Any]
# Seconds between two samples of a host after which nobody knows what it was meanwhile.
SILENCE = 2.0


@dataclass(frozen=True)
class Verdict:
    """A drill's figures; times in seconds.

    Args:
        write_gap: Longest time without an acknowledged write.
        read_gap: Longest time without a served read.
        sent: Requests by kind.
        failed: Requests without success by kind, the same for those that got no answer at all.
        reasons: What the failed ones got: kind and status, or kind and error.
        lost: Acknowledged writes that the database does not have.
        doubled: Writes that it has more than once.
        open: Writes that were never acknowledged, although they were sent again when everything was well.
        session_lost: Whether the session was gone when everything was well.
        most_primaries: Largest number of hosts that took writes at the same moment.
        whole_after: From the end of the fault until the fleet had all of its redundancy again.
        missed_last: What the fleet lacked to the last.
        load_average: Of this machine, when the drill ended.
        extra: Figures of this drill alone.
    """

    drill: str
    round: int
    write_gap: float
    read_gap: float
    sent: dict[str, int]
    failed: dict[str, int]
    unanswered: dict[str, int]
    slowest: dict[str, float]
    lost: int
    doubled: int
    open: int
    session_lost: bool
    most_primaries: int
    whole_after: float
    load_average: float
    missed_last: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    extra: dict[str, float] = field(default_factory=dict)


def succeeded(record: Record) -> bool:
    """Whether a request got what it asked for: 302 is the way to the log-in page."""
    return bool(200 <= record["status"] < 300)


def longest_gap(records: Iterable[Record], kinds: set[str], begin: float, end: float) -> float:
    """Longest time between `begin` and `end` in which no request of these kinds succeeded."""
    times: list[float] = sorted(
        record["end"]
        for record in records
        if record["kind"] in kinds and succeeded(record) and begin < record["end"] < end
    )
    return max(after - before for before, after in pairwise([begin, *times, end]))


def count(records: Iterable[Record]) -> dict[str, int]:
    """How many there are by kind."""
    return dict(Counter(record["kind"] for record in records))


def reasons(failed: Iterable[Record]) -> dict[str, int]:
    """Why requests failed: how many by kind and what they got."""
    return dict(Counter(f"{record['kind']} {record['status'] or record['error']}" for record in failed))


def most_primaries(samples: Iterable[Sample]) -> int:
    """Largest number of hosts that took writes at the same moment."""
    edges = [edge for _, begin, end in stretches(samples, "postgres", 0.0) for edge in ((begin, 1), (end, -1))]
    most = current = 0
    # At the same time ends come first: stretches of one host follow each other.
    for _, step in sorted(edges):
        current += step
        most = max(most, current)
    return most


def stretches(samples: Iterable[Sample], what: str, origin: float) -> list[tuple[str, float, float]]:
    """Who led, from when to when: hosts that took writes or had the virtual address, in seconds from `origin`.

    A host leads from the first of two samples that say so, one after the other, to the second: what was not seen is not assumed.
    """
    by_host: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.what == what:
            by_host[sample.host].append(sample)
    found: list[tuple[str, float, float]] = []
    for host, seen in by_host.items():
        for before, after in pairwise(seen):
            if is_leader(before.value) and is_leader(after.value) and after.t - before.t < SILENCE:
                begin, end = round(before.t - origin, 2), round(after.t - origin, 2)
                joins = bool(found) and found[-1][0] == host and found[-1][2] == begin
                found[-1:] = [(host, found[-1][1], end)] if joins else [*found[-1:], (host, begin, end)]
    return found


def fate(records: Sequence[Record], found: Mapping[int, int]) -> tuple[int, int, int]:
    """How many writes were lost, doubled, and never acknowledged; `found` is how often the database has each number."""
    writes = [record for record in records if record["kind"] in {"write", "settle"}]
    acknowledged = {record["number"] for record in writes if record["status"] == 201}
    lost = sum(number not in found for number in acknowledged)
    doubled = sum(times > 1 for times in found.values())
    return lost, doubled, len({record["number"] for record in writes} - acknowledged)
