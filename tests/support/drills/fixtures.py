"""The arena: one fleet, watched, on which all drills are held one after another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.drills.arena import Arena
from tests.support.drills.samples import Observer
from tests.support.live.fleet import LiveFleet


@pytest.fixture(scope="session")
def arena(fleet: LiveFleet, api_key: str) -> Iterator[Arena]:
    """The fleet with an observer on every host."""
    with Observer(fleet) as observer:
        yield Arena(fleet, observer, api_key)
