"""Every failure drill: how long users notice the fault, and that nothing is lost."""

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
# A round has all drills, so no drill is repeated at once: some failovers block the next one for five minutes.
@pytest.mark.parametrize("round_", ROUNDS)
def test_drill(runner: DrillRunner, drill: Drill, round_: int) -> None:
    assert drill.breaches(runner.run(drill, round_)) == []


@core
def test_every_task_of_every_drill_was_done(runner: DrillRunner) -> None:
    # A periodic task sends tasks again that the broker did not accept, within 90 seconds.
    assert eventually(lambda: not runner.unprocessed(), within=120, every=2), runner.unprocessed()
