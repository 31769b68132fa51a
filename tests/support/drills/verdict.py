"""Computes a drill's verdict from the requests, the observations and the final content of the database."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.support.drills.observer import Sample
from tools.fleet.context import ROOT
from tools.fleet.view import is_leader

Record = Mapping[str, Any]
RESULTS = ROOT / ".cache" / "drills"
# If two samples of a host are further apart, in seconds, its state between them is unknown.
MAX_SAMPLE_GAP = 2.0


@dataclass(frozen=True)
class Verdict:
    """A drill's figures. Times are in seconds.

    Args:
        write_gap: Longest time without an acknowledged write.
        read_gap: Longest time without a served read.
        sent: Requests by kind.
        failed: Failed requests by kind.
        reasons: Failed requests by kind and status, or by kind and error.
        lost: Acknowledged writes that are not in the database.
        doubled: Writes that are in the database more than once.
        open: Writes that were never acknowledged, although they were sent again after the fault.
        session_lost: Whether the session was invalid after the fault.
        max_primaries: Largest number of hosts that accepted writes at the same moment.
        redundant_after: Time from the end of the fault until the fleet was fully redundant.
        last_problems: The last problems before the fleet was fully redundant.
        load_average: The load average of this machine at the end of the drill.
        extra: Figures that only this drill has.
    """

    drill: str
    round: int
    write_gap: float
    read_gap: float
    sent: dict[str, int]
    failed: dict[str, int]
    lost: int
    doubled: int
    open: int
    session_lost: bool
    max_primaries: int
    redundant_after: float
    load_average: float
    last_problems: list[str] = field(default_factory=list)
    reasons: dict[str, int] = field(default_factory=dict)
    extra: dict[str, float] = field(default_factory=dict)


def succeeded(record: Record) -> bool:
    """Whether a request succeeded. A redirect is a failure, because it leads to the login page."""
    return bool(200 <= record["status"] < 300)


def max_gap(records: Iterable[Record], kinds: set[str], begin: float, end: float) -> float:
    """Return the longest time between `begin` and `end` without a successful request of these kinds."""
    times: list[float] = sorted(
        record["end"]
        for record in records
        if record["kind"] in kinds and succeeded(record) and begin < record["end"] < end
    )
    return max(after - before for before, after in pairwise([begin, *times, end]))


def count(records: Iterable[Record]) -> dict[str, int]:
    """Count requests by kind."""
    return dict(Counter(record["kind"] for record in records))


def reasons(failed: Iterable[Record]) -> dict[str, int]:
    """Count failed requests by kind and status, or by kind and error."""
    return dict(Counter(f"{record['kind']} {record['status'] or record['error']}" for record in failed))


def max_primaries(samples: Iterable[Sample]) -> int:
    """Return the largest number of hosts that accepted writes at the same moment."""
    edges = [edge for _, begin, end in leaderships(samples, "postgres", 0.0) for edge in ((begin, 1), (end, -1))]
    maximum = current = 0
    # At equal times, ends sort before beginnings, so consecutive periods do not count as overlap.
    for _, step in sorted(edges):
        current += step
        maximum = max(maximum, current)
    return maximum


def leaderships(samples: Iterable[Sample], role: str, origin: float) -> list[tuple[str, float, float]]:
    """Return the periods in which a host led: its name, begin and end in seconds from `origin`.

    A period lies between two consecutive samples that both show the host as the leader. Nothing is assumed without
    samples.
    """
    by_host: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.fact == role:
            by_host[sample.host].append(sample)
    found: list[tuple[str, float, float]] = []
    for host, own in by_host.items():
        for before, after in pairwise(own):
            if is_leader(before.value) and is_leader(after.value) and after.t - before.t < MAX_SAMPLE_GAP:
                begin, end = round(before.t - origin, 2), round(after.t - origin, 2)
                joins = bool(found) and found[-1][0] == host and found[-1][2] == begin
                found[-1:] = [(host, found[-1][1], end)] if joins else [*found[-1:], (host, begin, end)]
    return found


def count_lost_and_doubled(records: Sequence[Record], found: Mapping[int, int]) -> tuple[int, int, int]:
    """Count the writes that were lost, doubled, and never acknowledged.

    `found` is how often each number is in the database.
    """
    writes = [record for record in records if record["kind"] in {"write", "settle"}]
    acknowledged = {record["number"] for record in writes if record["status"] == 201}
    lost = sum(number not in found for number in acknowledged)
    doubled = sum(times > 1 for times in found.values())
    return lost, doubled, len({record["number"] for record in writes} - acknowledged)
