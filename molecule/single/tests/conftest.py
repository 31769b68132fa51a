"""The shared fixtures."""

from tests.support.live.commands import command, settings
from tests.support.live.fixtures import api_key, author, fleet, healthy_fleet, site

__all__ = ["api_key", "author", "command", "fleet", "healthy_fleet", "settings", "site"]
