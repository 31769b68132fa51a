"""A drill: one fault with its limits."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.drills.verdict import Verdict

if TYPE_CHECKING:
    from tests.support.drills.runner import DrillRunner

# The time limits are for an otherwise idle machine. This factor relaxes them for a slow one. It does not apply to
# losses.
TOLERANCE = float(os.environ.get("DRILL_ROOM", "2"))

Figures = Mapping[str, float]
Fault = Callable[["DrillRunner"], AbstractContextManager[Figures | None]]


@dataclass(frozen=True)
class Drill:
    """One fault and its limits.

    Args:
        name: Short, for files and tables.
        fault: A context that breaks something and heals it on exit. It yields figures of its own.
        hold: Waits until the fault should end.
        write_gap: Maximum time without an acknowledged write, in seconds.
        read_gap: Maximum time without a served read, in seconds.
        failed: Maximum share of failed requests by kind. Other kinds have no limit.
        primaries: Maximum number of hosts that accept writes at the same moment.
        extra: Maximum values of the fault's own figures.
        prepare: A context around the drill that prepares the fleet before the load starts.
        heals_itself: The fault is over at once, and the fleet must repair the damage itself.
        timeout: Seconds until the fleet must be fully redundant again.
        core: Whether the drill is part of `make test`. The others run only in `make test-all`.
    """

    name: str
    fault: Fault
    hold: Callable[[DrillRunner], None]
    write_gap: float
    read_gap: float = 1.5
    failed: Mapping[str, float] = field(default_factory=dict)
    primaries: int = 1
    extra: Mapping[str, float] = field(default_factory=dict)
    prepare: Fault = lambda _: nullcontext()
    heals_itself: bool = False
    timeout: float = 90.0
    core: bool = False

    def breaches(self, verdict: Verdict) -> list[str]:
        """Return the limits that a verdict exceeds, one sentence each."""
        found = []
        for kind, limit in (("write", self.write_gap), ("read", self.read_gap)):
            if (gap := getattr(verdict, f"{kind}_gap")) > limit * TOLERANCE:
                found.append(f"{gap:.1f} s without a {kind}, the limit is {limit * TOLERANCE:.1f} s")
        for kind, share in self.failed.items():
            if (failed := verdict.failed.get(kind, 0)) > share * verdict.sent.get(kind, 0):
                reasons = ", ".join(
                    f"{number} {why}" for why, number in verdict.reasons.items() if why.startswith(f"{kind} ")
                )
                found.append(f"{failed} of {verdict.sent[kind]} requests failed: {reasons or kind}")
        for name, maximum in self.extra.items():
            if verdict.extra[name] > maximum * TOLERANCE:
                found.append(f"{name} is {verdict.extra[name]:g}, the limit is {maximum * TOLERANCE:g}")
        outcomes = {"lost": verdict.lost, "doubled": verdict.doubled, "never acknowledged": verdict.open}
        found += [f"{number} writes {outcome}" for outcome, number in outcomes.items() if number]
        if verdict.session_lost:
            found.append("the session was lost")
        if verdict.max_primaries > self.primaries:
            found.append(f"{verdict.max_primaries} primaries at the same time")
        return found


def hold_for(seconds: float) -> Callable[[DrillRunner], None]:
    """Keep the fault for a number of seconds."""
    return lambda _: time.sleep(seconds)


def until_failover(role: str, timeout: float = 60.0) -> Callable[[DrillRunner], None]:
    """Keep the fault until three seconds after another host has taken over."""

    def hold(runner: DrillRunner) -> None:
        before, deadline = runner.leaders(role), time.monotonic() + timeout
        while time.monotonic() < deadline and not runner.leaders(role) - before - runner.leaders_before[role]:
            time.sleep(0.2)
        time.sleep(3)

    return hold
