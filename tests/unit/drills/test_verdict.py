"""A drill's verdict and the limits that it must not exceed."""

from contextlib import nullcontext
from typing import Any

import pytest

from tests.support.drills import verdict
from tests.support.drills.drill import TOLERANCE, Drill
from tests.support.drills.observer import Sample
from tests.support.drills.verdict import Verdict


def record(end: float, kind: str = "write", status: int = 201, number: int = 0) -> dict[str, Any]:
    return {"kind": kind, "due": end - 0.01, "end": end, "status": status, "number": number}


def test_the_longest_gap_is_between_successes_from_the_fault_to_the_end() -> None:
    records = [
        record(9.0),
        record(10.1),
        record(12.0, status=503),
        record(13.1),
        record(13.5, kind="read"),
        record(14.0),
    ]
    assert verdict.max_gap(records, {"write"}, 10.0, 14.5) == pytest.approx(3.0)
    assert verdict.max_gap([], {"write"}, 10.0, 14.5) == pytest.approx(4.5)


def test_an_acknowledged_write_that_is_not_in_the_database_is_lost() -> None:
    records = [record(1, number=1), record(2, number=2), record(3, number=3, status=503), record(4, number=4, status=0)]
    assert verdict.count_lost_and_doubled(records, {1: 1, 2: 1}) == (0, 0, 2)
    assert verdict.count_lost_and_doubled(records, {1: 1, 3: 1}) == (1, 0, 2)
    assert verdict.count_lost_and_doubled(records, {1: 2, 2: 1, 4: 2}) == (0, 2, 2)


def test_a_write_that_was_acknowledged_after_a_retry_is_not_open() -> None:
    assert verdict.count_lost_and_doubled([record(1, status=504), record(9, kind="settle")], {0: 1}) == (0, 0, 0)


def primary(t: float, host: str, leads: bool = True) -> Sample:
    return Sample(t, host, "postgres", {"primary": leads})


def test_two_primaries_count_only_if_they_overlap() -> None:
    before = [primary(1.0, "db1"), primary(1.25, "db1"), primary(1.5, "db1", leads=False)]
    after = [primary(1.1, "db2", leads=False), primary(1.35, "db2"), primary(1.6, "db2")]
    assert verdict.max_primaries(before + after) == 1
    assert verdict.max_primaries([*before, primary(1.1, "db2"), primary(1.35, "db2")]) == 2


def test_a_host_without_samples_does_not_count_as_a_primary() -> None:
    silent = [primary(1.0, "db1"), primary(30.0, "db1"), primary(30.2, "db1", leads=False)]
    assert verdict.max_primaries([*silent, primary(10.0, "db2"), primary(10.2, "db2")]) == 1


def test_leaderships_have_the_host_and_the_period() -> None:
    samples = [
        primary(10.0, "db1"),
        primary(10.5, "db1"),
        primary(11.0, "db1"),
        primary(11.5, "db1", leads=False),
        Sample(10, "lb1", "vip", True),
    ]
    assert verdict.leaderships(samples, "postgres", 10.0) == [("db1", 0.0, 1.0)]


GOOD: dict[str, Any] = {
    "drill": "x",
    "round": 1,
    "write_gap": 1.0,
    "read_gap": 0.2,
    "sent": {"write": 100, "read": 200},
    "failed": {},
    "lost": 0,
    "doubled": 0,
    "open": 0,
    "session_lost": False,
    "max_primaries": 1,
    "redundant_after": 3.0,
    "load_average": 1.0,
    "extra": {"store_lost": 0},
}
DRILL = Drill(
    "x",
    lambda _: nullcontext(),
    lambda _: None,
    write_gap=2,
    failed={"read": 0, "write": 0.01},
    extra={"store_lost": 0},
)


def test_a_good_verdict_has_no_breaches() -> None:
    assert DRILL.breaches(Verdict(**GOOD | {"failed": {"write": 1}})) == []


@pytest.mark.parametrize(
    ("worse", "message"),
    [
        ({"write_gap": 2 * TOLERANCE + 0.1}, "without a write"),
        ({"read_gap": 99.0}, "without a read"),
        ({"failed": {"read": 1}}, "1 of 200 requests failed: read"),
        ({"failed": {"write": 2}}, "2 of 100 requests failed: write"),
        (
            {"failed": {"write": 2}, "reasons": {"read 503": 1, "write 503": 1, "write ReadError": 1}},
            "1 write 503, 1 write ReadError",
        ),
        ({"lost": 1}, "1 writes lost"),
        ({"doubled": 1}, "1 writes doubled"),
        ({"open": 1}, "1 writes never acknowledged"),
        ({"session_lost": True}, "the session was lost"),
        ({"max_primaries": 2}, "2 primaries"),
        ({"extra": {"store_lost": 1}}, "store_lost is 1"),
    ],
)
def test_each_exceeded_limit_is_a_breach(worse: dict[str, Any], message: str) -> None:
    (breach,) = DRILL.breaches(Verdict(**GOOD | worse))
    assert message in breach
