"""Fixtures of this scenario: all operations run on one observed fleet."""

from tests.support.drills.fixtures import runner
from tests.support.live.fixtures import api_key, fleet

__all__ = ["api_key", "fleet", "runner"]
