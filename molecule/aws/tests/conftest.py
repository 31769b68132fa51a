"""The scenario's fleet. Without the AWS provider, its tests are skipped with the reason."""

import pytest

from tests.support.cloud import scenario
from tests.support.cloud.live import LiveCloud
from tests.support.live.fixtures import api_key, author, site

__all__ = ["api_key", "author", "fleet", "site"]


@pytest.fixture(scope="session")
def fleet() -> LiveCloud:
    """The running fleet."""
    return LiveCloud(scenario.fleet())
