"""The shared fixtures."""

from tests.support.live.commands import command
from tests.support.live.fixtures import api_key, author, fleet

__all__ = ["api_key", "author", "command", "fleet"]
