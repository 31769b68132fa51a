"""Every single failure that a fleet meets, under load: how long users notice it, and that nothing is lost."""

from __future__ import annotations

import os

import pytest

from tests.support.drills.arena import Arena
from tests.support.drills.catalogue import DRILLS
from tests.support.drills.drill import Drill
from tests.support.live.fleet import eventually

ROUNDS = range(1, int(os.environ.get("DRILL_ROUNDS", "1")) + 1)


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.name)
@pytest.mark.parametrize(
    "round_", ROUNDS
)  # all drills, then all again: after one hand-over from clients there is none for five minutes
def test_drill(arena: Arena, drill: Drill, round_: int) -> None:
    assert drill.breaches(arena.run(drill, round_)) == []


def test_every_task_of_every_drill_was_done(arena: Arena) -> None:
    # What no broker took is found again within a minute and a half.
    assert eventually(lambda: not arena.unprocessed(), within=120, every=2), arena.unprocessed()
