"""Fixtures of this scenario: one fleet to which releases are deployed one after another, under load."""

import os
from collections.abc import Iterator

import pytest

from tests.support.deploys.runner import DeployRunner
from tests.support.deploys.variants import GOOD
from tests.support.live.fixtures import api_key, fleet
from tests.support.live.fleet import LiveFleet
from tests.support.tiers import pytest_collection_modifyitems, pytest_configure

__all__ = ["api_key", "fleet", "pytest_collection_modifyitems", "pytest_configure", "runner"]


@pytest.fixture(scope="session")
def runner(fleet: LiveFleet, api_key: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployRunner]:
    """The fleet with a test release. Afterwards the project's own release and schema are restored."""
    runner = DeployRunner(fleet, api_key, tmp_path_factory.mktemp("releases"))
    runner.reset()
    runner.deploy(GOOD, deploy_canary_seconds=0).succeeded()
    yield runner
    if not os.environ.get("FLEET_ENDS_HERE"):
        runner.reset()
        runner.run("deploy", deploy_canary_seconds=0).succeeded()
