"""Fixtures of this scenario: all drills run on one observed fleet."""

from tests.support.drills.fixtures import runner
from tests.support.live.fixtures import api_key, fleet
from tests.support.tiers import pytest_collection_modifyitems, pytest_configure

__all__ = ["api_key", "fleet", "pytest_collection_modifyitems", "pytest_configure", "runner"]
