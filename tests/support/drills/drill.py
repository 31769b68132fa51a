"""What a drill is, and when its verdict is a failure."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.drills.verdict import Verdict

if TYPE_CHECKING:
    from tests.support.drills.arena import Arena

# Every time is for a machine with processors of its own; a slow one gets this much more. Losses get nothing.
ROOM = float(os.environ.get("DRILL_ROOM", "2"))

Figures = Mapping[str, float]
Fault = Callable[["Arena"], AbstractContextManager[Figures | None]]


@dataclass(frozen=True)
class Drill:
    """One fault and its limits.

    Args:
        name: Short, for files and tables.
        fault: Breaks something of the arena's fleet; leaving it heals. What it yields are figures of its own.
        hold: How long the fault lasts.
        write_gap: Longest time without an acknowledged write, in seconds.
        read_gap: Longest time without a served read.
        failed: Largest share of requests that may fail, by kind; a kind that is not named may fail.
        primaries: Largest number of hosts that may take writes at the same moment.
        extra: Largest value of the fault's own figures.
        setting: What is made ready before the load begins, and put back when the drill is over.
        heals_itself: The fault is over at once; the fleet is to mend what it did.
        patience: Seconds until the fleet must be whole again.
        core: Part of `make test`; the other drills run in `make test-all` only.
    """

    name: str
    fault: Fault
    hold: Callable[[Arena], None]
    write_gap: float
    read_gap: float = 1.5
    failed: Mapping[str, float] = field(default_factory=dict)
    primaries: int = 1
    extra: Mapping[str, float] = field(default_factory=dict)
    setting: Fault = lambda _: nullcontext()
    heals_itself: bool = False
    patience: float = 90.0
    core: bool = False

    def breaches(self, seen: Verdict) -> list[str]:
        """Where a verdict is worse than the limits, one sentence each."""
        found = []
        for what, limit in (("write", self.write_gap), ("read", self.read_gap)):
            if (gap := getattr(seen, f"{what}_gap")) > limit * ROOM:
                found.append(f"{gap:.1f} s without a {what}, {limit * ROOM:.1f} are allowed")
        for kind, share in self.failed.items():
            if (failed := seen.failed.get(kind, 0)) > share * seen.sent.get(kind, 0):
                reasons = ", ".join(
                    f"{number} {why}" for why, number in seen.reasons.items() if why.startswith(f"{kind} ")
                )
                found.append(f"{failed} of {seen.sent[kind]} requests failed: {reasons or kind}")
        for name, most in self.extra.items():
            if seen.extra[name] > most * ROOM:
                found.append(f"{name} is {seen.extra[name]:g}, {most * ROOM:g} are allowed")
        for what, number in (("lost", seen.lost), ("doubled", seen.doubled), ("never acknowledged", seen.open)):
            if number:
                found.append(f"{number} writes {what}")
        if seen.session_lost:
            found.append("the session is gone")
        if seen.most_primaries > self.primaries:
            found.append(f"{seen.most_primaries} primaries at the same time")
        return found


def lasts(seconds: float) -> Callable[[Arena], None]:
    """A fault that is healed after so long."""
    return lambda _: time.sleep(seconds)


def until_taken_over(what: str, most: float = 60.0) -> Callable[[Arena], None]:
    """A fault that is healed a moment after another host has taken over."""

    def hold(arena: Arena) -> None:
        before, deadline = arena.leaders(what), time.monotonic() + most
        while time.monotonic() < deadline and not arena.leaders(what) - before - arena.led_before[what]:
            time.sleep(0.2)
        time.sleep(3)

    return hold
