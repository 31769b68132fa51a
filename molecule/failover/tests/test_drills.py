"""Every single failure that a fleet meets, under load: how long users notice it, and that nothing is lost."""

from __future__ import annotations

import os

import pytest

from tests.support.drills.catalogue import DRILLS
from tests.support.drills.drill import Drill
from tests.support.drills.runner import DrillRunner
from tests.support.live.fleet import eventually
from tests.support.tiers import core

ROUNDS = range(1, int(os.environ.get("DRILL_ROUNDS", "1")) + 1)


CASES = [pytest.param(drill, id=drill.name, marks=core if drill.core else ()) for drill in DRILLS]


@pytest.mark.parametrize("drill", CASES)
# All drills, then all again: after a failover away from clients, the next one is blocked for five minutes.
@pytest.mark.parametrize("round_", ROUNDS)
def test_drill(runner: DrillRunner, drill: Drill, round_: int) -> None:
    assert drill.breaches(runner.run(drill, round_)) == []


@core
def test_every_task_of_every_drill_was_done(runner: DrillRunner) -> None:
    # What no broker took is found again within a minute and a half.
    assert eventually(lambda: not runner.unprocessed(), within=120, every=2), runner.unprocessed()
