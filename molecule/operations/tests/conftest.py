"""What operators do is done on one fleet that is watched all the while."""

from tests.support.drills.fixtures import runner
from tests.support.live.fixtures import api_key, fleet

__all__ = ["api_key", "fleet", "runner"]
