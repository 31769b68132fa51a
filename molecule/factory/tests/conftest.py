"""The shared fixtures that do not need the news application."""

from tests.support.live.fixtures import fleet, node, site

__all__ = ["fleet", "node", "site"]
