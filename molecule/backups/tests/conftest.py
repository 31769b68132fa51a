"""The shared fixtures."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.drills.restores import leaves_nothing
from tests.support.drills.story import Story
from tests.support.live.commands import command
from tests.support.live.fixtures import api_key, author, fleet, healthy_fleet
from tests.support.live.fleet import LiveFleet

__all__ = ["api_key", "author", "command", "fleet", "healthy_fleet"]


@pytest.fixture
def story(fleet: LiveFleet, author: httpx.Client) -> Story:
    """Rows before a point in time, and rows after it."""
    return Story(fleet, author)


@pytest.fixture
def served(fleet: LiveFleet) -> Iterator[None]:
    """After the test, users see the site, and nothing is left of a restore."""
    with leaves_nothing(fleet):
        yield
