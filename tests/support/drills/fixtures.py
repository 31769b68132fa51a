"""The fixture for drills: one observed fleet on which all drills run one after another."""

from collections.abc import Iterator

import pytest

from tests.support.drills.observer import Observer
from tests.support.drills.runner import DrillRunner
from tests.support.live.fleet import LiveFleet


@pytest.fixture(scope="session")
def runner(fleet: LiveFleet, api_key: str) -> Iterator[DrillRunner]:
    """Run drills on the fleet, with an agent on every host."""
    with Observer(fleet) as observer:
        yield DrillRunner(fleet, observer, api_key)
