"""The stage: one fleet on which releases are deployed one after another, under load."""

from __future__ import annotations

import pytest

from tests.deploys.stage import Stage
from tests.deploys.variants import GOOD
from tests.live.fixtures import api_key, fleet
from tests.live.fleet import LiveFleet

__all__ = ["api_key", "fleet", "stage"]


@pytest.fixture(scope="session")
def stage(fleet: LiveFleet, api_key: str, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The fleet with a release that answers with its name."""
    made = Stage(fleet, api_key, tmp_path_factory.mktemp("releases"))
    run = made.deploy(GOOD, deploy_canary_seconds=0)
    assert run.code == 0, run.text
    return made
